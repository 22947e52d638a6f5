"""Exact and certified distances of 01 networks, and the sharpening of adversaries."""

from zeroone_jax.verification.distances import Config
from zeroone_jax.verification.many import Distances, measure
from zeroone_jax.verification.polish import CellPolishing as cell_polishing

__all__ = ["Config", "Distances", "cell_polishing", "measure"]
