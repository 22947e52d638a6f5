"""Models as pure functions of their parameters, and parts for models of one's own.

`sign` and `spread` are for networks of signs, `convolve` for convolutions that are fast
where attacks and training ask for them.
"""

from zeroone_jax.models import cnn, mlp, zero_one
from zeroone_jax.models.convolution import convolve
from zeroone_jax.models.ensemble import Ensemble
from zeroone_jax.models.network import Network, Variables
from zeroone_jax.models.registry import available, build
from zeroone_jax.models.sign import sign, spread

__all__ = [
    "Ensemble",
    "Network",
    "Variables",
    "available",
    "build",
    "cnn",
    "convolve",
    "mlp",
    "sign",
    "spread",
    "zero_one",
]
