"""Wide residual networks: WRN-28-10, WRN-34-10 (Zagoruyko & Komodakis 2016).

Pre-activation blocks without dropout, as adversarial training uses them (TRADES, and
paper B's main runs: section B3 of our notes). A public program also creates a block
that it never computes with; here are the 46,160,474 parameters of WRN-34-10 that count.

Example:
    >>> import jax, jax.numpy as jnp
    >>> module = Module(depth=34, width=10)
    >>> x = jnp.zeros((5, 32, 32, 3))
    >>> variables = jax.eval_shape(module.init, jax.random.key(0), x)
    >>> sum(array.size for array in jax.tree.leaves(variables["params"]))
    46160474
"""

from typing import Final

import flax.linen as nn

from zeroone_jax.models.preact_resnet import Block
from zeroone_jax.models.residual import BatchNorm, Convolution, stages
from zeroone_jax.types import Array

_CHANNELS: Final = [16, 32, 64]


class Module(nn.Module):
    """Images float [n, h, w, c] in [0,1] to logits [n, classes].

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
        x = Convolution(_CHANNELS[0])(x)
        channels = [self.width * narrow for narrow in _CHANNELS]
        x = stages(x, train, kind, blocks, channels)
        x = nn.relu(BatchNorm()(x, train))
        return nn.Dense(self.classes, param_dtype=x.dtype)(x.mean((1, 2)))
