"""01 networks: linear or with one hidden layer of sign units, voting in ensembles.

Paper A's models (docs/papers.md, A1) as pure functions of `Params`. All can be
jitted and vmapped. Labels should not depend on rounding: matrix products ask for the
highest precision, and `margins` tells how near a network's thresholds are to data.

Where a function takes `params`, they are networks `[votes, ...]`, or
`[classes, votes, ...]`; `x` is float [n, d] in their dtype, and a ValueError says where
it does not fit.

Example:
    Three lines of which two must agree, and a tie, which means class 0:

    >>> import jax.numpy as jnp
    >>> params = linear(jnp.array([[1.0], [1.0], [1.0]]), jnp.array([0.0, -1.0, -2.0]))
    >>> x = jnp.array([[0.5], [1.5], [2.5]])
    >>> votes(params, x)
    Array([[1, 1, 1],
           [0, 1, 1],
           [0, 0, 1]], dtype=int32)
    >>> predict(params, x)
    Array([0, 1, 1], dtype=int32)
    >>> majority(jnp.array([[0, 1], [1, 1]]))
    Array([0, 1], dtype=int32)
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zeroone_jax.models.classifier import Classifier
from zeroone_jax.models.zero_one_files import load, save
from zeroone_jax.models.zero_one_params import (
    HIDDEN_VALUES,
    Params,
    astype,
    check,
    check_rows,
    init,
    linear,
)
from zeroone_jax.models.zero_one_surrogates import (
    smooth_scores,
    straight_through_scores,
    vote_scores,
)
from zeroone_jax.types import Array

__all__ = [
    "HIDDEN_VALUES",
    "Margins",
    "Params",
    "Vote",
    "astype",
    "check",
    "hidden",
    "init",
    "linear",
    "load",
    "majority",
    "margins",
    "predict",
    "save",
    "scores",
    "smooth_scores",
    "straight_through_scores",
    "vote_scores",
    "votes",
]


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["params"],
    meta_fields=["shape"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Vote(Classifier):
    """01 networks as a classifier: logits are mean votes, labels the majority's.

    Attributes:
        params: networks, `[votes, ...]` or `[classes, votes, ...]`.
        shape: height, width and channels of images; `(d,)` where only d is known.

    Example:
        >>> vote = Vote(linear(jnp.array([[2.0]]), jnp.array([-1.0])), (1, 1, 1))
        >>> images = jnp.array([0.3, 0.6]).reshape(2, 1, 1, 1)
        >>> vote(images), vote.labels(images)
        (Array([-1.,  1.], dtype=float32), Array([0, 1], dtype=int32))
    """

    params: Params
    shape: tuple[int, ...]

    @classmethod
    def flat(cls, params: Params) -> Self:
        """Makes the classifier of images [n, d]."""
        return cls(params, params.w1.shape[-1:])

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width and channels of the images."""
        return self.shape

    def logits(self, x: Array) -> Array:
        """Mean votes, as `vote_scores`."""
        return vote_scores(self.params, x)

    def labels(self, x: Array) -> Array:
        """Labels, as `predict`."""
        return predict(self.params, self.shaped(x))


def hidden(params: Params, x: ArrayLike) -> Array:
    """What the hidden units pass on, the two values of `params.hidden_values`.

    Returns:
        float [(classes,) votes, n, h].
    """
    return _over_votes(_hidden, params, check_rows(params, x))


def scores(params: Params, x: ArrayLike) -> Array:
    """The output units' values `H.w2 + b2`, float [(classes,) votes, n].

    Above 0 means class 1.
    """
    return _over_votes(_score, params, check_rows(params, x))


def votes(params: Params, x: ArrayLike) -> Array:
    """Every network's own label, i32 [(classes,) votes, n] of 0 and 1.

    A score of exactly 0 gives 0.
    """
    return (scores(params, x) > 0).astype(jnp.int32)


