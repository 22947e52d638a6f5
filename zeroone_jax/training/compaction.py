"""Loops over a batch whose examples are done one after another, on the rest of it.

A loop that ends with its last example spends most of its work on examples that are done
already. Here it goes on with half of the batch as soon as no more than half are left,
and again with half of that.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from zeroone_jax import loops
from zeroone_jax.types import Array

Examples = TypeVar("Examples")

# Smaller batches than this are not worth a loop of their own.
_LEAST = 32


def loop(
    step: Callable[[Examples], Examples],
    done: Callable[[Examples], Array],
    examples: Examples,
    steps: int,
) -> Examples:
    """Repeats a step on every example until all are done, or the steps are over.

    It goes on with fewer where `jax.set_mesh` has set a mesh of one device, as the loop
    of training does. Over several devices examples would move between them at every
    step; where no mesh is set, the batch stays as it is, because a network may round
    another way on a part of it.

    Args:
        step: takes a part of the examples; treats each alone, and leaves those that are
            done as they are.
        done: of examples, bool [n]; an example that is done stays done.
        examples: a pytree of arrays [n, ...], and of scalars, which are of all of them.
        steps: the most steps.
    """
    compact = jax.sharding.get_abstract_mesh().size == 1
    return _from(jnp.asarray(0, jnp.int32), step, done, examples, steps, compact)


def _from(
    number: Array,
    step: Callable[[Any], Any],
    done: Callable[[Any], Array],
    examples: Any,
    steps: int,
    compact: bool,
) -> Any:
    half = len(done(examples)) // 2
    fewer = half if compact and half >= _LEAST else 0

    def going(carry: tuple[Array, Any]) -> Array:
        number, examples = carry
        return (number < steps) & (jnp.sum(~done(examples)) > fewer)

    def forward(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        number, examples = carry
        return number + 1, step(examples)

    number, examples = loops.while_loop(going, forward, (number, examples))
    if not fewer:
        return examples
    rows = jnp.argsort(done(examples))[:half]
    part = jax.tree.map(lambda array: array[rows] if array.ndim else array, examples)
    part = _from(number, step, done, part, steps, compact)
    return jax.tree.map(
        lambda old, new: old.at[rows].set(new) if old.ndim else new, examples, part
    )
