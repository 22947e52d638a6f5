"""Norms of perturbations, and projections that float rounding cannot push outside."""

import math
import typing
from collections.abc import Callable
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.types import Array

Norm: TypeAlias = Literal["linf", "l2", "l1", "l0", "l0_pixels"]
"""How a perturbation's size is measured, on the [0,1] pixel scale.

"l0" counts the values that change, "l0_pixels" the pixels of which any channel does.
"""

EVERY_NORM: tuple[Norm, ...] = typing.get_args(Norm)

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
"""Those whose balls are convex: what is attacked or trained inside a ball of."""

_L1_SHARE = 0.01
"""The share of the coordinates that a step of L1 moves, `1 - q` of Tramèr and Boneh."""


def size(perturbation: Array, norm: Norm) -> Array:
    """Measures perturbations.

    Args:
        perturbation: float [n, ...].
        norm: any of `Norm`.

    Returns:
        float [n]; in "l0" and "l0_pixels" whole numbers.
    """
    if norm in ("l0", "l0_pixels"):
        changed = by_unit(perturbation, norm) > 0
        return jnp.sum(changed.astype(perturbation.dtype), axis=1)
    flat = perturbation.reshape(perturbation.shape[0], -1)
    if norm == "linf":
        return jnp.max(jnp.abs(flat), axis=1)
    if norm == "l2":
        return jnp.sqrt(jnp.sum(flat * flat, axis=1))
    return jnp.sum(jnp.abs(flat), axis=1)


def by_unit(perturbation: Array, norm: Norm) -> Array:
    """How much each of the units changes that L0 counts.

    Args:
        perturbation: float [n, ...].
        norm: "l0", whose units are the values, or "l0_pixels", whose units are the
            places of images [n, height, width, channels]; arrays of another rank have
            no channels, and every value is a pixel.

    Returns:
        float [n, units], the largest absolute change of each.
    """
    change = jnp.abs(perturbation)
    if norm == "l0_pixels" and change.ndim == 4:
        change = jnp.max(change, axis=3)
    return change.reshape(change.shape[0], -1)


def each(numbers: Array, like: Array) -> Array:
    """Gives one number an image, [n], the rank of images [n, ...], to broadcast."""
    return numbers.reshape(-1, *(1,) * (like.ndim - 1))


def finite(slopes: Array) -> Array:
    """Slopes float [n, ...], with 0 for those that are NaN or infinite.

    A pixel without a slope shall not stop the search in the others.
    """
    return jnp.where(jnp.isfinite(slopes), slopes, 0)


def direction(gradient: Array, norm: Norm) -> Array:
    """Finds the way up, of size 1: the sign, or the gradient over its norm.

    For L1 the steepest ascent is the one coordinate of the largest slope, which needs
    as many steps as coordinates: as in the SLIDE attack of Tramèr and Boneh 2019, the
    hundredth of the coordinates with the largest slopes move alike, at least one.

    Args:
        gradient: float [n, ...]. Slopes that are not finite count as 0.
        norm: "linf", "l2" or "l1".

    Returns:
        float [n, ...] of norm 1; 0 where the gradient is 0.
    """
    gradient = finite(gradient)
    if norm == "linf":
        return jnp.sign(gradient)
    if norm == "l2":
        # In units of the largest slope, so that no square under- or overflows.
        largest = size(gradient, "linf")
        scaled = gradient / each(jnp.where(largest > 0, largest, 1), gradient)
        return scaled / each(jnp.maximum(size(scaled, "l2"), 1), gradient)
    flat = gradient.reshape(gradient.shape[0], -1)
    moved = math.ceil(_L1_SHARE * flat.shape[1])
    steepest = jax.lax.top_k(jnp.abs(flat), moved)[1]
    rows = jnp.arange(flat.shape[0])[:, None]
    signs = (
        jnp.zeros_like(flat)
        .at[rows, steepest]
        .set(jnp.sign(jnp.take_along_axis(flat, steepest, axis=1)))
    )
    signs = signs.reshape(gradient.shape)
    return signs / each(jnp.maximum(size(signs, "l1"), 1), gradient)


def radius(epsilon: float | Array, x: Array) -> Array:
    """The radius of each image, or of each pixel, as it broadcasts over images.

    Args:
        epsilon: float [], one for all; [n], one for each image; or, of the rank of x
            and broadcasting to it, one for each pixel: the box of Linf.
        x: float [n, ...], images.

    Returns:
        float [n, 1, ...], or of the shape of x, in its type. Numbers that are known
        are rounded down, so that the ball is no larger than was said.
    """
    value = rounded_down(epsilon, x.dtype)
    if value.ndim == x.ndim:
        return value
    return each(jnp.broadcast_to(value, x.shape[:1]), x)


def rounded_down(epsilon: float | Array, dtype: jnp.dtype) -> Array:
    """A radius in another type: the largest number of it that is no larger.

    Traced numbers, of which nothing is known, are rounded to the nearest.
    """
    if isinstance(epsilon, jax.core.Tracer):
        return epsilon.astype(dtype)
    exact = np.asarray(epsilon)
    rounded = exact.astype(dtype)
    below = np.nextafter(rounded, dtype.type(-np.inf))
    return jnp.asarray(np.where(rounded.astype(np.float64) > exact, below, rounded))


def largest_radius(epsilon: float | Array, x: Array) -> Array:
    """The radius of each image, float [n]; of a box, that of its widest pixel."""
    value = radius(epsilon, x)
    every = jnp.broadcast_to(value, (len(x), *value.shape[1:]))
    return jnp.max(every, axis=tuple(range(1, x.ndim)))


