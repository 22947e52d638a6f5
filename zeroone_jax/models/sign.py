"""A sign for networks of signs, with a slope that attacks can follow.

The slope of a sign is 0, so the slope of another function, the surrogate, is taken in
its place. Its width decides which units gradients see. Binarized networks are often
trained with a slope that is 0 beyond |x| = 1. Where pixels are 0 to 255, hardly a unit
is that near to 0, and attacks by gradients are blind. With a surrogate as wide as the
units' inputs spread they see every unit.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from zeroone_jax import models
    >>> kernel = jnp.array([[1.0], [-1.0]])
    >>> def logits_fn(images):  # [n, 2], in [0,1]
    ...     return models.sign(jnp.matmul(255 * images, kernel))
    >>> images = jnp.array([[0.5, 0.25], [0.0, 0.75]])
    >>> logits_fn(images).ravel()
    Array([ 1., -1.], dtype=float32)
    >>> slope = jax.grad(lambda images: jnp.sum(logits_fn(images)))(images)
    >>> bool((slope != 0).all())
    True
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp

from zeroone_jax.types import Array

_SURROGATES = ("smooth", "clipped")


def sign(
    x: Array,
    width: float | Array | Literal["measured"] = "measured",
    surrogate: Literal["smooth", "clipped"] = "smooth",
) -> Array:
    """Gives 1 where x >= 0, else -1, with the slope of a surrogate.

    Args:
        x: float [..., units], what the units take the sign of. NaN stays NaN.
        width: how far from 0 a unit still has a slope, in x's own scale: a number above
            0, or float [units]. "measured" takes the `spread` of x, so that a unit's
            slope depends on the other rows of the batch. For an attack whose result
            does not depend on the batch, measure once, on typical inputs:
            `width=spread(x)`.
        surrogate: "smooth", `z / (1 + |z|)` of z = x / width, whose slope is 0 nowhere;
            "clipped", z kept within [-1,1], with which binarized networks are trained:
            its slope is 0 outside.

    Returns:
        x's shape and type.

    Raises:
        TypeError: x is not of floats.
        ValueError: a setting is not allowed, or `width` does not fit x.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x is {x.dtype}, but must be of floats")
    if surrogate not in _SURROGATES:
        raise ValueError(
            f"surrogate is {surrogate!r}, but must be 'smooth' or 'clipped'"
        )
    widths = jnp.broadcast_to(_width(x, width), x.shape)
    if surrogate == "smooth":
        return _smooth(x, widths)
    through = jnp.clip(x / widths, -1, 1)
    # Subtracted from itself, what is let through counts for its gradient alone.
    return _signs(x) + (through - jax.lax.stop_gradient(through))


def spread(x: Array) -> Array:
    """Measures how far from 0 the inputs of units lie.

    Args:
        x: float [..., units].

    Returns:
        float [units], the root of each unit's mean square over all other axes (in a
        convolutional layer: over images, rows and columns); 1 where that is 0 or not
        finite. It passes no gradient on.

    Example:
        >>> spread(jnp.array([[3.0, 0.0], [-4.0, 0.0]]))
        Array([3.535534, 1.      ], dtype=float32)
    """
    # Squares leave the range of half precision.
    wide = x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)
    root = jnp.sqrt(jnp.mean(wide * wide, axis=tuple(range(x.ndim - 1))))
    usable = jnp.isfinite(root) & (root > 0)
    return jax.lax.stop_gradient(jnp.where(usable, root, 1).astype(x.dtype))


def _width(x: Array, width: float | Array | Literal["measured"]) -> Array:
    """The width given or measured, float [] or [units], in x's type."""
    if isinstance(width, str):
        if width != "measured":
            raise ValueError(
                f"width is {width!r}, but must be a number, an array or 'measured'"
            )
        return spread(x)
    if isinstance(width, int | float) and not 0 < width < math.inf:
        raise ValueError(f"width is {width}, but must be above 0")
    given = jnp.asarray(width, x.dtype)
    if given.ndim and given.shape != x.shape[-1:]:
        raise ValueError(
            f"width has shape {given.shape}, but x has {x.shape}: it must be one "
            "number, or one for each unit of the last axis"
        )
    return given


def _signs(x: Array) -> Array:
    return jnp.where(x >= 0, 1, -1).astype(x.dtype)


@jax.custom_jvp
def _smooth(x: Array, width: Array) -> Array:
    return jnp.where(jnp.isnan(x), x, _signs(x))


@_smooth.defjvp
def _slope(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    """The slope of z / (1 + |z|), in a form that loses no digits far away."""
    x, width = primals
    near = 1 / (1 + jnp.abs(x) / width)
    return _smooth(x, width), near * near / width * tangents[0]
