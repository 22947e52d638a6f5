"""When training stops by itself: no gain in the loss for some epochs."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax.types import Array


class Patience(NamedTuple):
    """How the loss went; all scalars.

    Attributes:
        total: f32, the sum of the losses of this epoch's updates so far.
        best: f32, the least mean loss of an epoch.
        stale: i32, epochs one after another without a gain.
        stopped: bool, whether there were too many of them.
    """

    total: Array
    best: Array
    stale: Array
    stopped: Array


def init() -> Patience:
    """Makes the state before the first update."""
    total, best = jnp.asarray([0, jnp.inf], jnp.float32)
    return Patience(total, best, jnp.asarray(0, jnp.int32), jnp.asarray(False))


def watch(
    patience: Patience,
    loss: Array,
    updates: int,
    ends_epoch: Array,
    epochs: int,
    tolerance: float,
) -> Patience:
    """Takes note of an update.

    An epoch gains whose mean loss is below the least so far by more than the tolerance,
    and training stops after more than `epochs` without: scikit-learn's rule for its
    multilayer perceptrons, which paper A's programs call.

    Args:
        patience: the state so far.
        loss: f32 [], the update's.
        updates: of an epoch.
        ends_epoch: bool [], whether this was its last.
        epochs: how many may pass without a gain.
        tolerance: what counts as one.
    """
    total = patience.total + loss.astype(jnp.float32)
    mean = total / updates
    stale = jnp.where(mean > patience.best - tolerance, patience.stale + 1, 0)
    after = Patience(
        total=jnp.zeros_like(total),
        best=jnp.minimum(patience.best, mean),
        stale=stale,
        stopped=patience.stopped | (stale > epochs),
    )
    during = patience._replace(total=total)
    return jax.tree.map(functools.partial(jnp.where, ends_epoch), after, during)
