"""Names for the arrays and callables that every floor shares."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax

Array: TypeAlias = jax.Array
"""A JAX array; docstrings give its dtype and shape."""

Key: TypeAlias = jax.Array
"""A typed random key, as `jax.random.key` makes it; always the first argument."""

Params: TypeAlias = Any
"""A pytree of a model's parameters."""

LogitsFn: TypeAlias = Callable[[Array], Array]
"""Images `[n, ...]` to logits `[n, k]`, or `[n]` or `[n, 1]` for two classes."""

LabelFn: TypeAlias = Callable[[Array], Array]
"""Images `[n, ...]` to labels i32 `[n]`."""

Number: TypeAlias = float | Array
"""A real number, or an array of them, traced or not."""