def majority(votes: Array) -> Array:
    """Counts votes.

    Args:
        votes: int [votes, n] or, one-vs-all, [classes, votes, n] of 0 and 1.

    Returns:
        i32 [n]. Two classes: 1 where more than half the votes are 1, so that a tie
        gives class 0. One-vs-all: the class with the most votes of 1, the lowest one
        on ties.

    Raises:
        ValueError: if `votes` has neither two nor three axes.
    """
    if votes.ndim not in (2, 3):
        raise ValueError(
            f"votes has shape {votes.shape}: neither [votes, n] nor [classes, votes, n]"
        )
    ones = jnp.sum(votes, axis=-2)
    if votes.ndim == 3:
        return jnp.argmax(ones, axis=0).astype(jnp.int32)
    return (2 * ones > votes.shape[0]).astype(jnp.int32)


def predict(params: Params, x: ArrayLike) -> Array:
    """Labels i32 [n], the `majority` of the networks' votes."""
    return majority(votes(params, x))


class Margins(NamedTuple):
    """How near the data come to a network's thresholds.

    Attributes:
        hidden: float [(classes,) votes, h], the smallest distance of a row from the
            unit's hyperplane, `|w1.x + b1| / ||w1||`; infinite where w1 is 0.
        output: float [(classes,) votes], the smallest `|H.w2 + b2|` of a row.
        levels: float [levels], what `share` compares with.
        share: float [(classes,) votes, levels] in [0,1], the share of rows with
            `|H.w2 + b2|` below the level.
    """

    hidden: Array
    output: Array
    levels: Array
    share: Array


def margins(
    params: Params, x: ArrayLike, levels: tuple[float, ...] = (1e-6, 1e-5)
) -> Margins:
    """Measures the margins to every threshold of the networks.

    Margins within float noise (about 1e-6 in float32) mean that labels depend on the
    order of summation. The authors' released networks are of that kind
    (docs/papers.md, A6): evaluate such networks in float64.

    Args:
        params: networks.
        x: float [n, d], n at least 1.
        levels: the levels of `Margins.share`.

    Example:
        >>> params = linear(jnp.array([[3.0, 4.0]]), jnp.array([-5.0]))
        >>> margins(params, jnp.array([[3.0, 4.0], [1.0, 0.0]])).hidden
        Array([[0.4]], dtype=float32)
    """
    x = check_rows(params, x)
    if not x.shape[0]:
        raise ValueError("x has no rows, so there are no margins")
    limits = jnp.asarray(levels, x.dtype)
    distance, least, share = _over_votes(_margin, params, x, limits)
    return Margins(distance, least, limits, share)


@functools.partial(jax.jit, static_argnums=0)
def _over_votes(
    function: Callable[..., Any], params: Params, x: Array, *arguments: Array
) -> Any:
    """Applies a function of one network to all, few enough at a time.

    Together the networks in hand have at most as many hidden values as x has numbers,
    so memory stays of x's size however many votes there are.
    """
    leading = params.b2.shape
    networks = jax.tree.map(
        lambda array: array.reshape(-1, *array.shape[len(leading) :]), params
    )
    units, features = params.w1.shape[-2:]
    results = jax.lax.map(
        lambda network: function(network, x, *arguments),
        networks,
        batch_size=max(1, features // units) if x.shape[0] else None,
    )
    return jax.tree.map(
        lambda array: array.reshape(*leading, *array.shape[1:]), results
    )


# What follows takes one network: w1 [h, d], b1 [h], w2 [h], b2 [].


def _projection(params: Params, x: Array) -> Array:
    product = jnp.matmul(x, params.w1.T, precision="highest")
    return product + params.b1[None, :]


def _hidden(params: Params, x: Array) -> Array:
    projection = _projection(params, x)
    if params.hidden_values == "01":
        return (projection > 0).astype(x.dtype)
    value = jnp.asarray(1 / math.sqrt(params.b1.shape[0]), x.dtype)
    return jnp.where(projection >= 0, value, -value)


def _score(params: Params, x: Array) -> Array:
    return jnp.matmul(_hidden(params, x), params.w2, precision="highest") + params.b2


def _margin(params: Params, x: Array, levels: Array) -> tuple[Array, Array, Array]:
    norm = jnp.linalg.norm(params.w1, axis=1)
    nearest = jnp.min(jnp.abs(_projection(params, x)), axis=0)
    distance = jnp.where(norm > 0, nearest / norm, jnp.inf)
    size = jnp.abs(_score(params, x))
    share = jnp.mean(size[:, None] < levels[None, :], axis=0, dtype=x.dtype)
    return distance, jnp.min(size), share
