"""Models as pure functions of their parameters, and parts for models of one's own.

`sign` and `spread` are for networks of signs, `convolve` for convolutions that are fast
where attacks and training ask for them, `contrast` for images in black and white.
"""

from zeroone_jax.models import zero_one
from zeroone_jax.models.classifier import Classifier
from zeroone_jax.models.contrast import contrast
from zeroone_jax.models.convolution import convolve
from zeroone_jax.models.ensemble import Ensemble
from zeroone_jax.models.network import Network, Trained, Variables
from zeroone_jax.models.pretrained import PRETRAINED, Pretrained, pretrained
from zeroone_jax.models.registry import available, build
from zeroone_jax.models.sign import sign, spread
from zeroone_jax.models.sign_networks import sign_networks

__all__ = [
    "PRETRAINED",
    "Classifier",
    "Ensemble",
    "Network",
    "Pretrained",
    "Trained",
    "Variables",
    "available",
    "build",
    "contrast",
    "convolve",
    "pretrained",
    "sign",
    "sign_networks",
    "spread",
    "zero_one",
]
