"""Models as pure functions of their parameters."""

from zeroone_jax.models import cnn, mlp, zero_one
from zeroone_jax.models.ensemble import Ensemble
from zeroone_jax.models.network import Network, Variables
from zeroone_jax.models.registry import available, build

__all__ = [
    "Ensemble",
    "Network",
    "Variables",
    "available",
    "build",
    "cnn",
    "mlp",
    "zero_one",
]
