"""Exact and certified distances, and the sharpening of adversaries."""

from zeroone_jax.verification.counts import counted
from zeroone_jax.verification.distances import Config
from zeroone_jax.verification.kept import Bounds, bounds
from zeroone_jax.verification.many import Distances, measure
from zeroone_jax.verification.polish import CellPolishing as cell_polishing
from zeroone_jax.verification.smoothing import Smoothed, smoothed

__all__ = [
    "Bounds",
    "Config",
    "Distances",
    "Smoothed",
    "bounds",
    "cell_polishing",
    "counted",
    "measure",
    "smoothed",
]
