"""The small convolutional networks that both papers compare with.

`LENET` and `SIMPLE_NET` are those of paper A (section A3 of our notes), `LENET_VALID`
and `LENET_NARROW` those of paper B's appendix (B3). Images are [n, height, width,
channels].

Example:
    >>> params = init(jax.random.key(0), shape=(32, 32, 3), config=LENET)
    >>> apply(params, jnp.zeros((5, 32, 32, 3))).shape
    (5, 2)
    >>> sum(array.size for array in jax.tree.leaves(
    ...     init(jax.random.key(0), (32, 32, 3), LENET_VALID)))
    62006
"""

import dataclasses
import functools
from typing import Any, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from zeroone_jax.models.convolution import convolve
from zeroone_jax.types import Array, Key

_WINDOW = (5, 5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The architecture: 5 x 5 convolutions, each halved by pooling, then dense layers.

    Attributes:
        channels: outputs of each convolution.
        padding: zeros around a convolution's input; 2 keeps height and width.
        hidden: units of each dense layer but the last.
        classes: logits, at least 2.
    """

    channels: tuple[int, ...] = (6, 16)
    padding: int = 2
    hidden: tuple[int, ...] = (120, 84)
    classes: int = 2

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            ValueError: a setting is out of its range.
        """
        for name in ("channels", "hidden"):
            if any(units < 1 for units in getattr(self, name)):
                raise ValueError(
                    f"{name} is {getattr(self, name)}, but every layer needs a unit"
                )
        if self.padding < 0:
            raise ValueError(f"padding is {self.padding}, but must not be below 0")
        if self.classes < 2:
            raise ValueError(f"classes is {self.classes}, but must be at least 2")


LENET = Config()
SIMPLE_NET = Config(hidden=(1000,))
LENET_VALID = Config(padding=0, classes=10)
LENET_NARROW = Config(padding=0, hidden=(30, 21), classes=10)


@flax.struct.dataclass
class Params:
    """A network.

    Attributes:
        layers: flax's parameters of `Conv_0`, ... and `Dense_0`, ...: a kernel, float
            [5, 5, inputs, outputs] or [inputs, outputs], and a bias, float [outputs].
        shape: height, width and channels of the images; static.
        config: the architecture; static.
    """

    layers: Any
    shape: tuple[int, int, int] = flax.struct.field(pytree_node=False)
    config: Config = flax.struct.field(pytree_node=False)


class Module(nn.Module):
    """Images float [n, h, w, c] to logits float [n, classes]."""

    config: Config

    @property
    def least_size(self) -> int:
        """Height and width that leave a pixel after the last pooling."""
        size = 1
        for _ in self.config.channels:
            size = max(1, 2 * size + _WINDOW[0] - 1 - 2 * self.config.padding)
        return size

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training and evaluation are alike."""
        del train
        for outputs in self.config.channels:
            layer = nn.Conv(
                outputs,
                _WINDOW,
                padding=self.config.padding,
                param_dtype=x.dtype,
                conv_general_dilated=convolve,
            )
            # The larger of two numbers survives ReLU as the larger: pooling first
            # leaves a quarter of the work.
            x = nn.relu(max_pool(layer(x)))
        x = x.reshape(len(x), -1)
        for units in self.config.hidden:
            x = nn.relu(nn.Dense(units, param_dtype=x.dtype)(x))
        return nn.Dense(self.config.classes, param_dtype=x.dtype)(x)


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


def init(key: Key, shape: tuple[int, int, int], config: Config) -> Params:
    """Draws the network that training starts from.

    Weights are normal with variance 1 / inputs, cut off at two deviations (flax's
    default), biases 0.

    Args:
        key: a random key.
        shape: height, width and channels of the images.
        config: the architecture.

    Returns:
        The network, in JAX's default float type.

    Raises:
        ValueError: the images are too small for so many convolutions.
    """
    if min(shape[:2]) < Module(config).least_size:
        raise ValueError(f"images of shape {shape} are too small for {config}")
    return Params(_layers(key, shape, config), shape, config)


def apply(params: Params, x: Array) -> Array:
    """Computes the logits.

    Args:
        params: the network.
        x: float [n, height, width, channels] in the type of the params.

    Returns:
        float [n, classes].

    Raises:
        ValueError: the images have another shape.
    """
    if x.shape[1:] != params.shape:
        raise ValueError(
            f"x has shape {x.shape}, but the network takes images of {params.shape}"
        )
    return cast(Array, Module(params.config).apply({"params": params.layers}, x))


@functools.partial(jax.jit, static_argnums=(1, 2))
def _layers(key: Key, shape: tuple[int, int, int], config: Config) -> Any:
    return Module(config).init(key, jnp.zeros((1, *shape)))["params"]
