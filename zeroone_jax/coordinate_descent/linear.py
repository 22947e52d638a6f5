"""One step on a linear 01 classifier, on clean or adversarial rows (SCD01)."""

import jax
import jax.numpy as jnp

from zeroone_jax.coordinate_descent import ball, hidden_unit
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.problem import (
    Problem,
    class_weights,
    correct_rows,
    sample_rows,
)
from zeroone_jax.coordinate_descent.program import LEVELS, Program, Tuning
from zeroone_jax.coordinate_descent.state import (
    Info,
    State,
    class_gain,
    halved,
    keep_best,
)
from zeroone_jax.types import Array, Key


def step(
    key: Key,
    state: State,
    data: Problem,
    drawn: Array,
    program: Program,
    tuning: Tuning,
) -> tuple[State, Info]:
    """One iteration for a linear model: its only unit is visited.

    Under adversarial training by s, every row x of label y (-1 or 1) is joined by
    clip(x - s y w, 0, 1) for the unit weights w before the step (2002.03444), whole
    levels of 255; the search samples both and the pocket is kept by both.

    Args and returns are those of `coordinate_descent.step`.
    """
    rows_key, tries_key = jax.random.split(key)
    network, rows = state.network, data.labels.shape[0]
    counts = sample_rows(rows_key, data, tuning.rows)
    weights = class_weights(data, program, state.iteration < tuning.balanced)
    before = hidden_unit.Unit(network.w1[0], network.t1[0], state.projection[0])
    unit, labels = before, data.labels

    def levels_of(coordinates: Array) -> Array:
        return data.levels[coordinates]

    if program.adversarial:
        shift = _adversarial_shift(network.w1[0], tuning)
        unit = before._replace(
            projection=jnp.append(
                before.projection, _adversarial_projection(before.weights, shift, data)
            )
        )
        labels, counts = jnp.append(labels, labels), jnp.append(counts, counts)

        def levels_of(coordinates: Array) -> Array:
            clean = data.levels[coordinates]
            moved = _adversarial_levels(clean, shift[coordinates], data.labels)
            return jnp.concatenate([clean, moved], axis=1)

    judged = data._replace(labels=labels)
    met = hidden_unit.Rows(
        levels_of,
        data.mean,
        counts * class_gain(judged, weights),
        counts,
        ball.signed(ball.radii(data, tuning, state.iteration), 1.0, labels),
        data.extent,
    )
    visited = hidden_unit.visit(tries_key, unit, met, drawn, program, tuning)
    correct = correct_rows(
        judged, met.judged(visited.unit, program) > visited.unit.threshold
    )
    clean = visited.unit._replace(projection=visited.unit.projection[:rows])
    moved = state._replace(
        network=network._replace(w1=clean.weights[None], t1=clean.threshold[None]),
        iteration=state.iteration + 1,
    )
    kept = keep_best(moved, correct, weights, program, tuning)
    after = halved(clean, data, program)
    kept = kept._replace(
        network=network._replace(w1=after.weights[None], t1=after.threshold[None]),
        projection=after.projection[None],
    )
    return kept, Info(
        jnp.sum(kept.pocket_correct) / labels.shape[0],
        visited.moves > 0,
        jnp.bool(False),
        (visited.unit.threshold != before.threshold).astype(jnp.int32),
        visited.moves,
    )


def _adversarial_shift(weights: Array, tuning: Tuning) -> Array:
    """The shift s w in whole levels, f32 [d], for unit weights w."""
    return jnp.round(weights * (tuning.adversarial_shift / lattice.norm(weights)))


def _adversarial_levels(levels: Array, shift: Array, labels: Array) -> Array:
    """Levels f32 [c, n] moved against their labels by shifts [c], within range."""
    sign = (2 * labels - 1).astype(jnp.float32)
    return jnp.clip(levels - shift[:, None] * sign[None, :], 0.0, LEVELS)


def _adversarial_projection(weights: Array, shift: Array, data: Problem) -> Array:
    """Projections f32 [n] of the adversarial rows."""
    moved = _adversarial_levels(data.levels, shift, data.labels)
    return lattice.project(weights[None], moved)[0]
