"""The pre-activation ResNet-18 for CIFAR-10 (He et al. 2016, "Identity mappings").

As public programs have it for images of 32 x 32: no pooling at the start, four stages
of two blocks, and the last sum goes to the average as it is. (Some add a last batch
normalisation, of 1,024 more parameters.)

Example:
    >>> import jax, jax.numpy as jnp
    >>> module = Module()
    >>> x = jnp.zeros((5, 32, 32, 3))
    >>> variables = jax.eval_shape(module.init, jax.random.key(0), x)
    >>> sum(array.size for array in jax.tree.leaves(variables["params"]))
    11171146
"""

from typing import Final

import flax.linen as nn

from zeroone_jax.models.residual import BatchNorm, Convolution, stages
from zeroone_jax.types import Array

_CHANNELS: Final = [64, 128, 256, 512]
_BLOCKS: Final = 2


class Block(nn.Module):
    """Normalisation and ReLU before each of two convolutions; their result is added.

    Where the shape changes, the shortcut is a 1 x 1 convolution of the activated
    images; elsewhere it is the images.

    Attributes:
        channels: outputs.
        stride: of the first convolution and of the shortcut.
    """

    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps float [n, h, w, inputs] to [n, h', w', channels]."""
        active = nn.relu(BatchNorm()(x, train))
        residual = Convolution(self.channels, stride=self.stride)(active)
        residual = nn.relu(BatchNorm()(residual, train))
        residual = Convolution(self.channels)(residual)
        if self.stride != 1 or x.shape[-1] != self.channels:
            x = Convolution(self.channels, 1, self.stride, name="shortcut")(active)
        return x + residual


class Module(nn.Module):
    """Images float [n, h, w, c] in [0,1] to logits [n, classes].

    Attributes:
        classes: logits.
    """

    classes: int = 10

    least_size = 8
    """Height and width that leave every stage pixels to halve."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training normalises by the batch's statistics."""
        x = Convolution(_CHANNELS[0])(x)
        x = stages(x, train, Block, _BLOCKS, _CHANNELS)
        return nn.Dense(self.classes, param_dtype=x.dtype)(x.mean((1, 2)))
