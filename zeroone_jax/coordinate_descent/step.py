"""Stochastic coordinate descent on one 01 network: `init` and `step` (A2)."""

import jax
import jax.numpy as jnp

from zeroone_jax.coordinate_descent import (
    ball,
    cross_entropy,
    hidden_unit,
    linear,
    output_unit,
    threshold,
)
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.network import Network
from zeroone_jax.coordinate_descent.problem import (
    Problem,
    class_weights,
    correct_rows,
    sample_rows,
)
from zeroone_jax.coordinate_descent.program import Program, Tuning
from zeroone_jax.coordinate_descent.state import (
    Info,
    State,
    class_gain,
    halved,
    keep_best,
)
from zeroone_jax.types import Array, Key


def init(key: Key, data: Problem, program: Program) -> State:
    """Draws a network and, if `centred_start`, fits its thresholds (A2, INIT).

    Args:
        key: random key.
        data: the training set, labels 0 and 1.
        program: what is compiled in.

    Returns:
        The `State` before the first step; its pocket is the first network.
    """
    weights_key, order_key = jax.random.split(key)
    network = lattice.random_weights(weights_key, data.levels.shape[0], program)
    projection = lattice.project(network.w1, data.levels)
    if program.centred_start:
        middle = jnp.mean(projection, axis=1)
        network = network._replace(t1=jax.vmap(threshold.between)(projection, middle))
        if program.hidden > 0:
            network = _fit_thresholds(order_key, network, projection, data, program)
    correct = correct_rows(data, predict(network, projection))
    if program.certified:
        # None is counted in its balls before they have their full size.
        correct = jnp.zeros_like(correct)
    return State(network, projection, network, correct, jnp.int32(0))


def step(
    key: Key,
    state: State,
    data: Problem,
    drawn: Array,
    program: Program,
    tuning: Tuning,
) -> tuple[State, Info]:
    """One iteration of A2: the output unit, a random hidden unit, the pocket.

    Args:
        key: random key of this iteration.
        state: the state before it.
        data: the training set, labels 0 and 1.
        drawn: i32 [features], the coordinates this iteration may move, as
            `draw_coordinates` gives them; networks that search side by side may
            share them.
        program: what is compiled in, and
        tuning: the values that it takes, as `split` gives both.

    Returns:
        The state after it and its `Info`.
    """
    if program.hidden == 0:
        return linear.step(key, state, data, drawn, program, tuning)
    rows_key, output_key, unit_key, tries_key = jax.random.split(key, 4)
    counts = sample_rows(rows_key, data, tuning.rows)
    early = state.iteration < tuning.balanced
    weights = class_weights(data, program, early)
    radius = ball.radii(data, tuning, state.iteration)
    w1, t1 = state.network.w1, state.network.t1
    hidden = ball.hidden(state.projection, w1, t1, data.labels, radius, program)
    output, output_accepted = output_unit.visit(
        output_key,
        output_unit.Output(
            state.network.w2,
            state.network.t2,
            hidden.sums(state.network.w2),
        ),
        hidden,
        data.labels,
        counts * class_gain(data, weights),
        counts,
        program,
        tuning,
    )
    network = state.network._replace(w2=output.weights, t2=output.threshold)

    unit = jax.random.randint(unit_key, (), 0, program.hidden)
    others = output.sums - hidden.part(unit, network.w2[unit])
    gain = counts * _gain(others, network.w2[unit], network.t2, data, weights, program)
    before = hidden_unit.Unit(
        network.w1[unit], network.t1[unit], state.projection[unit]
    )
    rows = hidden_unit.Rows(
        lambda moved: data.levels[moved],
        data.mean,
        gain,
        counts,
        ball.signed(radius, network.w2[unit], data.labels),
        data.extent,
    )
    visited = hidden_unit.visit(tries_key, before, rows, drawn, program, tuning)
    after = halved(visited.unit, data, program)
    network = network._replace(
        w1=network.w1.at[unit].set(after.weights),
        t1=network.t1.at[unit].set(after.threshold),
    )
    on = (rows.judged(after, program) > after.threshold).astype(jnp.float32)
    correct = correct_rows(data, others + network.w2[unit] * on > network.t2)
    moved = state._replace(
        network=network,
        projection=state.projection.at[unit].set(after.projection),
        iteration=state.iteration + 1,
    )
    kept = keep_best(moved, correct, weights, program, tuning)
    threshold_moves = (after.threshold != before.threshold).astype(jnp.int32) + (
        network.t2 != state.network.t2
    ).astype(jnp.int32)
    return kept, Info(
        jnp.sum(kept.pocket_correct) / data.labels.shape[0],
        visited.moves > 0,
        output_accepted,
        threshold_moves,
        visited.moves + output_accepted.astype(jnp.int32),
    )


def predict(network: Network, projection: Array) -> Array:
    """Whether each row is class 1, bool [n], from projections [h, n]."""
    hidden = lattice.hidden_values(projection, network.t1)
    return lattice.output_sums(network.w2, hidden) > network.t2


def _fit_thresholds(
    key: Key, network: Network, projection: Array, data: Problem, program: Program
) -> Network:
    """Fits the output's threshold, then each hidden one, in random order."""
    weights = class_weights(data, program, jnp.bool(program.begins_balanced))
    counts = jnp.ones_like(data.labels)
    hidden = lattice.hidden_values(projection, network.t1)
    sums = lattice.output_sums(network.w2, hidden)
    fitted = output_unit.fit_threshold(
        sums, data.labels, class_gain(data, weights), counts, program
    )
    network = network._replace(t2=threshold.between(sums, fitted.threshold))

    def fit_one(
        carry: tuple[Array, Array], unit: Array
    ) -> tuple[tuple[Array, Array], None]:
        thresholds, sums = carry
        on = (projection[unit] > thresholds[unit]).astype(jnp.float32)
        others = sums - network.w2[unit] * on
        gain = _gain(others, network.w2[unit], network.t2, data, weights, program)
        best = threshold.best_threshold(projection[unit], gain)
        better = best.gain > jnp.sum(gain * on.astype(jnp.int32), dtype=jnp.int32)
        cut = jnp.where(better, best.threshold, thresholds[unit])
        cut = threshold.between(projection[unit], cut)
        on = (projection[unit] > cut).astype(jnp.float32)
        return (thresholds.at[unit].set(cut), others + network.w2[unit] * on), None

    order = jax.random.permutation(key, program.hidden)
    (thresholds, _), _ = jax.lax.scan(fit_one, (network.t1, sums), order)
    return network._replace(t1=thresholds)


def _gain(
    others: Array,
    weight: Array,
    cut: Array,
    data: Problem,
    weights: Array,
    program: Program,
) -> Array:
    """What the score gains when a hidden unit is on rather than off: i32 [n].

    Only pivotal rows gain under the 01 loss: those whose output the unit decides.
    """
    if program.loss == "cross_entropy":
        scale = lattice.output_scale(program)
        off = cross_entropy.losses(others, cut, data.labels, scale)
        return off - cross_entropy.losses(others + weight, cut, data.labels, scale)
    change = (others + weight > cut).astype(jnp.int32) - (others > cut).astype(
        jnp.int32
    )
    return change * class_gain(data, weights)
