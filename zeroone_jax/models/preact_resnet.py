"""Pre-activation networks for CIFAR-10: ResNet-18, and wide ones.

He et al. 2016, "Identity mappings", and Zagoruyko & Komodakis 2016.

Example:
    >>> import jax, jax.numpy as jnp
    >>> def size(module):
    ...     x = jnp.zeros((5, 32, 32, 3))
    ...     variables = jax.eval_shape(module.init, jax.random.key(0), x)
    ...     return sum(array.size for array in jax.tree.leaves(variables["params"]))
    >>> size(Module()), size(Wide(depth=34, width=10))
    (11171146, 46160474)
"""

from typing import Final

import flax.linen as nn

from zeroone_jax.models.residual import BatchNorm, Convolution, stages
from zeroone_jax.types import Array

_CHANNELS: Final = [64, 128, 256, 512]
_WIDE_CHANNELS: Final = [16, 32, 64]
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
    """Images float [n, h, w, c] in [0,1] to logits [n, classes]: ResNet-18.

    As public programs have it for images of 32 x 32: no pooling at the start, four
    stages of two blocks, and the last sum goes to the average as it is. (Some add a
    last batch normalisation, of 1,024 more parameters.)

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


class Wide(nn.Module):
    """Images float [n, h, w, c] in [0,1] to logits [n, classes]: WRN-28-10, WRN-34-10.

    Blocks have no dropout, as adversarial training uses them (TRADES, and paper B's
    main runs: docs/papers.md, B3). A public program also creates a block that it
    never computes with; its parameters do not count here.

    Attributes:
        depth: layers, 6 blocks + 4 for a number of blocks in each of three stages.
        width: how many times as many channels as 16, 32, 64 the stages have.
        classes: logits.
        remat: whether gradients compute each block's insides again rather than keep
            them, for a third more time. By their shapes, the arrays kept of WRN-34-10
            in bfloat16 at batch 256 are 9.1 GiB, and 0.9 GiB so. Parameters are the
            same.
    """

    depth: int
    width: int
    classes: int = 10
    remat: bool = False

    least_size = 4
    """Height and width that leave every stage pixels to halve."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training normalises by the batch's statistics.

        Raises:
            ValueError: no number of blocks gives such a depth.
        """
        blocks, rest = divmod(self.depth - 4, 6)
        if blocks < 1 or rest:
            raise ValueError(f"depth is {self.depth}, but must be 10, 16, 22, ...")
        # Arguments of the call are counted from 0, the module itself: `train` is 2.
        kind = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        x = Convolution(_WIDE_CHANNELS[0])(x)
        channels = [self.width * narrow for narrow in _WIDE_CHANNELS]
        x = stages(x, train, kind, blocks, channels)
        x = nn.relu(BatchNorm()(x, train))
        return nn.Dense(self.classes, param_dtype=x.dtype)(x.mean((1, 2)))
