"""Scores of 01 networks that have gradients, for attacks that need some.

The mean vote is made of steps, which have no slope. Two stand-ins have slopes. The
straight-through one keeps the value of every step and takes the slope of a sigmoid. The
smooth one replaces every step by a sigmoid, and tends to the true network as the
sigmoids sharpen. Each function takes networks and float [n, d] in their dtype, as those
of `zero_one`.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from zeroone_jax.models import zero_one
    >>> params = zero_one.linear(jnp.array([[2.0]]), jnp.array([-1.0]))
    >>> x = jnp.array([[0.6]])
    >>> zero_one.vote_scores(params, x)
    Array([1.], dtype=float32)
    >>> print(f"{zero_one.smooth_scores(params, x, 1.0).item():.3f}")
    0.025
    >>> slope = jax.grad(lambda x: zero_one.straight_through_scores(params, x)[0])
    >>> print(f"{slope(x).item():.3f}")
    0.233
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zeroone_jax.models.zero_one_params import Params, check_rows
from zeroone_jax.types import Array


def vote_scores(params: Params, x: ArrayLike) -> Array:
    """Computes the mean vote, each vote counting 1 or -1.

    Returns:
        float [n] in [-1,1], above 0 exactly where `predict` says 1; of one-vs-all
        networks float [n, classes], largest (first) at the class that it says.
    """
    return _scores(params, x, lambda value: (value > 0).astype(value.dtype))


def straight_through_scores(
    params: Params, x: ArrayLike, sharpness: ArrayLike = 1.0
) -> Array:
    """Computes `vote_scores`, with slopes as if every step were a sigmoid.

    Each step, of a hidden or an output unit, keeps its hard value and has the slope
    that `sigmoid(sharpness * value)` has there (Bengio et al. 2013). The sharpness is
    float [], above 0.
    """

    def step(value: Array) -> Array:
        soft = _sigmoid(sharpness, value)
        # The bracket is exactly 0 and has the sigmoid's slope.
        hard = (value > 0).astype(value.dtype)
        return hard + (soft - jax.lax.stop_gradient(soft))

    return _scores(params, x, step)


def smooth_scores(params: Params, x: ArrayLike, sharpness: ArrayLike) -> Array:
    """Computes the mean vote of the networks with every step made a sigmoid.

    Returns:
        float [n] in (-1,1) or [n, classes]; steps are `sigmoid(sharpness * value)`, and
        it tends to `vote_scores` as the sharpness grows, wherever no value is 0.
    """
    return _scores(params, x, functools.partial(_sigmoid, sharpness))


def _sigmoid(sharpness: ArrayLike, value: Array) -> Array:
    return jax.nn.sigmoid(jnp.asarray(sharpness, value.dtype) * value)


def _scores(params: Params, x: ArrayLike, step: Callable[[Array], Array]) -> Array:
    """The mean vote, with `step` for 1 where a value is above 0 and 0 elsewhere."""
    x = check_rows(params, x)
    units, features = params.w1.shape[-2:]
    weights = params.w1.reshape(-1, features)
    projection = jnp.matmul(x, weights.T, precision="highest")
    projection = projection.reshape(-1, *params.b1.shape) + params.b1[None]
    if params.hidden_values == "01":
        hidden = step(projection)
    else:
        # A unit on its threshold is on here: 1 minus the step of the negative.
        hidden = (1 - 2 * step(-projection)) / math.sqrt(units)
    score = jnp.einsum("...h,...h->...", hidden, params.w2[None], precision="highest")
    return jnp.mean(2 * step(score + params.b2[None]) - 1, axis=-1)
