"""The small convolutional networks that both papers compare with.

`models.build` knows them by name: "lenet" and "simple_net" are those of paper A
(docs/papers.md, A3), "lenet_valid" and "lenet_narrow" are those of paper B's appendix,
and "small_cnn" is that of its MNIST runs (docs/papers.md, B3). "strided_16" is the
network that Wong, Rice and Kolter (2020) train in seconds, "strided_1" to "strided_64"
are its kind at other widths, and "contrast_32" is one behind a contrast stretch.
"""

import functools
from typing import Any

import flax.linen as nn
from jax.typing import DTypeLike

from zeroone_jax.models.contrast import contrast
from zeroone_jax.models.convolution import convolve
from zeroone_jax.types import Array

_WINDOW = (5, 5)


class Module(nn.Module):
    """Images float [n, h, w, c] to logits float [n, classes].

    5 x 5 convolutions, each halved by pooling, then dense layers. Weights start normal
    with variance 1 / inputs, cut off at two deviations (flax's default), biases at 0.

    Attributes:
        classes: logits, at least 2.
        channels: outputs of each convolution.
        padding: zeros around a convolution's input; 2 keeps height and width.
        hidden: units of each dense layer but the last.
    """

    classes: int
    channels: tuple[int, ...] = (6, 16)
    padding: int = 2
    hidden: tuple[int, ...] = (120, 84)

    @property
    def least_size(self) -> int:
        """Height and width that leave a pixel after the last pooling."""
        size = 1
        for _ in self.channels:
            size = max(1, 2 * size + _WINDOW[0] - 1 - 2 * self.padding)
        return size

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training and evaluation are alike."""
        del train
        conv, dense = _layers(x.dtype, self.padding)
        for outputs in self.channels:
            # The larger of two numbers survives ReLU as the larger: pooling first
            # leaves a quarter of the work.
            x = nn.relu(max_pool(conv(outputs, _WINDOW)(x)))
        x = x.reshape(len(x), -1)
        for units in self.hidden:
            x = nn.relu(dense(units)(x))
        return dense(self.classes)(x)


class Small(nn.Module):
    """The network of TRADES (Zhang et al. 2019) for MNIST.

    Images float [n, h, w, c] in [0,1] to logits [n, classes]. Two 3 x 3 convolutions
    without padding, then pooling, twice; then three dense layers, with half of the
    first one's units dropped in training. Kernels start as flax's do (TRADES' program
    starts with 0 in the last layer, so that the first gradients in the images are 0).

    Attributes:
        classes: logits.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.zeros((5, 28, 28, 1))
        >>> variables = jax.eval_shape(Small().init, jax.random.key(0), x)
        >>> sum(array.size for array in jax.tree.leaves(variables["params"]))
        312202
    """

    classes: int = 10

    least_size = 16
    """Height and width that leave a pixel after both poolings."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training drops units and needs a key named "dropout"."""
        conv, dense = _layers(x.dtype, padding=0)
        for channels in (32, 64):
            x = nn.relu(conv(channels, (3, 3))(x))
            x = nn.relu(max_pool(conv(channels, (3, 3))(x)))
        x = nn.relu(dense(200)(x.reshape(len(x), -1)))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        x = nn.relu(dense(200)(x))
        return dense(self.classes)(x)


class Strided(nn.Module):
    """A network whose convolutions halve height and width themselves.

    Images float [n, h, w, c] to logits float [n, classes]. Two 4 x 4 convolutions of
    stride 2, then two dense layers. Kernels start as flax's do.

    Attributes:
        classes: logits.
        width: outputs of the first convolution, half of the second's; the first dense
            layer has 6.25 times as many units, rounded down.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.zeros((5, 28, 28, 1))
        >>> variables = jax.eval_shape(Strided(width=16).init, jax.random.key(0), x)
        >>> sum(array.size for array in jax.tree.leaves(variables["params"]))
        166406
    """

    classes: int = 10
    width: int = 16

    least_size = 4
    """Height and width that leave a pixel after both convolutions."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training and evaluation are alike."""
        del train
        conv, dense = _layers(x.dtype, padding=1)
        for channels in (self.width, 2 * self.width):
            x = nn.relu(conv(channels, (4, 4), strides=(2, 2))(x))
        x = nn.relu(dense(25 * self.width // 4)(x.reshape(len(x), -1)))
        return dense(self.classes)(x)


class Contrasted(nn.Module):
    """`Strided`, for MNIST in an Linf ball of .3: it sees images after `contrast`.

    Images float [n, h, w, c] in [0,1] to logits float [n, classes].

    Attributes:
        classes: logits.
        width: of the network.
        low: what is black.
        high: what is white.
    """

    classes: int = 10
    width: int = 32
    low: float = 0.35
    high: float = 0.65

    least_size = Strided.least_size
    """Height and width that leave a pixel after both convolutions."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training and evaluation are alike."""
        network = Strided(self.classes, self.width)
        return network(contrast(x, self.low, self.high), train)


def max_pool(x: Array) -> Array:
    """Takes the largest of each 2 x 2 pixels.

    By reshaping, whose gradient costs XLA on CPUs less than half of that of a window
    reduction. Equal largest pixels share the gradient.

    Args:
        x: float [n, height, width, channels].

    Returns:
        float [n, height // 2, width // 2, channels]; an odd last row or column is left
        out.
    """
    count, height, width, channels = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(count, height // 2, 2, width // 2, 2, channels).max((2, 4))


def _layers(dtype: DTypeLike, padding: int) -> tuple[Any, Any]:
    """Makers of convolutions and of dense layers."""
    conv = functools.partial(nn.Conv, padding=padding, param_dtype=dtype)
    conv = functools.partial(conv, conv_general_dilated=convolve)
    return conv, functools.partial(nn.Dense, param_dtype=dtype)