def inside(perturbation: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Whether perturbations are inside the ball, or the box.

    Args:
        perturbation: float [n, ...].
        epsilon: as for `radius`.
        norm: "linf", "l2" or "l1".

    Returns:
        bool [n].
    """
    if norm == "linf":
        within = jnp.abs(perturbation) <= radius(epsilon, perturbation)
        return jnp.all(within.reshape(len(within), -1), axis=1)
    return size(perturbation, norm) <= largest_radius(epsilon, perturbation)


def project(point: Array, x: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Brings points, float [n, ...], into ball and box, as `projection` says."""
    return projection(x, epsilon, norm)(point)


def projection(
    x: Array, epsilon: float | Array, norm: Norm
) -> Callable[[Array], Array]:
    """Makes the function that brings points into the ball around x and the box [0,1].

    The nearest point of the ball, then of the box: what is left of a perturbation by
    the box is no longer than it was, for x in the box. What hangs on x alone is
    computed here: XLA takes it out of a loop, but never out of a branch within one.

    Args:
        x: float [n, ...] in [0,1].
        epsilon: the ball's radius, >= 0, as for `radius`.
        norm: "linf", "l2" or "l1".

    Returns:
        A function of points, float [n, ...], that gives points of that shape. Their
        distance from x is not above epsilon, be it measured by `size` in the same
        float type or exactly: a coordinate that rounding would put
        outside is moved in by one unit in the last place, and points outside an L2 or
        L1 ball of d coordinates are brought to a radius smaller by `4 + sqrt(d)` units
        of rounding (7e-6 of it for 3,072 in float32), as no order of summation errs
        by more.
    """
    epsilon = radius(epsilon, x)
    if norm == "linf":
        low, high = x - epsilon, x + epsilon
        low = jnp.where(_exceeds(x, low, epsilon), jnp.nextafter(low, x), low)
        high = jnp.where(_exceeds(high, x, epsilon), jnp.nextafter(high, x), high)
        low, high = jnp.maximum(low, 0), jnp.minimum(high, 1)
        return lambda point: jnp.clip(point, low, high)
    shorter = epsilon * (1 - summing_error(x))

    def shrink(point: Array) -> Array:
        perturbation = point - x
        if norm == "l2":
            length = each(size(perturbation, "l2"), x)
            shrunk = perturbation * (shorter / jnp.maximum(length, shorter))
        else:
            shrunk = _onto_l1(perturbation, shorter)
        return placed(point, x, shrunk, epsilon, norm)

    return shrink


def summing_error(x: Array) -> float:
    """By how much of itself a size of images like x errs, in any order of summation."""
    unit = float(jnp.finfo(x.dtype).eps)
    return (4 + math.sqrt(math.prod(x.shape[1:]))) * unit


def placed(point: Array, x: Array, shrunk: Array, epsilon: Array, norm: Norm) -> Array:
    """Adds perturbations that were shrunk into a ball of L2 or L1 to their images.

    Args:
        point: float [n, ...], returned where it is inside the ball itself.
        x: float [n, ...] in [0,1].
        shrunk: float [n, ...].
        epsilon: float [n, 1, ...], broadcasting.
        norm: "l2" or "l1".

    Returns:
        float [n, ...] in [0,1], not farther from x than `shrunk` is long.
    """
    projected = x + shrunk
    projected = jnp.where(
        jnp.abs(projected - x) > jnp.abs(shrunk),
        jnp.nextafter(projected, x),
        projected,
    )
    # Inside already: left as it is, so that projecting twice changes nothing.
    within = epsilon * (1 - summing_error(x) / 2)
    stays = each(size(point - x, norm), x) <= within
    return jnp.clip(jnp.where(stays, point, projected), 0, 1)


def _exceeds(above: Array, below: Array, limit: Array) -> Array:
    """Whether `above - below`, which floats may not hold, is more than a limit."""
    difference = above - below
    # What the subtraction rounded away (Knuth's two-sum).
    back = above - difference
    rest = (above - (difference + back)) + (back - below)
    return (difference > limit) | ((difference == limit) & (rest > 0))


def room(x: Array, epsilon: float | Array) -> tuple[Array, Array]:
    """How far each pixel can go down and up in the Linf ball and the box.

    Args:
        x: float [n, ...] in [0,1].
        epsilon: the radius, broadcasting.

    Returns:
        float [n, ...] twice; epsilon exactly where the box is farther.
    """
    epsilon = jnp.asarray(epsilon, x.dtype)
    return jnp.minimum(x, epsilon), jnp.minimum(1 - x, epsilon)


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
    # Measured from the largest: those that stay are nearer to it than the radius, so
    # that the sums are small, and exact enough for points far outside.
    largest = jnp.max(jnp.abs(flat), axis=1, keepdims=True)
    behind = jnp.abs(flat) - largest
    ordered = jnp.sort(behind, axis=1, descending=True)
    count = jnp.arange(1, flat.shape[1] + 1, dtype=flat.dtype)[None, :]
    shifts = (jnp.cumsum(ordered, axis=1) - limit) / count
    kept = jnp.sum(ordered > shifts, axis=1, keepdims=True)
    shift = jnp.take_along_axis(shifts, jnp.maximum(kept - 1, 0), axis=1)
    left = jnp.maximum(behind - jnp.maximum(shift, -largest), 0)
    total = jnp.sum(left, axis=1, keepdims=True)
    # Nothing is left for a radius of 0, and 0/0 would be NaN.
    least = float(jnp.finfo(flat.dtype).tiny)
    left = left * (limit / jnp.maximum(jnp.maximum(total, limit), least))
    return (jnp.sign(flat) * left).reshape(perturbation.shape)
