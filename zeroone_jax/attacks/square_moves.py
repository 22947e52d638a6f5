"""Where the Square Attack starts, and what one of its squares changes.

Andriushchenko et al. 2020, algorithms 2 (Linf) and 3 (L2) and equation 2. Everything
here is for one image, and leaves the box and the ball's rounding to the caller. A
square's side is a number at run time: squares are masks, not slices.
"""

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.types import Array, Key


def stripes(key: Key, image: Array, epsilon: Array) -> Array:
    """Adds epsilon or -epsilon to each column, in each channel: float [h, w, c]."""
    bits = jax.random.bits(key, (1, *image.shape[1:]), jnp.uint32)
    return image + epsilon * _signs(bits, image.dtype)


def move_linf(
    key: Key, best: Array, image: Array, side: Array, epsilon: Array
) -> Array:
    """Moves a random square to epsilon or -epsilon, one sign a channel.

    Args:
        key: a random key.
        best: float [h, w, c], the best point so far.
        image: float [h, w, c].
        side: i32 [], of the square.
        epsilon: the ball's radius, float [], or one for each pixel, [h, w, c].

    Returns:
        float [h, w, c], to be clipped to the box.
    """
    height, width, channels = image.shape
    bits = jax.random.bits(key, (2 + channels,), jnp.uint32)
    inside = _inside(*_corner(bits[:2], side, height, width), side, height, width)
    signs = _signs(bits[2:], image.dtype)
    return jnp.where(inside[:, :, None], image + epsilon * signs[None, None, :], best)


