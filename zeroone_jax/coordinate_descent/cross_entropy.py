"""Cross-entropy of sums on the lattice, in whole numbers (SCDCE).

A sum s with threshold t has the logit (s - t) / scale. As t is a half-integer the
logit takes countably many values, so that the loss is a look-up, rounded to a fixed
fraction. Totals are then whole numbers, equal on any device.
"""

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.types import Array

_LARGEST_LOGIT = 16
"""Beyond it the loss of a wrong row is taken as constant, 16."""


def losses(sums: Array, threshold: Array, labels: Array, scale: float) -> Array:
    """The loss of every row, in fixed fractions: i32 [n].

    Args:
        sums: f32 [n], whole numbers.
        threshold: f32 [], a half-integer.
        labels: i32 [n], 0 or 1.
        scale: units of a sum that make a logit of 1.

    Returns:
        i32 [n], so fine that n of them add up in i32.
    """
    return _look_up(_table(scale, sums.shape[0]), sums, threshold, labels)


def best_shift(
    sums: Array, labels: Array, counts: Array, scale: float
) -> tuple[Array, Array]:
    """The threshold of least total loss, found by bisection as the loss is convex.

    Args:
        sums: f32 [n], whole numbers.
        labels: i32 [n], 0 or 1.
        counts: i32 [n], 1 for rows that count, 0 for others.
        scale: units of a sum that make a logit of 1.

    Returns:
        The threshold, f32 [], a half-integer between the outermost sums or just
        beyond them; and the total loss there, i32 [].
    """
    table = _table(scale, sums.shape[0])
    change = jnp.asarray(table[:-1] - table[1:])
    whole = sums.astype(jnp.int32)
    sign = 2 * labels - 1

    def rises(threshold: Array) -> Array:
        """Whether the loss at `threshold + 1` exceeds that at `threshold`."""
        # A row of class 1 slides down the table, one of class 0 up.
        offset = whole - threshold - 1
        index = jnp.where(labels == 1, offset - 1, -offset - 1)
        index = jnp.clip(index + table.size // 2, 0, change.size - 1)
        return jnp.sum(counts * sign * change[index], dtype=jnp.int32) > 0

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) // 2
        up = rises(middle)
        above = jnp.minimum(middle + 1, high)
        return jnp.where(up, low, above), jnp.where(up, middle, high)

    ends = (jnp.min(whole) - 1, jnp.max(whole))
    # 2**18 exceeds any range of sums.
    low, _ = jax.lax.fori_loop(0, 18, halve, ends)
    threshold = low.astype(jnp.float32) + 0.5
    return threshold, jnp.sum(
        counts * _look_up(table, sums, threshold, labels), dtype=jnp.int32
    )


def _table(scale: float, rows: int) -> np.ndarray:
    """Losses i32 of the logits (k + .5) / scale, k = -r .. r - 1."""
    reach = round(_LARGEST_LOGIT * scale)
    finest = 2 ** (30 - rows.bit_length() - 4)
    logits = (np.arange(-reach, reach) + 0.5) / scale
    return np.rint(np.log1p(np.exp(-logits)) * finest).astype(np.int32)


def _look_up(table: np.ndarray, sums: Array, threshold: Array, labels: Array) -> Array:
    offset = jnp.floor(sums - threshold).astype(jnp.int32)
    # The loss of class 0 at a logit is that of class 1 at its negative.
    index = jnp.where(labels == 1, offset, -offset - 1) + table.size // 2
    return jnp.asarray(table)[jnp.clip(index, 0, table.size - 1)]
