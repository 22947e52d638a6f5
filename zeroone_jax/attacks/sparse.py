"""Perturbations that change few values: the largest ones, and L1 inside the box."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import loops
from zeroone_jax.attacks.perturbation import (
    Norm,
    by_unit,
    each,
    placed,
    radius,
    size,
    summing_error,
)
from zeroone_jax.types import Array


def keep_largest(perturbation: Array, count: Array, norm: Norm) -> Array:
    """Projects onto the L0 ball: keeps the largest changes, makes the others 0.

    Args:
        perturbation: float [n, ...].
        count: float or i32 [n], how many values, or pixels, may change.
        norm: "l0" or "l0_pixels".

    Returns:
        float [n, ...]; of equal changes the first ones are kept.
    """
    amount = by_unit(perturbation, norm)
    # Numbers that are not negative are ordered as their bits are.
    width = jnp.finfo(amount.dtype).bits
    bits = jax.lax.bitcast_convert_type(amount, f"int{width}")
    count = jnp.asarray(count, jnp.int32)[:, None]

    def set_bit(place: Array, threshold: Array) -> Array:
        higher = threshold | (1 << (width - 2 - place).astype(bits.dtype))
        enough = _how_many(bits >= higher) >= count
        return jnp.where(enough, higher, threshold)

    # The largest number that so many reach, bit by bit: no sorting.
    threshold = loops.fori_loop(0, width - 1, set_bit, jnp.zeros_like(bits[:, :1]))
    above = bits > threshold
    level = bits == threshold
    first = jnp.cumsum(level.astype(jnp.int32), axis=1) <= count - _how_many(above)
    kept = (above | (level & first)) & (count > 0)
    return take(kept, perturbation, jnp.zeros_like(perturbation))


def _how_many(chosen: Array) -> Array:
    return jnp.sum(chosen.astype(jnp.int32), axis=1, keepdims=True, dtype=jnp.int32)


def take(units: Array, new: Array, old: Array) -> Array:
    """Takes some values or pixels of one array, and the others of another.

    Args:
        units: bool [n, units], as `by_unit` counts them.
        new: float [n, ...].
        old: float [n, ...].

    Returns:
        float [n, ...].
    """
    shape = new.shape
    if units[0].size < new[0].size:
        units = jnp.broadcast_to(units.reshape(*shape[:-1], 1), shape)
    return jnp.where(units.reshape(shape), new, old)


def project_onto_both(point: Array, x: Array, epsilon: float | Array) -> Array:
    """Brings points to the nearest ones that are in the L1 ball and in the box.

    `perturbation.project` goes to the ball and then to the box, and wastes the part of
    the radius that the box cuts off (Croce and Hein 2021, "Mind the box", prop. 1).

    Args:
        point: float [n, ...].
        x: float [n, ...] in [0,1].
        epsilon: the ball's radius, >= 0, as for `perturbation.radius`.

    Returns:
        float [n, ...], inside as those of `project` are.
    """
    epsilon = radius(epsilon, x)
    rows = len(x)
    limit = (epsilon * (1 - summing_error(x))).reshape(-1)
    perturbation = (point - x).reshape(rows, -1)
    amount, flat = jnp.abs(perturbation), x.reshape(rows, -1)
    free = jnp.where(perturbation > 0, 1 - flat, flat)
    # All values shrink alike until they fit; those that the box stops wait.
    shift = _shift(amount, free, limit)[:, None]
    kept = jnp.clip(amount - shift, 0, free)
    # Rounding shall not decide whether a value changes.
    least = 8 * float(jnp.finfo(x.dtype).eps)
    kept = jnp.where(kept > least * jnp.max(amount, axis=1, keepdims=True), kept, 0)
    shrunk = (jnp.sign(perturbation) * kept).reshape(x.shape)
    return placed(jnp.clip(point, 0, 1), x, shrunk, epsilon, "l1")


class _Bracket(NamedTuple):
    """Between which t the solution lies, float [n], and the next one to try."""

    low: Array
    high: Array
    shift: Array
    going: Array


def _shift(amount: Array, free: Array, limit: Array) -> Array:
    """The least t >= 0 with `sum min(max(amount - t, 0), free) <= limit`, float [n].

    The sum falls in straight pieces: Newton's method finds the end of one at once, and
    bisection takes over where it would leave what is known of t.
    """
    unit = float(jnp.finfo(amount.dtype).eps)

    def total(shift: Array) -> tuple[Array, Array]:
        left = amount - shift[:, None]
        moving = (left > 0) & (left < free)
        count = jnp.sum(moving.astype(amount.dtype), axis=1)
        return jnp.sum(jnp.clip(left, 0, free), axis=1), count

    def narrowed(known: _Bracket) -> _Bracket:
        whole, count = total(known.shift)
        over = whole - limit
        low = jnp.where(over > 0, known.shift, known.low)
        high = jnp.where(over > 0, known.high, known.shift)
        newton = known.shift + over / jnp.maximum(count, 1)
        # A little to the side of what fits, so that a fitting t is met.
        newton = newton + unit * known.shift
        inside = (count > 0) & (newton > low) & (newton < high)
        shift = jnp.where(inside, newton, (low + high) / 2)
        # What is left between the two is rounding.
        going = known.going & (high - low > 4 * unit * high)
        going &= (over > 0) | (over < -8 * unit * limit)
        return _Bracket(
            jnp.where(known.going, low, known.low),
            jnp.where(known.going, high, known.high),
            jnp.where(going, shift, known.shift),
            going,
        )

    zero = jnp.zeros_like(limit)
    fits = total(zero)[0] <= limit
    first = _Bracket(zero, jnp.where(fits, 0, jnp.max(amount, axis=1)), zero, ~fits)
    return loops.while_loop(lambda known: jnp.any(known.going), narrowed, first).high


def project_onto_l1(point: Array, x: Array, epsilon: Array) -> Array:
    """Does what `perturbation.project` does in L1, without sorting.

    Args:
        point: float [n, ...].
        x: float [n, ...] in [0,1].
        epsilon: float [n], the ball's radius, >= 0.

    Returns:
        float [n, ...], inside as those of `perturbation.project` are.
    """
    move = point - x
    shorter = epsilon * (1 - 2 * summing_error(x))
    shift = each(l1_threshold(move, shorter), x)
    shrunk = jnp.sign(move) * jnp.maximum(jnp.abs(move) - shift, 0)
    # The threshold is as exact as the move is long, which may be far longer than the
    # radius.
    length = size(shrunk, "l1")
    excess = length > shorter
    shrunk *= each(jnp.where(excess, shorter / jnp.where(excess, length, 1), 1), x)
    return placed(point, x, shrunk, each(epsilon, x), "l1")


def l1_threshold(perturbation: Array, radius: Array) -> Array:
    """By how much all values shrink in the projection onto an L1 ball.

    Newton's method on `sum max(|d| - t, 0) = radius`, whose left side is convex and
    falls: from t = 0 it never goes too far, and ends with the exact solution.

    Args:
        perturbation: float [n, ...].
        radius: float [n], >= 0.

    Returns:
        float [n], t >= 0; 0 inside the ball.
    """
    amount = jnp.abs(perturbation).reshape(perturbation.shape[0], -1)

    def newton(threshold: Array) -> Array:
        over = amount > threshold[:, None]
        count = jnp.sum(over.astype(amount.dtype), axis=1)
        total = jnp.sum(jnp.where(over, amount, 0), axis=1)
        full = (total - radius) / jnp.maximum(count, 1)
        # Rounding may not turn it back, which would go on for ever.
        return jnp.where(count > 0, jnp.maximum(full, threshold), threshold)

    def onward(thresholds: tuple[Array, Array]) -> tuple[Array, Array]:
        return thresholds[1], newton(thresholds[1])

    zero = jnp.zeros_like(radius)
    _, threshold = loops.while_loop(
        lambda thresholds: jnp.any(thresholds[1] > thresholds[0]),
        onward,
        (zero, newton(zero)),
    )
    return threshold
