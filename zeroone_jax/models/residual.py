"""What residual networks are built of: convolutions, batch norm, stages of blocks."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.nn import initializers

from zeroone_jax.models.convolution import convolve
from zeroone_jax.types import Array

_MOMENTUM = 0.9
_EPSILON = 1e-5

_HE_NORMAL = initializers.variance_scaling(2.0, "fan_out", "normal")


class Convolution(nn.Module):
    """A convolution without bias, zero-padded so that stride 1 keeps the size.

    Kernels start normal with variance 2 / (window^2 channels) (He et al. 2015, by
    outputs), as the public programs of these networks draw them.

    Attributes:
        channels: outputs.
        window: rows and columns of the kernel, odd.
        stride: steps of the window; stride 2 leaves half the pixels, rounded up.
    """

    channels: int
    window: int = 3
    stride: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Convolves float [n, h, w, inputs] to [n, h', w', channels]."""
        shape = (self.window, self.window, x.shape[-1], self.channels)
        kernel = self.param("kernel", _HE_NORMAL, shape, x.dtype)
        edge = (self.window // 2, self.window // 2)
        return convolve(x, kernel, (self.stride, self.stride), (edge, edge))


class BatchNorm(nn.Module):
    """Batch normalisation over images and pixels (Ioffe & Szegedy 2015).

    Running statistics move a tenth of the way to those of each training batch
    (torch's momentum of 0.1), and 1e-5 keeps variances from 0. The variance is that
    of the batch, divided by n, also for the running one (torch divides that by n - 1).

    Flax's own keeps its statistics in float32 whatever JAX's default is, and hands
    float64 ones back; here they have one type, that of the images at `init`. They are
    computed in the larger of their type and the images', and so are the results, which
    are then rounded to the images' type.
    """

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Normalises float [n, h, w, channels]; by its own statistics if training."""
        shape = x.shape[-1:]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, x.dtype)
        running_variance = self.variable("batch_stats", "var", jnp.ones, shape, x.dtype)
        scale = self.param("scale", initializers.ones, shape, x.dtype)
        bias = self.param("bias", initializers.zeros, shape, x.dtype)

        exact = jnp.promote_types(x.dtype, running_mean.value.dtype)
        values = x.astype(exact)
        if train:
            mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
            for running, batch in ((running_mean, mean), (running_variance, variance)):
                moved = _MOMENTUM * running.value.astype(exact)
                moved = moved + (1 - _MOMENTUM) * batch
                running.value = moved.astype(running.value.dtype)
        else:
            mean = running_mean.value.astype(exact)
            variance = running_variance.value.astype(exact)
        slope = scale.astype(exact) / jnp.sqrt(variance + _EPSILON)
        normal = (values - mean[None, None, None]) * slope[None, None, None]
        return (normal + bias.astype(exact)[None, None, None]).astype(x.dtype)


def stages(
    x: Array, train: bool, block: Callable[..., Any], blocks: int, channels: list[int]
) -> Array:
    """Passes images through stages of so many blocks, for each number of channels.

    The first block of a stage halves height and width, but in the first stage.
    """
    for stage, outputs in enumerate(channels):
        for place in range(blocks):
            stride = 2 if stage > 0 and place == 0 else 1
            # Named, for flax would name blocks with and without remat differently.
            x = block(outputs, stride, name=f"Block_{stage * blocks + place}")(x, train)
    return x
