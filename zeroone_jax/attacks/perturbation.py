"""Norms of perturbations, and projections that float rounding cannot push outside."""

import math
from typing import Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp

from zeroone_jax.types import Array, Key

Norm: TypeAlias = Literal["linf", "l2", "l1"]
"""How a perturbation's size is measured, on the [0,1] pixel scale."""

NORMS: tuple[Norm, ...] = get_args(Norm)

# An L2 or L1 norm sums thousands of roundings; the ball is smaller by this share.
_ROUNDING = 4e-6


def size(perturbation: Array, norm: Norm) -> Array:
    """Measures perturbations.

    Args:
        perturbation: float [n, ...].
        norm: "linf", "l2" or "l1".

    Returns:
        float [n].
    """
    flat = perturbation.reshape(perturbation.shape[0], -1)
    if norm == "linf":
        return jnp.max(jnp.abs(flat), axis=1)
    if norm == "l2":
        return jnp.sqrt(jnp.sum(flat * flat, axis=1))
    return jnp.sum(jnp.abs(flat), axis=1)


def each(numbers: Array, like: Array) -> Array:
    """Gives one number an image, [n], the rank of images [n, ...], to broadcast."""
    return numbers.reshape(-1, *(1,) * (like.ndim - 1))


def direction(gradient: Array, norm: Norm) -> Array:
    """Finds the steepest ascent of size 1: the sign, or the gradient over its norm.

    Args:
        gradient: float [n, ...].
        norm: "linf", or "l2", or "l1" (the one coordinate of the largest slope).

    Returns:
        float [n, ...] of norm 1; 0 where the gradient is 0.
    """
    if norm == "linf":
        return jnp.sign(gradient)
    if norm == "l2":
        length = size(gradient, "l2")
        return gradient / each(jnp.where(length > 0, length, 1), gradient)
    flat = jnp.abs(gradient.reshape(gradient.shape[0], -1))
    steepest = jax.nn.one_hot(jnp.argmax(flat, axis=1), flat.shape[1])
    return jnp.sign(gradient) * steepest.astype(flat.dtype).reshape(gradient.shape)


def project(point: Array, x: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Brings points into the ball around x and into the box [0,1].

    The nearest point of the ball, then of the box: what is left of a perturbation by
    the box is no longer than it was, for x in the box.

    Args:
        point: float [n, ...].
        x: float [n, ...] in [0,1].
        epsilon: the ball's radius, > 0, or one for each image, float [n].
        norm: "linf", "l2" or "l1".

    Returns:
        float [n, ...]. Its distance from x, measured by `size` in the same float
        type, is not above epsilon: a coordinate that rounding would put outside is
        moved in by one unit in the last place, and the radius of an L2 or L1 ball is
        4e-6 smaller than asked.
    """
    epsilon = each(jnp.broadcast_to(jnp.asarray(epsilon, x.dtype), x.shape[:1]), x)
    if norm == "linf":
        low, high = x - epsilon, x + epsilon
        low = jnp.where(x - low > epsilon, jnp.nextafter(low, x), low)
        high = jnp.where(high - x > epsilon, jnp.nextafter(high, x), high)
        return jnp.clip(point, jnp.maximum(low, 0), jnp.minimum(high, 1))
    radius = epsilon * (1 - _ROUNDING)
    perturbation = point - x
    if norm == "l2":
        length = each(size(perturbation, "l2"), x)
        shrunk = perturbation * (radius / jnp.maximum(length, radius))
    else:
        shrunk = _onto_l1(perturbation, radius)
    # Inside already: left as it is, so that projecting twice changes nothing.
    inside = each(size(perturbation, norm), x) <= epsilon
    return jnp.clip(jnp.where(inside, point, x + shrunk), 0, 1)


def random_in_ball(key: Key, x: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Draws a point evenly in the ball around one image, then clips it to the box.

    Args:
        key: a random key.
        x: float [...], one image in [0,1].
        epsilon: the radius, float [] > 0.
        norm: "linf", "l2" or "l1".

    Returns:
        float [...].
    """
    epsilon = jnp.asarray(epsilon, x.dtype)
    if norm == "linf":
        noise = jax.random.uniform(key, x.shape, x.dtype, -1, 1) * epsilon
    else:
        order = 2.0 if norm == "l2" else 1.0
        noise = jax.random.ball(key, math.prod(x.shape), order, dtype=x.dtype)
        noise = noise.reshape(x.shape) * epsilon
    return project((x + noise)[None], x[None], epsilon, norm)[0]


def _onto_l1(perturbation: Array, radius: Array) -> Array:
    """Projects onto the L1 ball (Duchi et al. 2008, figure 1).

    Args:
        perturbation: float [n, ...].
        radius: float [n, 1, ...], broadcasting.

    Returns:
        float [n, ...].
    """
    flat = perturbation.reshape(perturbation.shape[0], -1)
    limit = radius.reshape(-1, 1)
    ordered = jnp.sort(jnp.abs(flat), axis=1, descending=True)
    excess = jnp.cumsum(ordered, axis=1) - limit
    count = jnp.arange(1, flat.shape[1] + 1, dtype=flat.dtype)[None, :]
    kept = jnp.sum(ordered > excess / count, axis=1, keepdims=True)
    last = jnp.maximum(kept - 1, 0)
    shift = jnp.take_along_axis(excess / count, last, axis=1)
    shrunk = jnp.sign(flat) * jnp.maximum(jnp.abs(flat) - jnp.maximum(shift, 0), 0)
    return shrunk.reshape(perturbation.shape)
