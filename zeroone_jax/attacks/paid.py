"""Models that are paid for by the answer, and are asked about no image in vain.

An attack works on all images of a chunk at once, though many of them may be done, or
stand there only to fill it up. Most models answer for all of them in the same time. A
`PaidLabelFn` is told which images count, and is not asked about the others.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from zeroone_jax import tracing
from zeroone_jax.types import Array, LabelFn, LogitsFn


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["rows"], meta_fields=["ask"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class PaidLabelFn:
    """A `LabelFn` that can leave images out.

    Attributes:
        ask: images float [n, ...], and bool [n], which of them to ask about, to labels
            i32 [n], of any value where it does not ask.
        rows: bool [n], the images that may be asked about; None for all.
    """

    ask: Callable[[Array, Array], Array]
    rows: Array | None = None

    def __call__(self, x: Array) -> Array:
        """Labels i32 [n] of images [n, ...]; where `rows` is False, of any value."""
        rows = jnp.ones(x.shape[:1], bool) if self.rows is None else self.rows
        return self.ask(x, rows)


def model_of(fn: LogitsFn | LabelFn, x: Any, sloped: bool = True) -> Any:
    """Makes of a model what compiled code takes: a pytree that can be called.

    Args:
        fn: the model, as it is now.
        x: float [n, ...], images, or their shape and type.
        sloped: whether gradients will be taken.

    Returns:
        The model itself if it is paid for, otherwise as `tracing.capture` gives it.
    """
    return fn if isinstance(fn, PaidLabelFn) else tracing.capture(fn, x, sloped)


def only(fn: LogitsFn | LabelFn, rows: Array) -> LogitsFn | LabelFn:
    """Takes a model for the images whose answers are needed.

    Args:
        fn: the model.
        rows: bool [n], these images.

    Returns:
        The model, which asks about no other images if it is paid for. Other models are
        returned as they are.
    """
    if not isinstance(fn, PaidLabelFn):
        return fn
    return PaidLabelFn(fn.ask, rows if fn.rows is None else fn.rows & rows)
