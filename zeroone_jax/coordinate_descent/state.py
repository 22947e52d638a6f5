"""The state of the search for one network, and what every step does to it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax.coordinate_descent import hidden_unit, threshold
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.network import Network
from zeroone_jax.coordinate_descent.problem import Problem
from zeroone_jax.coordinate_descent.program import Program, Tuning
from zeroone_jax.types import Array


class State(NamedTuple):
    """The state of the search for one network.

    Attributes:
        network: the network that the search moves.
        projection: f32 [h, n], of every row on every hidden unit.
        pocket: the best network so far, on all rows.
        pocket_correct: i32 [2], rows of class 0 and of class 1 it gets right; with
            adversarial training, clean and adversarial ones.
        iteration: i32 [], steps taken.
    """

    network: Network
    projection: Array
    pocket: Network
    pocket_correct: Array
    iteration: Array


class Info(NamedTuple):
    """What one step did, scalars; of a run, arrays [iterations, networks].

    Attributes:
        pocket_accuracy: f32, the pocket's accuracy on the rows it is kept by.
        accepted_hidden: bool, whether a weight of the hidden unit moved.
        accepted_output: bool, whether a weight of the output unit moved.
        threshold_moves: i32, thresholds that changed, at most two.
        weight_moves: i32, accepted moves of single weights.
    """

    pocket_accuracy: Array
    accepted_hidden: Array
    accepted_output: Array
    threshold_moves: Array
    weight_moves: Array

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> "Info":
        """Makes the arrays [*shape] that steps are written into."""
        kinds = (jnp.float32, bool, bool, jnp.int32, jnp.int32)
        return cls(*(jnp.zeros(shape, kind) for kind in kinds))


def class_gain(data: Problem, weights: Array) -> Array:
    """What the score gains when a row's output is class 1: i32 [n]."""
    return jnp.where(data.labels == 1, weights[1], -weights[0])


def keep_best(
    state: State, correct: Array, weights: Array, program: Program, tuning: Tuning
) -> State:
    """Copies the network to the pocket if it is strictly better on all rows.

    Args:
        state: the state after a step, with the pocket from before it.
        correct: i32 [2], rows of each class that the network gets right.
        weights: i32 [2], the weight of a correct row of each class.
        program: its `pocket_every` says when to compare. A network of the certified
            loss is counted at the iteration's radius, and compared at the full one.
        tuning: its `iterations` and `ramp`.

    Returns:
        The state with the better of the two in its pocket.
    """
    score = jnp.sum(weights * correct, dtype=jnp.int32)
    pocket_score = jnp.sum(weights * state.pocket_correct, dtype=jnp.int32)
    last = state.iteration == tuning.iterations
    due = (state.iteration % program.pocket_every == 0) | last
    if program.certified:
        due &= state.iteration > tuning.ramp
    better = due & (score > pocket_score)
    pocket = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), state.network, state.pocket
    )
    pocket_correct = jnp.where(better, correct, state.pocket_correct)
    return state._replace(pocket=pocket, pocket_correct=pocket_correct)


def halved(unit: hidden_unit.Unit, data: Problem, program: Program) -> hidden_unit.Unit:
    """Halves the weights of a unit that has grown beyond the lattice's limit.

    Rounding the halves changes the unit a little, as its projections tell.
    """
    if program.weights == "binary":
        return unit

    def halve(unit: hidden_unit.Unit) -> hidden_unit.Unit:
        weights = jnp.round(unit.weights / 2)
        projection = lattice.project(weights[None], data.levels)[0]
        cut = threshold.between(projection, jnp.round(unit.threshold / 2) + 0.5)
        return hidden_unit.Unit(weights, cut, projection)

    # A loop of at most one turn: under vmap, a condition would always compute both.
    return jax.lax.while_loop(
        lambda unit: lattice.norm(unit.weights) > lattice.LARGEST_HIDDEN_NORM,
        halve,
        unit,
    )
