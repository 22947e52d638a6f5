"""The small convolutional networks that both papers compare with.

`models.build` knows them by name: "lenet" and "simple_net" are those of paper A
(section A3 of our notes), "lenet_valid" and "lenet_narrow" of paper B's appendix (B3).
"""

import flax.linen as nn

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
        for outputs in self.channels:
            layer = nn.Conv(
                outputs,
                _WINDOW,
                padding=self.padding,
                param_dtype=x.dtype,
                conv_general_dilated=convolve,
            )
            # The larger of two numbers survives ReLU as the larger: pooling first
            # leaves a quarter of the work.
            x = nn.relu(max_pool(layer(x)))
        x = x.reshape(len(x), -1)
        for units in self.hidden:
            x = nn.relu(nn.Dense(units, param_dtype=x.dtype)(x))
        return nn.Dense(self.classes, param_dtype=x.dtype)(x)


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
