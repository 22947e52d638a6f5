"""One visit to a hidden unit: sweep its threshold, then try coordinate moves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax.coordinate_descent import ball, threshold
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.problem import Extent
from zeroone_jax.coordinate_descent.program import LEVELS, Program, Tuning
from zeroone_jax.types import Array, Key


class Unit(NamedTuple):
    """A sign unit.

    Attributes:
        weights: f32 [d], whole numbers.
        threshold: f32 [].
        projection: f32 [n], of every row on the weights.
    """

    weights: Array
    threshold: Array
    projection: Array


class Rows(NamedTuple):
    """The rows a visit works on.

    Attributes:
        levels_of: coordinates i32 [c] -> their levels f32 [c, n].
        mean: f32 [d], the mean level of each coordinate, rounded.
        gain: i32 [n], what the score gains when the row's unit is on, 0 for rows
            outside the sample.
        counts: i32 [n], 1 for rows of the sample, 0 for others.
        signed: f32 [n], radii of the balls around rows, negative where the shift is
            upwards (`ball.shifted`); None where rows are judged as they are.
        extent: of coordinates that are not pixels.
    """

    levels_of: Callable[[Array], Array]
    mean: Array
    gain: Array
    counts: Array
    signed: Array | None = None
    extent: Extent | None = None

    def judged(self, unit: Unit, program: Program) -> Array:
        """A unit's projections, as its threshold meets them: f32 [n]."""
        if self.signed is None:
            return unit.projection
        length = ball.dual_norm(unit.weights, program)
        return ball.shifted(unit.projection, self.signed, length)


class Visit(NamedTuple):
    """The outcome of a visit.

    Attributes:
        unit: the unit after it.
        moves: i32 [], coordinate moves accepted.
    """

    unit: Unit
    moves: Array


class _Try(NamedTuple):
    unit: Unit
    gain: Array
    position: Array
    moves: Array
    tries: Array
    going: Array


def visit(
    key: Key, unit: Unit, rows: Rows, drawn: Array, program: Program, tuning: Tuning
) -> Visit:
    """Improves one hidden unit on a sample of rows (A2, "one random hidden unit").

    The best threshold is always taken; then coordinates are moved, the threshold
    fitted anew with each, and the best candidate is taken if it improves the gain.
    With `program.tries` above 1 that repeats, with fresh coordinates, until nothing
    improves.

    Args:
        key: random key, used for the coordinates of repeated tries.
        unit: the unit as it is.
        rows: the rows and what each gains.
        drawn: i32 [features], the coordinates of the first try.
        program: what is compiled in.
        tuning: the step sizes.

    Returns:
        A `Visit`; its threshold sits mid-gap over all rows.
    """
    judged = rows.judged(unit, program)
    swept = _sweep(judged, rows.gain, threshold.bounds_of(judged), program)

    def attempt(state: _Try) -> _Try:
        fresh = draw_coordinates(
            jax.random.fold_in(key, state.tries), unit.weights.shape[0], program
        )
        coordinates = jnp.where(state.tries == 0, drawn, fresh)
        return _attempt(state, rows, coordinates, program, tuning)

    position = _position(judged, swept.threshold, rows.counts)
    zero = jnp.int32(0)
    start = _Try(
        unit._replace(threshold=swept.threshold),
        swept.gain,
        position,
        zero,
        zero,
        jnp.bool(True),
    )
    if program.tries == 1:
        final = _attempt(start, rows, drawn, program, tuning)
    else:
        final = jax.lax.while_loop(
            lambda state: state.going & (state.tries < program.tries), attempt, start
        )
    judged = rows.judged(final.unit, program)
    cut = threshold.settled(judged, rows.counts, final.unit.threshold)
    return Visit(final.unit._replace(threshold=cut), final.moves)


def over_candidates(
    evaluate: Callable[..., Any], candidates: tuple[Array, Array]
) -> Any:
    """Maps over candidates, as many side by side as the platform likes.

    A CPU does best with one at a time, whose rows stay in its cache, an accelerator
    with as many as fit; the results are whole numbers, the same either way. The
    platform is the one that is compiled for.
    """
    most = min(candidates[0].shape[0], 64)

    def at_a_time(batch: int) -> Callable[..., Any]:
        return lambda *arrays: jax.lax.map(evaluate, arrays, batch_size=batch)

    return jax.lax.platform_dependent(
        *candidates, cpu=at_a_time(1), default=at_a_time(most)
    )


def draw_coordinates(key: Key, coordinates: int, program: Program) -> Array:
    """Draws `program.features` of the coordinates without repeats: i32 [features]."""
    bits = jax.random.bits(key, (coordinates,)) >> 8
    # Numbers below 2**24 are exact in float32, for which top_k is fast.
    return jax.lax.top_k(bits.astype(jnp.float32), program.features)[1]


