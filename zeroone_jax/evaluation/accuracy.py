"""The accuracy of an ensemble and of each of its votes."""

from typing import NamedTuple

import chex
import jax.numpy as jnp
import numpy as np

from zeroone_jax.models import zero_one
from zeroone_jax.types import Array


class Accuracy(NamedTuple):
    """Shares of rows labelled right, in [0, 1].

    Attributes:
        votes: f64 [votes], each vote on its own.
        majority: the ensemble's.
    """

    votes: np.ndarray
    majority: float


def accuracy(params: zero_one.Params, x: Array, y: Array) -> Accuracy:
    """Measures a 01 network.

    Of a one-vs-all network, one vote is the classifier made of that vote's networks,
    one a class; the lowest class wins ties, as in the whole ensemble.

    Args:
        params: networks, `[votes, ...]` or `[classes, votes, ...]`.
        x: f32 [n, d].
        y: i32 [n].

    Returns:
        Accuracies on the n rows.
    """
    chex.assert_rank(y, 1)
    chex.assert_equal_shape_prefix([x, y], 1)
    votes = zero_one.votes(params, x)
    one_by_one = jnp.split(votes, votes.shape[-2], axis=-2)
    return Accuracy(
        votes=np.array([_share(zero_one.majority(vote), y) for vote in one_by_one]),
        majority=_share(zero_one.majority(votes), y),
    )


def _share(labels: Array, y: Array) -> float:
    # Counted in integers, for float32 would round the share.
    return float(np.mean(np.asarray(labels) == np.asarray(y)))
