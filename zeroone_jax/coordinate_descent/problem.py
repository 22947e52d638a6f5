"""What the solver works on: features in levels, labels, and the rows it samples."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax.coordinate_descent import basis as bases
from zeroone_jax.coordinate_descent.basis import Basis
from zeroone_jax.coordinate_descent.config import Config
from zeroone_jax.coordinate_descent.program import LEVELS, Program, Share
from zeroone_jax.data import check_features
from zeroone_jax.types import Array, Key

_TOLERANCE = 1e-3

LARGEST_NORM = 640.0
"""A hidden unit's weights are no longer than this, before they are halved."""


class Ball(NamedTuple):
    """The balls in which rows must be right, in units of coordinates.

    Attributes:
        own: f32 [n], radii that rows have of their own, infinite where they have none.
        rounding: f32 [n], what is added to each, as coordinates are rounded.
        scale: f32 [], units in a level.
    """

    own: Array
    rounding: Array
    scale: Array


class Extent(NamedTuple):
    """How far coordinates reach where they are not pixels, whose levels do to 255.

    Attributes:
        low: f32 [d], the lowest of each.
        high: f32 [d], the highest of each.
        usual: f32 [], the width of their ranges, in 255 of their units.
    """

    low: Array
    high: Array
    usual: Array


class Problem(NamedTuple):
    """A two-class training set.

    Attributes:
        levels: f32 [d, n], features times 255, one row a coordinate. Whole numbers
            for 8-bit images, which makes every projection exact. In a basis other than
            the pixels', whole multiples of a unit.
        mean: f32 [d], the mean level of each coordinate, rounded.
        labels: i32 [n], 0 or 1.
        ball: for the certified 01 loss, or None.
        extent: of a basis other than the pixels', or None.
    """

    levels: Array
    mean: Array
    labels: Array
    ball: Ball | None = None
    extent: Extent | None = None


def prepare(
    x: Array, y: Array, config: Config, radii: ArrayLike | None = None
) -> Problem:
    """Checks a training set and lays it out for the solver.

    Args:
        x: f32 [n, d], or images [n, h, w, c] for the basis "dct", in [0, 1].
        y: integers [n], labels 0..k-1, each of them present.
        config: settings, checked against the data.
        radii: f32 [n], the most that the certified 01 loss asks of each row; None asks
            `config.epsilon` of all.

    Returns:
        A `Problem` whose labels are still 0..k-1; `binary` makes them 0 and 1.

    Raises:
        ValueError: where shapes, ranges, labels or settings do not fit.
    """
    return in_basis(x, y, config, radii)[0]


def in_basis(
    x: Array, y: Array, config: Config, radii: ArrayLike | None = None
) -> tuple[Problem, Basis | None]:
    """As `prepare`, with the basis of the coordinates, None of which are pixels."""
    check(x, y, config)
    shape = np.shape(x)[1:]
    features, labels = _features(x, config), np.asarray(y)
    levels = (features * np.asarray(LEVELS, features.dtype)).astype(np.float32)
    whole = np.rint(levels)
    if np.max(np.abs(levels - whole)) < _TOLERANCE:
        levels = whole
    basis, rounding, extent = _basis(levels, shape, config), np.zeros(len(labels)), None
    coordinates = np.ascontiguousarray(levels.T)
    if basis is not None:
        coordinates, rounding = basis.coordinates(levels.astype(np.float64))
        extent = _extent(coordinates)
    mean = np.rint(np.mean(coordinates, axis=1, dtype=np.float64))
    problem = Problem(
        jnp.asarray(coordinates, jnp.float32),
        jnp.asarray(mean, jnp.float32),
        jnp.asarray(labels, jnp.int32),
        _ball(config, radii, rounding, 1.0 if basis is None else basis.scale),
        extent,
    )
    return problem, basis


def _basis(levels: np.ndarray, shape: tuple[int, ...], config: Config) -> Basis | None:
    if config.basis == "pixels":
        return None
    exactly = levels.astype(np.float64)
    if config.basis == "principal":
        return bases.principal(exactly, config.components, LARGEST_NORM)
    if len(shape) != 3:
        raise ValueError(
            f"basis='dct' needs images [n, h, w, c], not features of shape {shape}"
        )
    return bases.dct(shape, exactly, config.components, LARGEST_NORM)


def _extent(coordinates: np.ndarray) -> Extent:
    low, high = coordinates.min(axis=1), coordinates.max(axis=1)
    usual = np.median(high - low) / LEVELS
    return Extent(*(jnp.asarray(value, jnp.float32) for value in (low, high, usual)))


def _ball(
    config: Config, radii: ArrayLike | None, rounding: np.ndarray, scale: float
) -> Ball | None:
    if config.epsilon == 0:
        if radii is not None:
            raise ValueError("radii need the certified loss: epsilon above 0, not 0")
        return None
    rows = len(rounding)
    own = np.full(rows, np.inf) if radii is None else np.asarray(radii, np.float64)
    if own.shape != (rows,):
        raise ValueError(f"radii have shape {own.shape}, but must be [{rows}]")
    if not (own >= 0).all():
        raise ValueError(f"radii hold {own[~(own >= 0)][0]}, but must be at least 0")
    # Sums of multiples of 1/64 are exact.
    allowance = np.ceil((rounding + 1e-3 * (rounding > 0)) * 64) / 64
    return Ball(
        jnp.asarray(own * LEVELS * scale, jnp.float32),
        jnp.asarray(allowance, jnp.float32),
        jnp.float32(scale),
    )


