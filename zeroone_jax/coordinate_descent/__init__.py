"""Trains 01 networks without gradients, by stochastic coordinate descent."""

from zeroone_jax.coordinate_descent.config import PRESETS, Config
from zeroone_jax.coordinate_descent.ensemble import SEGMENT, Search
from zeroone_jax.coordinate_descent.hidden_unit import draw_coordinates
from zeroone_jax.coordinate_descent.problem import Problem, prepare
from zeroone_jax.coordinate_descent.state import Info, State
from zeroone_jax.coordinate_descent.step import init, step
from zeroone_jax.coordinate_descent.train import History, Result, fit, initial

__all__ = [
    "PRESETS",
    "SEGMENT",
    "Config",
    "History",
    "Info",
    "Problem",
    "Result",
    "Search",
    "State",
    "draw_coordinates",
    "fit",
    "init",
    "initial",
    "prepare",
    "step",
]
