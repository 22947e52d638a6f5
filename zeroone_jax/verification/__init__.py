"""Exact and certified distances, and the sharpening of adversaries."""

from zeroone_jax.verification.distances import Config
from zeroone_jax.verification.many import Distances, measure
from zeroone_jax.verification.polish import CellPolishing as cell_polishing
from zeroone_jax.verification.smoothing import Smoothed, smoothed

__all__ = [
    "Config",
    "Distances",
    "Smoothed",
    "cell_polishing",
    "measure",
    "smoothed",
]
