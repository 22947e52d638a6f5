"""Models that are paid for by the answer, and are asked about no image in vain.

An attack works on all images of a chunk at once, though many of them may be done, or
stand there only to fill it up. Most models answer for all of them in the same time. A
`PaidLabelFn` is told which images count, and is not asked about the others.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from zeroone_jax.types import Array, LabelFn, LogitsFn


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


def paid(fn: Any) -> PaidLabelFn | None:
    """Finds the function that is paid for, if a model is one."""
    if isinstance(fn, jax.tree_util.Partial) and not (fn.args or fn.keywords):
        fn = fn.func
    return fn if isinstance(fn, PaidLabelFn) else None


def only(fn: LogitsFn | LabelFn, rows: Array) -> LogitsFn | LabelFn:
    """Takes a model for the images whose answers are needed.

    Args:
        fn: the model.
        rows: bool [n], these images.

    Returns:
        The model, which asks about no other images if it is paid for. Other models are
        returned as they are.
    """
    found = paid(fn)
    if found is None:
        return fn
    return PaidLabelFn(found.ask, rows if found.rows is None else found.rows & rows)