def binary(data: Problem, positive: Array) -> Problem:
    """Turns labels 0..k-1 into 1 for the `positive` class and 0 for all others."""
    return data._replace(labels=(data.labels == positive).astype(jnp.int32))


def correct_rows(data: Problem, predicted: Array) -> Array:
    """Counts rows predicted right, in class 0 and in class 1: i32 [2]."""
    right = (predicted == (data.labels == 1)).astype(jnp.int32)
    ones = jnp.sum(right * data.labels, dtype=jnp.int32)
    return jnp.stack([jnp.sum(right, dtype=jnp.int32) - ones, ones])


def class_weights(data: Problem, program: Program, early: Array) -> Array:
    """The weight of a correct row of each class: i32 [2].

    Plain accuracy weighs rows by 1/n, balanced accuracy by 1/(2 n_c) in a class of
    n_c rows. Weights are whole multiples of a fixed fraction, so that scores are
    sums of whole numbers and equal scores are equal on any device; they are as
    fine as lets n rows fit in an i32. "schedule" is balanced while it is early.
    """
    rows = data.labels.shape[0]
    ones = jnp.sum(data.labels, dtype=jnp.int32)
    counts = jnp.stack([rows - ones, ones]).astype(jnp.float32)
    plain = jnp.full(2, 1 / rows, jnp.float32)
    # The comparison of a class without rows never matters, but must stay finite.
    balanced = 0.5 / jnp.maximum(counts, 1.0)
    if program.objective == "plain":
        weights = plain
    elif program.objective == "balanced":
        weights = balanced
    else:
        weights = jnp.where(early, balanced, balanced + plain)
    finest = 2 ** (30 - rows.bit_length())
    return jnp.round(weights / jnp.max(weights) * finest).astype(jnp.int32)


def sample_rows(key: Key, data: Problem, share: Share) -> Array:
    """Draws a stratified sample: i32 [n], 1 for floor(share * n_c) rows of class c.

    Exact but for equal random numbers at the border of a sample: one chance in
    fifty thousand that a sample of 10,000 rows is short of a row.
    """
    return jax.lax.cond(
        share.parts == share.whole,
        lambda: jnp.ones_like(data.labels),
        lambda: _sampled(key, data.labels, share),
    )


def _sampled(key: Key, labels: Array, share: Share) -> Array:
    rows = labels.shape[0]
    ones = jnp.sum(labels, dtype=jnp.int32)
    zeros = rows - ones
    # One sort ranks both classes: class 1 draws from the upper half of the range.
    drawn = (jax.random.bits(key, (rows,)) >> 2).astype(jnp.int32) + (labels << 30)
    ordered = jnp.append(jnp.sort(drawn), jnp.int32(2**31 - 1))
    keep_zeros, keep_ones = _rounded_down(share, zeros), _rounded_down(share, ones)
    # A class that is kept whole has no next row, or one of the other class.
    border = jnp.where(labels == 1, ordered[zeros + keep_ones], ordered[keep_zeros])
    return (drawn < border).astype(jnp.int32)


def _rounded_down(share: Share, rows: Array) -> Array:
    parts, whole = share
    return rows // whole * parts + rows % whole * parts // whole


def _features(x: ArrayLike, config: Config) -> np.ndarray:
    """Rows [n, d], where images are given to a basis that takes them."""
    features = np.asarray(x)
    takes_images = config.basis == "dct" and features.ndim == 4
    return features.reshape(len(features), -1) if takes_images else features


def check(x: ArrayLike, y: ArrayLike, config: Config) -> None:
    """Checks that settings suit data.

    Args:
        x: f32 [n, d], or images [n, h, w, c] for the basis "dct".
        y: integers [n], labels 0..k-1.
        config: the settings.

    Raises:
        ValueError: where shapes, ranges, labels or settings do not fit.
    """
    x, y = _features(x, config), np.asarray(y)
    check_features(x, y)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"features must be [n, d] and not empty, not {list(x.shape)}")
    present = np.unique(y)
    # The classes there should be, no more of them than tell what is missing.
    expected = np.arange(max(2, min(int(present[-1]) + 1, present.size + 10)))
    missing = np.setdiff1d(expected, present).tolist()
    if present[0] < 0 or missing:
        raise ValueError(
            f"labels {present.tolist()[:10]}: expected every class of 0..k-1 with "
            f"k at least 2; without rows: {missing[:10]}"
        )
    if config.basis != "pixels" and config.components > x.shape[1]:
        raise ValueError(
            f"components={config.components}: there are only {x.shape[1]} pixels"
        )
    if config.features > x.shape[1]:
        raise ValueError(
            f"features={config.features} coordinates an iteration: there are only "
            f"{x.shape[1]}"
        )
    if config.rows * np.bincount(y).min() < 1:
        smallest = int(np.bincount(y).argmin())
        raise ValueError(
            f"rows={config.rows} leaves no row of class {smallest}, which has "
            f"{int(np.bincount(y).min())}"
        )
