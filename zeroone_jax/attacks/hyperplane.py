"""The shortest way onto a hyperplane inside the box, for each norm.

Croce and Hein 2020, section 2 (problem 4), solve it by sorting the coordinates. Here
nothing is sorted. In L2 and Linf one number, the dual variable, says how far every
coordinate moves, and the distance covered is a concave, increasing, piecewise linear
function of it: Newton's method from 0 never overshoots, passes at least one breakpoint
a step, and ends with the exact solution, on images after some five steps. In L1 the
coordinates of the steepest slopes move to their limits, and bisection finds which.
"""

import jax.numpy as jnp

from zeroone_jax import loops
from zeroone_jax.attacks.perturbation import Norm
from zeroone_jax.types import Array

# In L1, slopes nearer than 2^-30 of the steepest count as equal.
_BISECTIONS = 30


def onto_hyperplane(point: Array, slope: Array, rise: Array, norm: Norm) -> Array:
    """Finds the smallest move that gives the rise asked and stays inside the box.

    Args:
        point: float [n, ...] in [0,1].
        slope: float [n, ...], the hyperplane's normal w.
        rise: float [n], what `w . move` is to be, of either sign.
        norm: "linf", "l2" or "l1", how the move is measured.

    Returns:
        float [n, ...], the move; `point + move` is in [0,1] up to rounding. Where the
        box holds no point of the hyperplane: the move to the corner nearest to it.
        Coordinates without slope do not move.
    """
    flat = slope.reshape(slope.shape[0], -1)
    steepest = jnp.max(jnp.abs(flat), axis=1)
    steepest = jnp.where(steepest > 0, steepest, 1)
    flat = flat * jnp.where(rise < 0, -1, 1)[:, None] / steepest[:, None]
    rise = jnp.abs(rise) / steepest
    at = point.reshape(flat.shape)
    steep = jnp.abs(flat)
    room = jnp.where(flat > 0, 1 - at, jnp.where(flat < 0, at, 0))
    enough = jnp.sum(steep * room, axis=1) > rise
    if norm == "l1":
        length = _steepest_first(steep, room, rise)
    else:
        speed = steep if norm == "l2" else jnp.ones_like(steep)
        length = _together(steep, room, rise, speed, enough)
    move = jnp.sign(flat) * jnp.where(enough[:, None], length, room)
    return move.reshape(point.shape)


def _together(
    steep: Array, room: Array, rise: Array, speed: Array, enough: Array
) -> Array:
    """Moves all at their speeds, float [n, d], those that come to their limits wait."""

    def length(dual: Array) -> Array:
        return jnp.minimum(dual[:, None] * speed, room)

    def newton(dual: Array) -> Array:
        free = dual[:, None] * speed < room
        waiting = jnp.sum(jnp.where(free, 0, steep * room), axis=1)
        rate = jnp.sum(jnp.where(free, steep * speed, 0), axis=1)
        full = (rise - waiting) / jnp.where(rate > 0, rate, 1)
        # Rounding may not turn it back, which would go on for ever.
        return jnp.where(enough & (rate > 0), jnp.maximum(full, dual), dual)

    def onward(duals: tuple[Array, Array]) -> tuple[Array, Array]:
        return duals[1], newton(duals[1])

    zero = jnp.zeros_like(rise)
    dual, _ = loops.while_loop(
        lambda duals: jnp.any(duals[1] > duals[0]), onward, (zero, newton(zero))
    )
    return length(dual)


def _steepest_first(steep: Array, room: Array, rise: Array) -> Array:
    """Moves the steepest to their limits, and those at the threshold as needed."""
    whole = steep * room

    def gain(threshold: Array) -> Array:
        return jnp.sum(jnp.where(steep > threshold[:, None], whole, 0), axis=1)

    def halve(_: Array, limits: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = limits
        middle = (low + high) / 2
        too_few = gain(middle) <= rise
        return jnp.where(too_few, low, middle), jnp.where(too_few, middle, high)

    zero = jnp.zeros_like(rise)
    low, high = loops.fori_loop(0, _BISECTIONS, halve, (zero, zero + 1))
    at_threshold = (steep > low[:, None]) & (steep <= high[:, None])
    available = jnp.sum(jnp.where(at_threshold, whole, 0), axis=1)
    missing = rise - gain(high)
    share = missing / jnp.where(available > 0, available, 1)
    share = jnp.clip(share, 0, 1)[:, None]
    return jnp.where(
        steep > high[:, None], room, jnp.where(at_threshold, share * room, 0)
    )
