"""What a compiled search is made of, and the numbers that it takes as values.

Runs whose configs share a `Program` are compiled once, and go one after the other or
side by side in a grid, each with its own `Tuning`.
"""

import dataclasses
from fractions import Fraction
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from zeroone_jax.coordinate_descent.config import Choices, Config
from zeroone_jax.types import Array

LEVELS = 255.0
"""Levels of an 8-bit pixel; the solver counts features in levels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program(Choices):
    """All of a config that is compiled in: counts and names.

    Attributes:
        hidden_steps: how many step sizes are tried on a hidden unit.
        begins_balanced: whether "schedule" keeps any iteration balanced.
        adversarial: whether rows are joined by their adversaries.
        certified: whether rows must be right in a whole ball.
    """

    hidden_steps: int
    begins_balanced: bool
    adversarial: bool
    certified: bool


class Share(NamedTuple):
    """A share of rows as a fraction: .29 of 100 is 29, which floats fall short of.

    Attributes:
        parts: i32 [], the numerator, at least 0.
        whole: i32 [], the denominator, at most 2**15, so that all products of
            `sample_rows` stay within i32.
    """

    parts: Array
    whole: Array


class Tuning(NamedTuple):
    """The numbers of a config, as values.

    Attributes:
        iterations: i32 [], how many there are in all.
        balanced: i32 [], the first iterations, which "schedule" keeps balanced.
        ramp: i32 [], the first iterations, in which the ball grows.
        hidden_steps: f32 [s], step sizes on a hidden unit, relative to its norm.
        reach: f32 [], what the largest of them adds to a projection, relative to the
            unit's norm, on a pixel of full range.
        output_step: f32 [], step size on the output unit, relative to its norm.
        rows: share of each class's rows that an iteration sees.
        adversarial_shift: f32 [], length of an adversary's step, in levels.
        radius: f32 [], of the certified 01 loss, in levels.
    """

    iterations: Array
    balanced: Array
    ramp: Array
    hidden_steps: Array
    reach: Array
    output_step: Array
    rows: Share
    adversarial_shift: Array
    radius: Array


def program_of(config: Config) -> Program:
    """The program of settings; equal for runs that can share one. Starts no backend."""
    choices = dataclasses.fields(Choices)
    return Program(
        **{field.name: getattr(config, field.name) for field in choices},
        hidden_steps=len(config.hidden_steps),
        begins_balanced=_balanced(config) > 0,
        adversarial=config.adversarial_step > 0,
        certified=config.epsilon > 0,
    )


def split(config: Config) -> tuple[Program, Tuning]:
    """Splits settings into the program that is compiled and the values it takes."""
    steps = np.array(config.hidden_steps, np.float32)
    # A product of its own: no compiler can choose how a longer one is rounded.
    reach = steps.max() * np.float32(LEVELS)
    return program_of(config), Tuning(
        jnp.int32(config.iterations),
        jnp.int32(_balanced(config)),
        jnp.int32(int(config.ramp * config.iterations)),
        jnp.asarray(steps),
        jnp.asarray(reach),
        jnp.float32(config.output_step),
        share_of(config.rows),
        jnp.float32(config.adversarial_step * LEVELS),
        jnp.float32(config.epsilon * LEVELS),
    )


def _balanced(config: Config) -> int:
    """How many iterations "schedule" keeps balanced."""
    return round(config.balanced_share * config.iterations)


def share_of(rows: float) -> Share:
    """The nearest fraction to a number from 0 to 1."""
    parts, whole = Fraction(rows).limit_denominator(2**15).as_integer_ratio()
    return Share(jnp.int32(parts), jnp.int32(whole))
