"""The small convolutional network of TRADES (Zhang et al. 2019) for MNIST.

Paper B's MNIST runs use it too (section B3 of our notes).

Example:
    >>> import jax, jax.numpy as jnp
    >>> module = Module()
    >>> x = jnp.zeros((5, 28, 28, 1))
    >>> variables = jax.eval_shape(module.init, jax.random.key(0), x)
    >>> sum(array.size for array in jax.tree.leaves(variables["params"]))
    312202
"""

import functools
from typing import Final

import flax.linen as nn

from zeroone_jax.models.cnn import max_pool
from zeroone_jax.models.convolution import convolve
from zeroone_jax.types import Array

_CHANNELS: Final = (32, 64)
_HIDDEN: Final = 200


class Module(nn.Module):
    """Images float [n, h, w, c] in [0,1] to logits [n, classes].

    Two 3 x 3 convolutions without padding, then pooling, twice; then three dense
    layers, with half of the first one's units dropped in training. Kernels start as
    flax's do (TRADES' program starts with 0 in the last layer, so that the first
    gradients in the images are 0).

    Attributes:
        classes: logits.
    """

    classes: int = 10

    least_size = 16
    """Height and width that leave a pixel after both poolings."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training drops units and needs a key named "dropout"."""
        dense = functools.partial(nn.Dense, param_dtype=x.dtype)
        conv = functools.partial(
            nn.Conv, padding=0, param_dtype=x.dtype, conv_general_dilated=convolve
        )
        for channels in _CHANNELS:
            x = nn.relu(conv(channels, (3, 3))(x))
            # ReLU keeps the order of numbers: pooling first leaves it less to do.
            x = nn.relu(max_pool(conv(channels, (3, 3))(x)))
        x = nn.relu(dense(_HIDDEN)(x.reshape(len(x), -1)))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return dense(self.classes)(nn.relu(dense(_HIDDEN)(x)))
