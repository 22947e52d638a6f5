"""The binarized network that paper A compares with (docs/papers.md, A3).

Kernels are numbers in [-1,1] of which only the signs count; gradients pass a sign as
if it were not there, where its input is within [-1,1] (straight-through). Train with
`training.Adam(limit=1.0)`, which keeps the kernels in there: one outside would never
change again.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from zeroone_jax.models import product, zero_one
from zeroone_jax.models.network import Variables
from zeroone_jax.models.sign import sign as sign_of_width
from zeroone_jax.types import Array

# What batch normalisation adds to a variance, as Keras does, in which the paper's
# program is written.
_EPSILON = 1e-3


def sign(x: Array) -> Array:
    """Gives 1 where x >= 0, else -1; its gradient is 1 where |x| <= 1, else 0.

    Args:
        x: floats of any shape.

    Example:
        >>> sign(jnp.array([-3.0, 0.0])), jax.grad(sign)(0.5), jax.grad(sign)(-3.0)
        (Array([-1.,  1.], dtype=float32), Array(1., dtype=float32, ...), Array(0., ...)
    """
    return sign_of_width(x, 1.0, "clipped")


class _Dense(nn.Module):
    """A dense layer of binary weights, without a bias."""

    units: int

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        draw, shape = nn.initializers.glorot_uniform(), (x.shape[1], self.units)
        kernel = self.param("kernel", draw, shape, x.dtype)
        multiply = product.trained if train else jnp.matmul
        return multiply(x, sign(kernel.astype(x.dtype)), precision="highest")


class Module(nn.Module):
    """Images float [n, ...] to logits float [n, classes].

    Binary weights, batch normalisation without a scale, signs, binary weights. The sums
    of `hidden` signs are divided by the square root of `hidden`. The paper does not do
    that; it changes no label. Without it, sums up to 20 saturate the softmax: on
    CIFAR-10, class 0 against 1, training stayed at .79 on its own images (8 votes: .82
    on test images).

    Attributes:
        classes: logits, at least 2.
        hidden: units of the hidden layer.
    """

    classes: int
    hidden: int = 20

    least_size = 1
    """Height and width that an image must have."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Any:
        """Computes logits; in training by the statistics of these images."""
        x = _Dense(self.hidden)(x.reshape(len(x), -1), train)
        x = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,
            epsilon=_EPSILON,
            use_scale=False,
            param_dtype=x.dtype,
        )(x)
        return _Dense(self.classes)(sign(x), train) / math.sqrt(self.hidden)


def as_zero_one(variables: Variables) -> zero_one.Params:
    """Writes networks of two classes as 01 networks, which say the same.

    In evaluation mode a hidden unit is the sign of a sum of pixels minus a threshold,
    and the second logit is above the first where a weighted sum of signs is above 0. So
    attacks on 01 networks and their exact distances apply to binarized networks.

    Args:
        variables: of `Module`, or of an ensemble of it that votes.

    Returns:
        Networks of hidden values "01" with normals of length 1. Their output weights
        are whole numbers, so that ties stay exact. Labels are equal, except where
        rounding decides on which side of its threshold a unit is.

    Raises:
        ValueError: there are not two classes.
    """
    layers, stats = variables.params, variables.batch_stats["BatchNorm_0"]
    first, second = layers["_Dense_0"]["kernel"], layers["_Dense_1"]["kernel"]
    if second.shape[-1] != 2:
        raise ValueError(f"there are {second.shape[-1]} classes, but must be 2")
    spread = jnp.sqrt(stats["var"] + _EPSILON)
    bias = layers["BatchNorm_0"]["bias"] * spread - stats["mean"]
    w1 = jnp.swapaxes(sign(first), -1, -2)
    length = math.sqrt(w1.shape[-1])
    w2 = sign(second[..., 1]) - sign(second[..., 0])
    # Of signs 2 H - 1 the weighted sum is twice that of H less the weights' own.
    b2 = -jnp.sum(w2, axis=-1) / 2
    params = zero_one.Params(w1 / length, bias / length, w2, b2)
    return jax.tree.map(lambda array: array[None], params) if w1.ndim == 2 else params
