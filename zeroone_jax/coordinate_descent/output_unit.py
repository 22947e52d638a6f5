"""One visit to the output unit: fit its threshold and try moves of its weights."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax.coordinate_descent import cross_entropy, threshold
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.ball import Hidden
from zeroone_jax.coordinate_descent.hidden_unit import over_candidates
from zeroone_jax.coordinate_descent.program import Program, Tuning
from zeroone_jax.types import Array, Key


class Output(NamedTuple):
    """The output unit and what it sees.

    Attributes:
        weights: f32 [h], whole numbers.
        threshold: f32 [].
        sums: f32 [n], weighted sums of the hidden values, whole numbers.
    """

    weights: Array
    threshold: Array
    sums: Array


class Visit(NamedTuple):
    """The outcome of a visit.

    Attributes:
        output: the unit after it, its threshold mid-gap over all rows.
        accepted: bool [], whether a weight moved.
    """

    output: Output
    accepted: Array


class Fit(NamedTuple):
    """A threshold fitted to sums.

    Attributes:
        score: i32 [], what is maximised, up to a constant: the gain, or minus the
            cross-entropy.
        threshold: f32 [].
    """

    score: Array
    threshold: Array


def fit_threshold(
    sums: Array, labels: Array, gain: Array, counts: Array, program: Program
) -> Fit:
    """Fits the output's threshold among all.

    Args:
        sums: f32 [n], whole numbers.
        labels: i32 [n], 0 or 1.
        gain: i32 [n], what the score gains when the row's output is class 1.
        counts: i32 [n], 1 for rows that count, 0 for others.
        program: its `loss` decides what is fitted.

    Returns:
        A `Fit`.
    """
    if program.loss == "cross_entropy":
        scale = lattice.output_scale(program)
        cut, _ = cross_entropy.best_shift(sums, labels, counts, scale)
        cut = threshold.settled(sums, counts, cut)
        total = jnp.sum(
            counts * cross_entropy.losses(sums, cut, labels, scale), dtype=jnp.int32
        )
        return Fit(-total, cut)
    whole, bounds = sums.astype(jnp.int32), threshold.bounds_of(sums)
    return Fit(*threshold.binned_threshold(whole, gain, bounds, _bins(program)))


def visit(
    key: Key,
    output: Output,
    hidden: Hidden,
    labels: Array,
    gain: Array,
    counts: Array,
    program: Program,
    tuning: Tuning,
) -> Visit:
    """Improves the output unit on a sample of rows (A2, "output unit").

    Args:
        key: random key, to choose among the moves where not all are tried.
        output: the unit as it is.
        hidden: what its inputs say.
        labels: i32 [n], 0 or 1.
        gain: i32 [n], what the score gains when the row's output is class 1, 0 for
            rows outside the sample.
        counts: i32 [n], 1 for rows of the sample, 0 for others.
        program: what is compiled in.
        tuning: the step sizes.

    Returns:
        A `Visit`. The threshold is fitted anew whether or not a weight moved.
    """
    current = fit_threshold(output.sums, labels, gain, counts, program)
    off = (output.sums <= current.threshold).astype(jnp.int32)
    position = jnp.sum(counts * off, dtype=jnp.int32)
    inputs, deltas = _candidates(key, output.weights, program, tuning)
    bounds = threshold.bounds_of(output.sums)

    def evaluate(candidate: tuple[Array, Array]) -> Array:
        unit, delta = candidate
        sums = _moved(output, hidden, unit, delta)
        if program.window > 0 and program.loss == "zero_one":
            whole = sums.astype(jnp.int32)
            return threshold.threshold_near(
                whole,
                gain,
                counts,
                bounds.plus(jnp.zeros_like(delta), delta),
                position,
                program.window,
                _bins(program),
            ).gain
        return fit_threshold(sums, labels, gain, counts, program).score

    scores = over_candidates(evaluate, (inputs, deltas))
    best = jnp.argmax(scores)
    accepted = scores[best] > current.score
    if program.acceptance == "not_worse":
        accepted |= scores[best] == current.score
    moved = output.weights.at[inputs[best]].add(deltas[best])
    if program.weights == "real" and program.loss == "zero_one":
        moved = jnp.round(moved * (lattice.OUTPUT_NORM / lattice.norm(moved)))
    weights = jnp.where(accepted, moved, output.weights)
    sums = hidden.sums(weights)
    fitted = fit_threshold(sums, labels, gain, counts, program).threshold
    cut = threshold.settled(sums, counts, fitted)
    return Visit(Output(weights, cut, sums), accepted)


def _candidates(
    key: Key, weights: Array, program: Program, tuning: Tuning
) -> tuple[Array, Array]:
    """Moves to evaluate: inputs i32 [c] and what to add to their weights, f32 [c]."""
    inputs = jnp.arange(weights.shape[0], dtype=jnp.int32)
    if program.weights == "binary":
        deltas = -2 * weights
    else:
        # Cross-entropy never renormalises, so its step is absolute (A1).
        absolute = program.loss == "cross_entropy"
        length = lattice.OUTPUT_NORM if absolute else lattice.norm(weights)
        step = jnp.round(tuning.output_step * length)
        deltas = jnp.repeat(jnp.array([1.0, -1.0]), weights.shape[0]) * step
        inputs = jnp.concatenate([inputs, inputs])
    if 0 < program.output_candidates < deltas.shape[0]:
        chosen = jax.random.permutation(key, deltas.shape[0])
        chosen = chosen[: program.output_candidates]
        return inputs[chosen], deltas[chosen]
    return inputs, deltas


def _moved(output: Output, hidden: Hidden, unit: Array, delta: Array) -> Array:
    """The sums after a weight has moved."""
    if hidden.negative is None:
        return output.sums + delta * hidden.values[unit]
    before = output.weights[unit]
    return output.sums - hidden.part(unit, before) + hidden.part(unit, before + delta)


def _bins(program: Program) -> int:
    """Bins enough for every sum: |w|_1 <= sqrt(h) |w|_2, and rounding."""
    units = max(program.hidden, 1)
    widest = math.sqrt(units) * lattice.OUTPUT_NORM + units
    return 2 ** math.ceil(math.log2(widest + 2))
