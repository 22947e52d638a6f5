"""The best threshold of one sign unit: every one, equal bins, or near a position.

Paper A, supplement, Algorithm 2 ("Opt"), restated for any unit of a network: only
rows whose correctness changes with the unit's value can move the score, so a running
sum of their gains in projection order scores every threshold.

The sweep over bins and the sweep near a position need no sort, which is what costs
on a CPU. They count projections, rounded to whole numbers, in bins whose width is a
power of two, so that a bin's edge is an exact threshold and its score exact. The
solver's projections of 8-bit images are whole numbers, and bins of width 1 hold
single values.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from zeroone_jax.types import Array


class Sweep(NamedTuple):
    """The outcome of a sweep.

    Attributes:
        gain: like the gains, [], the best total gain over all thresholds.
        threshold: f32 [], the unit is on where `projection > threshold`.
        gap: f32 [], distance from the threshold to the nearest projection.
    """

    gain: Array
    threshold: Array
    gap: Array


class Cut(NamedTuple):
    """A threshold found by counting; `between` tells where it sits in its gap.

    Attributes:
        gain: i32 [], the total gain of the rows that are on.
        threshold: f32 [], half a unit below a whole number.
    """

    gain: Array
    threshold: Array


class Bounds(NamedTuple):
    """A range of whole numbers.

    Attributes:
        low: i32 [], the lowest.
        high: i32 [], the highest.
    """

    low: Array
    high: Array

    def plus(self, one: Array, other: Array) -> "Bounds":
        """The range after adding to each number something between two ends."""
        one, other = one.astype(jnp.int32), other.astype(jnp.int32)
        return Bounds(
            self.low + jnp.minimum(one, other), self.high + jnp.maximum(one, other)
        )


def bounds_of(projection: Array) -> Bounds:
    """The range of projections f32 [n], rounded."""
    return Bounds(
        jnp.round(jnp.min(projection)).astype(jnp.int32),
        jnp.round(jnp.max(projection)).astype(jnp.int32),
    )


def best_threshold(projection: Array, gain: Array, min_gap: float = 1e-5) -> Sweep:
    """Finds the threshold with the largest total gain of the rows that are on.

    Args:
        projection: f32 [n], each row's projection on the unit's weights.
        gain: f32 or i32 [n], what the score gains when the row's unit is on rather
            than off: +1, 0 or -1, times any class weight.
        min_gap: neighbours closer than this count as equal, so that no decision
            hangs on rounding.

    Returns:
        A `Sweep`. Where several thresholds tie, the lowest one wins.

    Example:
        >>> best_threshold(jnp.array([0.1, 0.5, 0.9]), jnp.array([-1, 1, 1])).gain
        Array(2, dtype=int32)
    """
    chex.assert_rank([projection, gain], 1)
    chex.assert_equal_shape([projection, gain])

    ordered, gains = jax.lax.sort((projection, gain), num_keys=1)
    # Candidate r turns rows r, r+1, ... on; candidate n turns every row off.
    on_from = jnp.append(jnp.cumsum(gains[::-1])[::-1], jnp.zeros(1, gain.dtype))
    below = jnp.concatenate([ordered[:1] - 1.0, ordered])
    above = jnp.concatenate([ordered, ordered[-1:] + 1.0])
    gap = (above - below) / 2
    # The lowest threshold is always wide enough, so some candidate is admissible.
    best = jnp.argmax(jnp.where(gap > min_gap / 2, on_from, _least(gain.dtype)))
    return Sweep(on_from[best], (below[best] + above[best]) / 2, gap[best])


def binned_threshold(projection: Array, gain: Array, bounds: Bounds, bins: int) -> Cut:
    """Finds the best threshold among the edges of at most `bins` equal bins.

    Exact where the bounds span fewer than `bins` whole numbers.

    Args:
        projection: i32 [n].
        gain: i32 [n], as in `best_threshold`; 0 for rows that do not count.
        bounds: the projections lie between these.
        bins: number of bins, at least 2.

    Returns:
        The best `Cut`; the lowest threshold wins a tie.

    Example:
        >>> values, gains = jnp.array([1, 5, 9]), jnp.array([-1, 1, 1])
        >>> binned_threshold(values, gains, Bounds(1, 9), 16).threshold
        Array(1.5, dtype=float32)
    """
    chex.assert_rank([projection, gain], 1)
    shift = _shift(bounds.high - bounds.low + 1, bins)
    index = (projection - bounds.low) >> shift
    on_from = _from_bin(
        jnp.zeros(bins, gain.dtype).at[index].add(gain, mode="promise_in_bounds")
    )
    best = jnp.argmax(on_from)
    return Cut(on_from[best], _edge(bounds.low, best, shift))


def threshold_near(
    projection: Array,
    gain: Array,
    counts: Array,
    bounds: Bounds,
    position: Array,
    window: int,
    bins: int = 1024,
) -> Cut:
    """Finds the best threshold among the positions around one position.

    A threshold's position is the number of counted rows at or below it. A first
    count finds the values between which the wanted positions lie, a second one
    scores the thresholds between them, each whole number its own bin unless they
    span more than `bins`.

    Args:
        projection: i32 [n].
        gain: i32 [n], as in `best_threshold`; 0 for rows that do not count.
        counts: i32 [n], 1 for rows that count, 0 for others.
        bounds: the projections lie between these.
        position: i32 [], the middle of the window.
        window: how many positions to each side.
        bins: number of bins of each count.

    Returns:
        The best `Cut` in the window; the lowest threshold wins a tie. If a run of
        equal projections leaves no threshold in the window, the best of those at
        the least distance from its middle.
    """
    chex.assert_rank([projection, gain, counts], 1)
    chex.assert_equal_shape([projection, gain, counts])
    coarse = _shift(bounds.high - bounds.low + 1, bins)
    index = (projection - bounds.low) >> coarse
    below = _below_bin(
        jnp.zeros(bins, counts.dtype).at[index].add(counts, mode="promise_in_bounds")
    )
    # Positions beyond the outermost rows would only widen the second count's bins.
    lowest = jnp.maximum(position - window, 0)
    highest = jnp.minimum(position + window, below[-1])
    first = jnp.sum(below <= lowest, dtype=jnp.int32) - 1
    last = jnp.sum(below < highest, dtype=jnp.int32)

    start = bounds.low + (first << coarse)
    # One more than the span, so that the edge above the last row has its own bin.
    fine = _shift(((last - first) << coarse) + 1, bins)
    # One bin more to each side takes the rows below and above.
    slot = jnp.clip(((projection - start) >> fine) + 1, 0, bins + 1)
    both = jnp.stack([gain, counts], axis=1)
    sums = jnp.zeros((bins + 2, 2), gain.dtype)
    sums = sums.at[slot].add(both, mode="promise_in_bounds")
    on_from = _from_bin(sums[:, 0])[1:-1]
    distance = jnp.abs(_below_bin(sums[:, 1])[1:-1] - position)
    allowed = distance <= jnp.maximum(window, jnp.min(distance))
    best = jnp.argmax(jnp.where(allowed, on_from, _least(gain.dtype)))
    return Cut(on_from[best], _edge(start, best, fine))


def between(projection: Array, threshold: Array) -> Array:
    """Moves a threshold to the middle of its gap, without crossing a row.

    Args:
        projection: f32 [n], every row the unit will be judged on.
        threshold: f32 [].

    Returns:
        f32 [], the middle of the gap, moved by at most half a unit to a half-integer
        where the gap holds one: no row with whole-numbered projection, seen or
        unseen, can then lie nearer than half a unit. Beyond the outermost row, half
        a unit from it.
    """
    below, above = _gap(projection, threshold, jnp.bool(True))
    middle = below + (above - below) / 2
    half = jnp.floor(middle) + 0.5
    return jnp.where((below < half) & (half < above), half, middle)


def settled(projection: Array, counts: Array, threshold: Array) -> Array:
    """Moves a threshold found on a sample to where it belongs for all rows.

    That is `between` all rows, nearest to the middle of its gap in the sample.

    Args:
        projection: f32 [n].
        counts: i32 [n], 1 for rows of the sample, 0 for others.
        threshold: f32 [].

    Returns:
        f32 [], with every row of the sample on its side.
    """
    below, above = _gap(projection, threshold, counts > 0)
    return between(projection, below + (above - below) / 2)


def _gap(projection: Array, threshold: Array, among: Array) -> tuple[Array, Array]:
    """The nearest projections to each side; beyond the outermost, one unit off."""
    on = projection > threshold
    below = jnp.max(jnp.where(among & ~on, projection, -jnp.inf))
    above = jnp.min(jnp.where(among & on, projection, jnp.inf))
    below = jnp.where(jnp.isfinite(below), below, above - 1)
    return below, jnp.where(jnp.isfinite(above), above, below + 1)


def _shift(span: Array, bins: int) -> Array:
    """The least shift after which `span` whole numbers fit in `bins` bins."""
    powers = jnp.arange(31, dtype=jnp.int32)
    return jnp.sum((span - 1) >> powers >= bins, dtype=jnp.int32)


def _edge(start: Array, index: Array, shift: Array) -> Array:
    return (start + (index.astype(jnp.int32) << shift)).astype(jnp.float32) - 0.5


def _from_bin(values: Array) -> Array:
    """Sums from each bin on, and the empty sum after the last: [bins + 1]."""
    return jnp.append(jnp.cumsum(values[::-1])[::-1], jnp.zeros(1, values.dtype))


def _below_bin(values: Array) -> Array:
    """Sums of the bins before each, and of all: [bins + 1]."""
    return jnp.concatenate([jnp.zeros(1, values.dtype), jnp.cumsum(values)])


def _least(dtype: jnp.dtype) -> Array:
    """A value below any sum of gains."""
    if jnp.issubdtype(dtype, jnp.floating):
        return jnp.array(-jnp.inf, dtype)
    return jnp.array(jnp.iinfo(dtype).min, dtype)
