"""Residual networks for CIFAR-10: ResNet-20, 32, 44, 56 (He et al. 2016).

Section 4.2 of "Deep residual learning for image recognition", with shortcuts of
option A, which have no parameters. Paper B's capacity runs use all four
(docs/papers.md, B3). "patch_resnet8" is for training under attack on processors: by
taking 2 x 2 pixels together it has twice the channels for the same work, and wide
convolutions are the fast ones there.

Example:
    >>> import jax, jax.numpy as jnp
    >>> module = Module(blocks=3)
    >>> x = jnp.zeros((5, 32, 32, 3))
    >>> variables = jax.eval_shape(module.init, jax.random.key(0), x)
    >>> sum(array.size for array in jax.tree.leaves(variables["params"]))
    269722
"""

from typing import Final

import flax.linen as nn
import jax.numpy as jnp

from zeroone_jax.models.residual import BatchNorm, Convolution, stages
from zeroone_jax.types import Array

_STAGES: Final = 3


class Block(nn.Module):
    """Two convolutions, whose result is added to the images.

    Attributes:
        channels: outputs, at least as many as inputs.
        stride: of the first convolution and of the shortcut.
    """

    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps float [n, h, w, inputs] to [n, h', w', channels]."""
        residual = Convolution(self.channels, stride=self.stride)(x)
        residual = nn.relu(BatchNorm()(residual, train))
        residual = Convolution(self.channels)(residual)
        residual = BatchNorm()(residual, train)
        return nn.relu(shortcut(x, self.channels, self.stride) + residual)


class Module(nn.Module):
    """Images float [n, h, w, c] in [0,1] to logits [n, classes].

    Attributes:
        blocks: of each of the three stages: 1, 3, 5, 7, 9 for ResNet-8, 20, 32, 44, 56.
        classes: logits.
        width: channels of the first stage, half of the second's.
        patch: height and width of the squares of pixels that the first convolution
            takes as one, all their channels together.
    """

    blocks: int
    classes: int = 10
    width: int = 16
    patch: int = 1

    @property
    def least_size(self) -> int:
        """Height and width that leave every stage pixels to halve."""
        return 4 * self.patch

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training normalises by the batch's statistics."""
        channels = [self.width * 2**stage for stage in range(_STAGES)]
        x = Convolution(self.width)(patches(x, self.patch))
        x = nn.relu(BatchNorm()(x, train))
        x = stages(x, train, Block, self.blocks, channels)
        return nn.Dense(self.classes, param_dtype=x.dtype)(x.mean((1, 2)))


def patches(x: Array, size: int) -> Array:
    """Takes squares of pixels together, without overlap.

    Args:
        x: float [n, h, w, c].
        size: height and width of a square.

    Returns:
        float [n, ceil(h / size), ceil(w / size), size * size * c]: a square's rows one
        after another, its pixels in each row, their channels. Zeros fill the last
        squares.
    """
    count, height, width, channels = x.shape
    high, wide = -(-height // size), -(-width // size)
    edges = ((0, high * size - height), (0, wide * size - width))
    x = jnp.pad(x, ((0, 0), *edges, (0, 0)))
    x = x.reshape(count, high, size, wide, size, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(count, high, wide, -1)


def shortcut(x: Array, channels: int, stride: int) -> Array:
    """Takes every so many-th pixel and adds channels of zeros: option A.

    Args:
        x: float [n, h, w, inputs].
        channels: how many there shall be. Half of the new ones come before the
            inputs and half after: the paper does not say.
        stride: 1 keeps every pixel.

    Returns:
        float [n, h', w', channels].
    """
    new = channels - x.shape[-1]
    edge = (new // 2, new // 2)
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), edge))