def grid(key: Key, image: Array, epsilon: Array) -> Array:
    """Adds a grid of patterns, of L2 norm epsilon together.

    Five or more of them lie along the shorter side, and as many as fit along the
    other, each turned at random and with a random sign in each channel.

    Args:
        key: a random key.
        image: float [h, w, c].
        epsilon: the ball's radius.

    Returns:
        float [h, w, c].
    """
    height, width, channels = image.shape
    side = max(min(height, width) // 5, 1)
    rows, columns = height // side, width // side
    bits = jax.random.bits(key, (rows, columns, 1 + channels), jnp.uint32)
    place = jnp.arange(side, dtype=jnp.int32)
    upright, turned = (
        _pattern(
            place, place, jnp.asarray(side, jnp.int32), jnp.asarray(way), image.dtype
        )
        for way in (False, True)
    )
    is_turned = (bits[:, :, 0] % 2 == 1)[:, :, None, None]
    tiles = jnp.where(is_turned, turned[None, None], upright[None, None])
    signs = _signs(bits[:, :, 1:], image.dtype)
    tiled = tiles[..., None] * signs[:, :, None, None, :]
    tiled = jnp.swapaxes(tiled, 1, 2).reshape(rows * side, columns * side, channels)
    above, before = (height - rows * side) // 2, (width - columns * side) // 2
    perturbation = jnp.zeros_like(image)
    perturbation = jax.lax.dynamic_update_slice(perturbation, tiled, (above, before, 0))
    return image + epsilon * perturbation / jnp.linalg.norm(perturbation)


def move_l2(key: Key, best: Array, image: Array, side: Array, epsilon: Array) -> Array:
    """Gathers the perturbation of two random squares into the first of them.

    There it becomes the sum of its old direction and of a pattern, in each channel;
    what the ball leaves unused is spent too. The second square is emptied.

    Args:
        key: a random key.
        best: float [h, w, c], the best point so far.
        image: float [h, w, c].
        side: i32 [], of the squares.
        epsilon: the ball's radius.

    Returns:
        float [h, w, c], at the distance epsilon from the image.
    """
    height, width, channels = image.shape
    bits = jax.random.bits(key, (5 + channels,), jnp.uint32)
    top, left = _corner(bits[:2], side, height, width)
    filled = _inside(top, left, side, height, width)[:, :, None]
    emptied = _inside(*_corner(bits[2:4], side, height, width), side, height, width)
    emptied = emptied[:, :, None]
    pattern = _pattern(
        jnp.arange(height, dtype=jnp.int32) - top,
        jnp.arange(width, dtype=jnp.int32) - left,
        side,
        bits[4] % 2 == 1,
        image.dtype,
    )[:, :, None]
    signs = _signs(bits[5:], image.dtype)

    perturbation = best - image
    squared = perturbation**2
    unused = jnp.maximum(epsilon**2 - jnp.sum(_over_pixels(squared)), 0)
    taken = _over_pixels(jnp.where(filled | emptied, squared, 0))
    spent = jnp.sqrt(taken + unused / channels)
    # The new direction is pattern_share * pattern + old_share * perturbation, and its
    # norm follows from the inner product of the two: one pass over the image for all.
    old = jnp.sqrt(_over_pixels(jnp.where(filled, squared, 0)))
    pattern_share = signs / jnp.sqrt(_over_pixels(pattern**2))
    old_share = 1 / jnp.where(old > 0, old, 1)
    cosine = _over_pixels(pattern * perturbation) * pattern_share * old_share
    length = jnp.sqrt(jnp.maximum(jnp.where(old > 0, 2, 1) + 2 * cosine, 0))
    scale = spent / jnp.where(length > 0, length, 1)
    new = (pattern_share * scale)[None, None, :] * pattern
    new += (old_share * scale)[None, None, :] * perturbation
    moved = jnp.where(filled, new, jnp.where(emptied, 0, perturbation))
    return image + moved


def _corner(bits: Array, side: Array, height: int, width: int) -> tuple[Array, Array]:
    """The top row and left column of a random square, from two random words."""
    # 2^32 is no multiple of the places, which favours some by one part in 10^7 or less.
    places = jnp.stack([height - side + 1, width - side + 1]).astype(jnp.uint32)
    top, left = (bits % places).astype(jnp.int32)
    return top, left


def _inside(top: Array, left: Array, side: Array, height: int, width: int) -> Array:
    """Whether a pixel is in a square, bool [h, w]."""
    row, column = (
        jnp.arange(height, dtype=jnp.int32) - top,
        jnp.arange(width, dtype=jnp.int32) - left,
    )
    row_inside, column_inside = (
        (row >= 0) & (row < side),
        (column >= 0) & (column < side),
    )
    return row_inside[:, None] & column_inside[None, :]


def _signs(bits: Array, dtype: np.dtype) -> Array:
    """Random words to -1 and 1."""
    return jnp.where(bits % 2 == 1, 1, -1).astype(dtype)


def _over_pixels(values: Array) -> Array:
    """Sums float [h, w, c] to [c]."""
    # XLA would make one sum of the two, of single numbers; rows add up side by side.
    return jnp.sum(jax.lax.optimization_barrier(jnp.sum(values, 0)), 0)


def _pattern(
    row: Array, column: Array, side: Array, turned: Array, dtype: np.dtype
) -> Array:
    """The pattern eta of equation 2: two halves of opposite sign, steep in the middle.

    Args:
        row: i32 [h], counted from the square's top.
        column: i32 [w], counted from its left.
        side: i32 [], the square's.
        turned: bool [], whether the halves stand side by side.
        dtype: the type to compute in.

    Returns:
        float [h, w], of no particular norm, 0 outside the square.
    """
    half = side // 2
    # Ring m around a half's middle has 1/(m+1)^2 + ... + 1/(half+1)^2, a difference of
    # running sums. It falls with m, the larger of two distances: so take the smaller.
    longest = max(row.shape[0], column.shape[0])
    steps = 1 / np.arange(1.0, longest + 2) ** 2
    sums = jnp.asarray(np.concatenate([[0.0], np.cumsum(steps)]), dtype)

    def height(place: Array, middle: Array) -> Array:
        ring = jnp.clip(jnp.abs(place - middle), 0, half)
        inside = (place >= 0) & (place < side)
        return jnp.where(inside, sums[half + 1] - sums[ring], 0)

    def along(place: Array) -> tuple[Array, Array]:
        first = place < half
        middle = jnp.where(first, half // 2, half + (side - half) // 2)
        return height(place, middle), jnp.where(first, 1, -1).astype(dtype)

    def across(place: Array) -> tuple[Array, Array]:
        return height(place, half), jnp.ones(place.shape, dtype)

    rows, row_sign = _either(turned, across(row), along(row))
    columns, column_sign = _either(turned, along(column), across(column))
    sign = row_sign[:, None] * column_sign[None, :]
    return sign * jnp.minimum(rows[:, None], columns[None, :])


def _either(first: Array, a: tuple[Array, ...], b: tuple[Array, ...]) -> list[Array]:
    return [jnp.where(first, *pair) for pair in zip(a, b, strict=True)]