def _attempt(
    state: _Try, rows: Rows, drawn: Array, program: Program, tuning: Tuning
) -> _Try:
    unit = state.unit
    coordinates, deltas = _candidates(unit, rows, drawn, program, tuning)
    bounds = threshold.bounds_of(unit.projection)

    def evaluate(candidate: tuple[Array, Array]) -> threshold.Cut:
        coordinate, delta = candidate
        moved = unit.projection + delta * rows.levels_of(coordinate[None])[0]
        reached = bounds.plus(*_ends(rows, coordinate, delta))
        if rows.signed is not None:
            length = ball.dual_norm(unit.weights.at[coordinate].add(delta), program)
            moved = ball.shifted(moved, rows.signed, length)
            widest = jnp.ceil(jnp.max(jnp.abs(rows.signed)) * length)
            reached = reached.plus(-widest, widest)
        if program.window == 0:
            return _sweep(moved, rows.gain, reached, program)
        return threshold.threshold_near(
            _whole(moved),
            rows.gain,
            rows.counts,
            reached,
            state.position,
            program.window,
        )

    cuts = over_candidates(evaluate, (coordinates, deltas))
    best = jnp.argmax(cuts.gain)
    accepted = cuts.gain[best] > state.gain
    if program.acceptance == "not_worse":
        accepted |= cuts.gain[best] == state.gain
    coordinate = coordinates[best]
    delta = jnp.where(accepted, deltas[best], 0.0)
    # Moves by 0 leave everything exactly as it was.
    moved = Unit(
        unit.weights.at[coordinate].add(delta),
        jnp.where(accepted, cuts.threshold[best], unit.threshold),
        unit.projection + delta * rows.levels_of(coordinate[None])[0],
    )
    return _Try(
        moved,
        jnp.where(accepted, cuts.gain[best], state.gain),
        _position(rows.judged(moved, program), moved.threshold, rows.counts),
        state.moves + accepted.astype(jnp.int32),
        state.tries + 1,
        # Equal moves could go on for ever; only an improvement earns another try.
        cuts.gain[best] > state.gain,
    )


def _candidates(
    unit: Unit, rows: Rows, drawn: Array, program: Program, tuning: Tuning
) -> tuple[Array, Array]:
    """Moves to evaluate: coordinates i32 [c] and what to add to each, f32 [c]."""
    flips = -2 * unit.weights
    if program.search == "screened":
        slope = _slope(unit, rows, drawn, program, tuning)
        if program.weights == "binary":
            slope = slope * flips[drawn]
            # The order among equals is that of drawing: top_k ranks -0 below 0.
            slope = jnp.where(slope == 0, 0.0, slope)
            coordinates = drawn[jax.lax.top_k(slope, program.candidates)[1]]
            return coordinates, flips[coordinates]
        chosen = jax.lax.top_k(jnp.abs(slope), program.candidates)[1]
        # A slope of 0 must not become a move by 0.
        signs = jnp.where(slope[chosen] < 0, -1.0, 1.0)[None, :]
        coordinates = drawn[chosen]
    elif program.weights == "binary":
        return drawn, flips[drawn]
    else:
        coordinates = jnp.concatenate([drawn, drawn])
        signs = jnp.repeat(jnp.array([1.0, -1.0]), drawn.shape[0])[None, :]
    steps = jnp.round(tuning.hidden_steps * _length(unit, program))
    deltas = steps[:, None] * signs
    coordinates = jnp.broadcast_to(coordinates, deltas.shape)
    return coordinates.reshape(-1), deltas.reshape(-1)


def _slope(
    unit: Unit, rows: Rows, drawn: Array, program: Program, tuning: Tuning
) -> Array:
    """First-order gain of each drawn coordinate, up to a common factor: f32 [k].

    The gains of the rows near the threshold, times how far each row's level is from
    the mean level of all: a sum of whole numbers below 2**24 in all but extreme
    cases, hence the same in any batch.
    """
    # A row is near if the largest step, on a pixel of full range, takes it across.
    reach = tuning.reach * _length(unit, program)
    if rows.extent is not None:
        reach = reach * rows.extent.usual
    near = jnp.abs(rows.judged(unit, program) - unit.threshold) < reach
    # Class weights, as small whole numbers.
    size = jnp.abs(rows.gain)
    smallest = jnp.min(jnp.where(size > 0, size, jnp.iinfo(jnp.int32).max))
    size = jnp.minimum((size + smallest // 2) // smallest, 16)
    gain = jnp.where(near, size * jnp.sign(rows.gain), 0).astype(jnp.float32)
    products = jnp.dot(rows.levels_of(drawn), gain, precision="highest")
    return products - rows.mean[drawn] * jnp.sum(gain)


def _ends(rows: Rows, coordinate: Array, delta: Array) -> tuple[Array, Array]:
    """Between what a move changes projections."""
    if rows.extent is None:
        return jnp.zeros_like(delta), delta * LEVELS
    return delta * rows.extent.low[coordinate], delta * rows.extent.high[coordinate]


def _length(unit: Unit, program: Program) -> Array:
    """What step sizes are relative to; cross-entropy never renormalises (A1)."""
    if program.loss == "cross_entropy":
        return jnp.float32(lattice.HIDDEN_NORM)
    return lattice.norm(unit.weights)


def _sweep(
    projection: Array, gain: Array, bounds: threshold.Bounds, program: Program
) -> threshold.Cut:
    if program.bins == 0:
        best = threshold.best_threshold(projection, gain)
        return threshold.Cut(best.gain, best.threshold)
    return threshold.binned_threshold(_whole(projection), gain, bounds, program.bins)


def _position(projection: Array, cut: Array, counts: Array) -> Array:
    return jnp.sum(jnp.where(projection > cut, 0, counts), dtype=jnp.int32)


def _whole(projection: Array) -> Array:
    return jnp.round(projection).astype(jnp.int32)
