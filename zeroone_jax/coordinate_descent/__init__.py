"""Trains 01 networks without gradients, by stochastic coordinate descent."""

from zeroone_jax.coordinate_descent.config import PRESETS, Config
from zeroone_jax.coordinate_descent.ensemble import SEGMENT, Search
from zeroone_jax.coordinate_descent.hidden_unit import draw_coordinates
from zeroone_jax.coordinate_descent.problem import Problem, check, prepare
from zeroone_jax.coordinate_descent.program import Program, Tuning, program_of, split
from zeroone_jax.coordinate_descent.sensible import CERTIFICATE, sensible_radii
from zeroone_jax.coordinate_descent.state import Info, State
from zeroone_jax.coordinate_descent.step import init, step
from zeroone_jax.coordinate_descent.train import Grid, Result, fit

__all__ = [
    "CERTIFICATE",
    "PRESETS",
    "SEGMENT",
    "Config",
    "Grid",
    "Info",
    "Problem",
    "Program",
    "Result",
    "Search",
    "State",
    "Tuning",
    "check",
    "draw_coordinates",
    "fit",
    "init",
    "prepare",
    "program_of",
    "sensible_radii",
    "split",
    "step",
]
