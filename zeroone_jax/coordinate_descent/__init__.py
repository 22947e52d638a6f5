"""Trains 01 networks without gradients, by stochastic coordinate descent."""

from zeroone_jax.coordinate_descent.config import PRESETS, Config
from zeroone_jax.coordinate_descent.ensemble import SEGMENT, Search
from zeroone_jax.coordinate_descent.hidden_unit import draw_coordinates
from zeroone_jax.coordinate_descent.problem import Problem, prepare
from zeroone_jax.coordinate_descent.state import Info, State
from zeroone_jax.coordinate_descent.step import init, step
from zeroone_jax.coordinate_descent.train import (
    History,
    Result,
    fit,
    fit_grid,
    initial,
    initial_grid,
)
from zeroone_jax.coordinate_descent.tuning import TUNED, program_of

__all__ = [
    "PRESETS",
    "SEGMENT",
    "TUNED",
    "Config",
    "History",
    "Info",
    "Problem",
    "Result",
    "Search",
    "State",
    "draw_coordinates",
    "fit",
    "fit_grid",
    "init",
    "initial",
    "initial_grid",
    "prepare",
    "program_of",
    "step",
]
