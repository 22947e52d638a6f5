"""A contrast stretch for images that are nearly black and white.

From low = epsilon to high = 1 - epsilon it undoes whatever an attack in an Linf ball
does to black and white pixels. What is left to the attack are grey ones.

Example:
    >>> import jax, jax.numpy as jnp
    >>> pixels = jnp.array([0.0, 0.25, 0.5, 0.875])
    >>> contrast(pixels, 0.25, 0.75)
    Array([0. , 0. , 0.5, 1. ], dtype=float32)
    >>> jax.grad(lambda x: jnp.sum(contrast(x, 0.25, 0.75)))(pixels)
    Array([2., 2., 2., 2.], dtype=float32)
"""

import functools

import jax
import jax.numpy as jnp

from zeroone_jax.types import Array


def contrast(x: Array, low: float, high: float) -> Array:
    """Maps low to 0 and high to 1, in a line, and keeps what is beyond them at 0 and 1.

    Its slope is that of the line everywhere. With the true one, 0 beyond low and high,
    an attack would not see that a pixel just below low matters, and would look less
    successful than it can be.

    Args:
        x: float [...].
        low: what becomes 0.
        high: what becomes 1, above low.

    Returns:
        x's shape and type.

    Raises:
        ValueError: high is not above low.
    """
    if not low < high:
        raise ValueError(f"low is {low}, but must be below high, {high}")
    return _stretched(x, low, high)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _stretched(x: Array, low: float, high: float) -> Array:
    return jnp.clip((x - low) / (high - low), 0, 1)


@_stretched.defjvp
def _slope(
    low: float, high: float, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    return _stretched(*primals, low, high), tangents[0] / (high - low)
