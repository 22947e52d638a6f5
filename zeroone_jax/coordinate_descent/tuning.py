"""The settings that a compiled search takes as values: step sizes and share of rows.

Runs whose configs differ in nothing else share a program, one after the other or side
by side in a grid.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from zeroone_jax.coordinate_descent.config import Config
from zeroone_jax.coordinate_descent.problem import LEVELS, Share, share_of
from zeroone_jax.types import Array

TUNED = ("hidden_steps", "output_step", "rows")
"""The fields of a `Config` that a `Tuning` holds."""


class Tuning(NamedTuple):
    """Settings of one run, as values.

    Attributes:
        hidden_steps: f32 [s], step sizes on a hidden unit, relative to its norm.
        reach: f32 [], what the largest of them adds to a projection, relative to the
            unit's norm, on a pixel of full range.
        output_step: f32 [], step size on the output unit, relative to its norm.
        rows: share of each class's rows that an iteration sees.
    """

    hidden_steps: Array
    reach: Array
    output_step: Array
    rows: Share


def tuning_of(config: Config) -> Tuning:
    """The values of a config."""
    steps = np.array(config.hidden_steps, np.float32)
    # A product of its own: no compiler can choose how a longer one is rounded.
    reach = steps.max() * np.float32(LEVELS)
    return Tuning(
        jnp.asarray(steps),
        jnp.asarray(reach),
        jnp.float32(config.output_step),
        share_of(config.rows),
    )


def program_of(config: Config) -> Config:
    """A config without its values: equal for runs that share a program."""
    return dataclasses.replace(
        config,
        hidden_steps=(1.0,) * len(config.hidden_steps),
        output_step=1.0,
        rows=1.0,
    )
