"""The certified 01 loss: rows that are right in all of the ball around them.

In a ball of radius r a unit with weights w is on everywhere if its projection exceeds
its threshold by more than r |w|*, off everywhere if it falls short by as much, and may
be either otherwise; |.|* is the dual norm, L2 for a ball of L2 and L1 for one of Linf.
A row counts as right if the output says so whatever such units do, each on its own: a
sufficient condition, in one hidden layer.

What a unit does that may do either is what hurts the row most: it is off where it
speaks for the row's class, and on where it speaks against it. So a row is judged by a
unit as if its projection were shifted by r |w|*, against its class: this is all that
the search of the ordinary 01 loss has to be told.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.problem import Problem
from zeroone_jax.coordinate_descent.program import Program, Tuning
from zeroone_jax.types import Array

_PARTS = 64.0
"""Radii are rounded up to so many parts of a unit, so that their sums are exact."""


class Hidden(NamedTuple):
    """What hidden units say of each row to the output.

    Attributes:
        values: f32 [h, n], 0 or 1, as an input with a positive weight counts them.
        negative: f32 [h, n], as one with a negative weight does; None if that is the
            same, without a ball.
    """

    values: Array
    negative: Array | None

    def sums(self, weights: Array) -> Array:
        """The output's sums f32 [n] for weights f32 [h], at worst in the ball."""
        if self.negative is None:
            return lattice.output_sums(weights, self.values)
        positive = lattice.output_sums(jnp.maximum(weights, 0), self.values)
        return positive + lattice.output_sums(jnp.minimum(weights, 0), self.negative)

    def part(self, unit: Array, weight: Array) -> Array:
        """What a unit of that weight adds to the sums, f32 [n]."""
        if self.negative is None:
            return weight * self.values[unit]
        positive = jnp.maximum(weight, 0) * self.values[unit]
        return positive + jnp.minimum(weight, 0) * self.negative[unit]


def radii(data: Problem, tuning: Tuning, iteration: Array) -> Array | None:
    """The radius of the ball around each row at an iteration.

    Args:
        data: the rows; `data.ball` has the radii of their own.
        tuning: its `radius` holds for rows that have none of their own below it, and
            its `ramp` says when it is reached.
        iteration: i32 [].

    Returns:
        f32 [n] in units of coordinates, with what their rounding needs; None where
        rows are judged as they are.
    """
    ball = data.ball
    if ball is None:
        return None
    full = jnp.minimum(tuning.radius * ball.scale, ball.own)
    grown = jnp.minimum(iteration / jnp.maximum(tuning.ramp, 1), 1.0)
    full = full * jnp.where(tuning.ramp > 0, grown, 1.0)
    return jnp.ceil(full * _PARTS) / _PARTS + ball.rounding


def signed(radius: Array | None, weight: Array | float, labels: Array) -> Array | None:
    """Radii, negative for rows whose projections the adversary raises.

    Args:
        radius: f32 [n], or None without balls.
        weight: f32 [], the output's for the unit.
        labels: i32 [n], 0 or 1.

    Returns:
        f32 [n], or None.
    """
    if radius is None:
        return None
    return jnp.where((weight > 0) == (labels == 1), radius, -radius)


def shifted(projection: Array, radius: Array, length: Array) -> Array:
    """Projections as the unit judges them.

    Args:
        projection: f32 [n], whole numbers.
        radius: f32 [n], negative where the shift is upwards.
        length: f32 [], the dual norm of the unit's weights.

    Returns:
        f32 [n]. Shifts are rounded up to whole numbers, so that a row on either side of
        a threshold between two of them is there in all of its ball.
    """
    return projection - jnp.sign(radius) * jnp.ceil(jnp.abs(radius) * length)


def hidden(
    projection: Array,
    w1: Array,
    t1: Array,
    labels: Array,
    radius: Array | None,
    program: Program,
) -> Hidden:
    """What all hidden units say of each row.

    Args:
        projection: f32 [h, n].
        w1: f32 [h, d].
        t1: f32 [h].
        labels: i32 [n], 0 or 1.
        radius: f32 [n], or None without a ball.
        program: its `ball`.
    """
    down = signed(radius, 1.0, labels)
    if down is None:
        return Hidden(lattice.hidden_values(projection, t1), None)
    length = dual_norm(w1, program)
    of_units = jax.vmap(shifted, (0, None, 0))
    return Hidden(
        lattice.hidden_values(of_units(projection, down, length), t1),
        lattice.hidden_values(of_units(projection, -down, length), t1),
    )


def dual_norm(weights: Array, program: Program) -> Array:
    """By how much a step of length 1 in the ball's norm moves a projection, at most.

    Args:
        weights: f32 [..., d], whole numbers.
        program: its `ball`.
    """
    if program.ball == "linf":
        return jnp.sum(jnp.abs(weights), axis=-1)
    return lattice.norm(weights)
