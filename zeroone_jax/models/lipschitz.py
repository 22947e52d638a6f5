"""Networks whose logits tell how far the nearest adversary is at least, in L2.

No layer lengthens a difference: dense layers are orthogonal, hidden units sort
themselves in pairs (MaxMin; Anil, Lucas, Grosse 2019, section 4). A change of length r
then changes the difference of two logits by at most sqrt(2) r (Tsuzuku, Sato, Sugiyama
2018, proposition 1). Without hidden layers the network is a linear classifier, and of
two classes the bound is the distance. `training.objectives.certified_margin` trains
them.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from zeroone_jax import losses
from zeroone_jax.types import Array, Key


class _Orthogonal(nn.Module):
    """A dense layer with orthonormal columns; rows if it has more units than inputs."""

    units: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = x.shape[1], self.units
        kernel = self.param("kernel", _drawn, shape, x.dtype)
        bias = self.param("bias", nn.initializers.zeros, self.units, x.dtype)
        exactly = kernel.astype(_wide(kernel.dtype))
        wide = shape[0] < shape[1]
        weights = orthonormal(exactly.T).T if wide else orthonormal(exactly)
        product = jnp.matmul(x, weights.astype(x.dtype), precision="highest")
        return product + bias[None].astype(x.dtype)


class Module(nn.Module):
    """Images float [n, ...] to logits float [n, classes].

    Computed in float32 or wider, logits certify radii, up to rounding. In a shorter
    type rounded weights lengthen differences, and nothing is certain.

    Attributes:
        classes: logits, at least 2.
        hidden: units of each hidden layer, even numbers; () makes linear networks.
    """

    classes: int
    hidden: tuple[int, ...] = ()

    least_size = 1
    """Height and width that an image must have."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits, in training and evaluation alike."""
        del train
        x = x.reshape(len(x), -1)
        for units in self.hidden:
            x = max_min(_Orthogonal(units)(x))
        return _Orthogonal(self.classes)(x)


def _drawn(key: Key, shape: tuple[int, int], dtype: DTypeLike) -> Array:
    """Draws orthonormal columns, or rows."""
    return nn.initializers.orthogonal()(key, shape, _wide(dtype)).astype(dtype)


def _wide(dtype: DTypeLike) -> DTypeLike:
    """The type to decompose matrices in: for short ones there is no decomposition."""
    return jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype


def orthonormal(columns: Array) -> Array:
    """The orthonormal columns of a QR decomposition, by products of matrices.

    Cholesky's decomposition of the columns' products gives them (CholeskyQR2, Yamamoto
    et al. 2015): faster than by reflections, and as exact, as long as no column is
    nearly a combination of others.

    Args:
        columns: float32 or wider, [n, k], n at least k.

    Returns:
        [n, k], the triangular factor's diagonal positive.
    """
    for _ in range(2):
        products = jnp.matmul(columns.T, columns, precision="highest")
        lower = jnp.linalg.cholesky(products)
        columns = jax.scipy.linalg.solve_triangular(lower, columns.T, lower=True).T
    return columns


def max_min(x: Array) -> Array:
    """Sorts neighbours in pairs, the larger first.

    Args:
        x: float [n, d], d even.

    Example:
        >>> max_min(jnp.array([[1.0, 2.0, 4.0, 3.0]]))
        Array([[2., 1., 4., 3.]], dtype=float32)
    """
    if x.shape[1] % 2:
        raise ValueError(f"there are {x.shape[1]} hidden units, but must be even")
    pairs = x.reshape(len(x), -1, 2)
    both = jnp.stack([jnp.max(pairs, axis=2), jnp.min(pairs, axis=2)], axis=2)
    return both.reshape(x.shape)


def certified_radius(logits: Array, y: Array) -> Array:
    """The least length in L2 of a change that makes the label another than y.

    Args:
        logits: float [n, classes], of `Module`.
        y: i32 [n].

    Returns:
        float [n]: no shorter change can do it. Negative where the label is another
        already: no change shorter than minus this number can make it y. For linear
        networks of two classes the bound is exact.
    """
    return -losses.margin(logits, y) / jnp.asarray(math.sqrt(2), logits.dtype)
