"""Random directions for estimating the boundary's normal from labels.

HopSkipJump's estimate (Chen et al. 2019, equation 16) is the mean of random directions,
each weighted by whether the point it leads to is a hit. Its cost, besides the model's
own, is the drawing of the directions: random signs, unpacked from random bits, are far
cheaper than normal numbers. Directions may be smooth: waves of low frequencies alone,
to which networks of natural images answer more than to noise.
"""

import math
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from zeroone_jax import checks
from zeroone_jax.attacks.perturbation import Norm
from zeroone_jax.types import Array, Key

Law: TypeAlias = Literal["signs", "gaussian", "uniform"]
"""How directions are drawn; see `draw`."""

LAWS: tuple[Law, ...] = ("signs", "gaussian", "uniform")


class Source(NamedTuple):
    """Where directions come from.

    Attributes:
        law: how they are drawn.
        norm: "l2" or "linf", what they are of size 1 in.
        frequencies: how many of the lowest frequencies of the cosine transform, of
            height and of width alike, they are made of, in each colour; all where an
            image has fewer. None draws pixels.
    """

    law: Law
    norm: Norm
    frequencies: int | None = None

    @property
    def counts_signs(self) -> bool:
        """Whether a direction is -1 and 1 in pixels, so that sums of them are exact."""
        return self.law == "signs" and self.frequencies is None

    def check(self) -> None:
        """Refuses settings out of their range, as ValueErrors."""
        checks.one_of("law", self.law, LAWS)
        if self.frequencies is not None:
            checks.counts(frequencies=self.frequencies)

    def scale(self, shape: tuple[int, ...]) -> float:
        """What directions as they are drawn are multiplied by to be of size 1."""
        return sign_size(shape, self.norm) if self.counts_signs else 1.0

    def draw(
        self,
        key: Key,
        number: int,
        shape: tuple[int, ...],
        dtype: jnp.dtype,
        widened: Array | None = None,
    ) -> Array:
        """Draws directions, as `draw` and `smooth` do."""
        if self.frequencies is None:
            return draw(key, number, shape, self.law, self.norm, dtype)
        return smooth(key, number, shape, self, dtype, widened)


class Tally(NamedTuple):
    """Sums over directions, from which the normal is estimated.

    For signs these are whole numbers, exact in any order of summation.

    Attributes:
        weighted: float [...], sum of weight times direction; a weight is 1 for a hit,
            -1 otherwise.
        plain: float [...], sum of the directions.
        weight: float [], sum of the weights.
        asked: float [], number of directions.
    """

    weighted: Array
    plain: Array
    weight: Array
    asked: Array


def draw(
    key: Key,
    number: int,
    shape: tuple[int, ...],
    law: Law,
    norm: Norm,
    dtype: jnp.dtype,
) -> Array:
    """Draws directions.

    Args:
        key: a random key.
        number: how many.
        shape: an image's shape.
        law: "signs": every coordinate the same size, its sign random. "gaussian": even
            on the sphere (the paper's for L2). "uniform": even in the cube (the
            paper's for Linf).
        norm: "l2" or "linf".
        dtype: the float type.

    Returns:
        float [number, ...]: for "signs" -1 and 1, to be multiplied by `sign_size`; for
        the others of L2 norm 1 for "l2", in the cube [-1,1] for "linf".
    """
    size = math.prod(shape)
    if law == "signs":
        words = jax.random.bits(key, (number, -(-size // 32)), jnp.uint32)
        places = jnp.arange(32, dtype=jnp.uint32)
        bits = (words[:, :, None] >> places[None, None, :]) & 1
        flat = bits.reshape(number, -1)[:, :size].astype(dtype) * 2 - 1
    elif law == "gaussian":
        flat = jax.random.normal(key, (number, size), dtype)
    else:
        flat = jax.random.uniform(key, (number, size), dtype, -1, 1)
    if law != "signs" and norm == "l2":
        flat /= jnp.linalg.norm(flat, axis=1, keepdims=True)
    if law == "gaussian" and norm == "linf":
        flat /= jnp.max(jnp.abs(flat), axis=1, keepdims=True)
    return flat.reshape(number, *shape)


def smooth(
    key: Key,
    number: int,
    shape: tuple[int, ...],
    source: Source,
    dtype: DTypeLike,
    widened: Array | None = None,
) -> Array:
    """Draws directions of low frequencies.

    Args:
        key: a random key.
        number: how many.
        shape: an image's height, width and colours.
        source: its `law` is that of the coefficients.
        dtype: the float type.
        widened: i32 [], how many frequencies instead of the source's own; this may be
            traced.

    Returns:
        float [number, ...] of norm 1.

    Raises:
        ValueError: an image is no grid of pixels.
    """
    if source.frequencies is None or len(shape) != 3:
        raise ValueError(
            f"frequencies is {source.frequencies}, but needs images [n, height, width, "
            f"colours], not images of shape {shape}"
        )
    most = source.frequencies if widened is None else max(shape[:2])
    rows, columns = (jnp.asarray(cosines(side, most), dtype) for side in shape[:2])
    if widened is not None:
        rows, columns = (
            jnp.where(jnp.arange(waves.shape[1])[None, :] < widened, waves, 0)
            for waves in (rows, columns)
        )
    kept = (rows.shape[1], columns.shape[1], shape[2])
    coefficients = draw(key, number, kept, source.law, "l2", jnp.dtype(dtype))
    waves = jnp.einsum(
        "yf,nfgc,xg->nyxc",
        rows,
        coefficients,
        columns,
        precision="highest",
    )
    flat = waves.reshape(number, -1)
    if source.norm == "linf":
        length = jnp.max(jnp.abs(flat), axis=1)
    else:
        length = jnp.linalg.norm(flat, axis=1)
    return (
        waves / jnp.maximum(length, float(jnp.finfo(dtype).tiny))[:, None, None, None]
    )


def cosines(side: int, frequencies: int) -> np.ndarray:
    """The lowest cosines of a line of pixels (the basis of the transform DCT-II).

    Args:
        side: pixels of the line.
        frequencies: how many cosines; at most `side` are given.

    Returns:
        float64 [side, frequencies], orthonormal columns, the constant one first.
    """
    place = np.arange(side)[:, None] + 0.5
    frequency = np.arange(min(side, frequencies))[None, :]
    waves = np.cos(np.pi * place * frequency / side)
    return waves / np.linalg.norm(waves, axis=0)


def without(drawn: Array, axis: Array) -> Array:
    """What directions float [number, ...] have besides an axis [...] of L2 norm 1."""
    flat, axis = drawn.reshape(len(drawn), -1), axis.reshape(-1)
    along = jnp.matmul(flat, axis, precision="highest")
    return (flat - along[:, None] * axis[None, :]).reshape(drawn.shape)


def sign_size(shape: tuple[int, ...], norm: Norm) -> float:
    """The size of each coordinate of a direction of signs of norm 1."""
    return 1 / math.sqrt(math.prod(shape)) if norm == "l2" else 1.0


def count(tally: Tally, directions: Array, hit: Array, asked: Array) -> Tally:
    """Adds a block of directions.

    Args:
        tally: the sums so far, of one image.
        directions: float [m, ...].
        hit: bool [m], which ones led to hits.
        asked: bool [m], which ones were asked at all.

    Returns:
        The sums.
    """
    dtype = directions.dtype
    used = asked.astype(dtype)
    weight = jnp.where(hit, used, -used)
    flat = directions.reshape(len(directions), -1)
    sums = jnp.matmul(jnp.stack([weight, used]), flat, precision="highest")
    shape = directions.shape[1:]
    return Tally(
        tally.weighted + sums[0].reshape(shape),
        tally.plain + sums[1].reshape(shape),
        tally.weight + jnp.sum(weight),
        tally.asked + jnp.sum(used),
    )


def nothing(shape: tuple[int, ...], dtype: jnp.dtype) -> Tally:
    """The sums over no direction."""
    none = jnp.zeros((), dtype)
    return Tally(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype), none, none)


def normal(tally: Tally, point: Array, reach: Array | None, norm: Norm) -> Array:
    """Estimates the direction in which hits lie.

    Args:
        tally: the sums over all directions asked.
        point: float [...], where they were drawn around.
        reach: float [], how far a sign moves a coordinate, where signs were counted;
            None where what the box left of the directions was.
        norm: "l2" or "linf".

    Returns:
        float [...] of norm 1: the estimate of equation 16 with its baseline, over its
        L2 norm for "l2", its sign for "linf". 0 where nothing was asked.
    """
    weighted, plain = tally.weighted, tally.plain
    if reach is not None:
        # What the box left of the steps up and down, by the number of each.
        up, down = jnp.minimum(1, (1 - point) / reach), jnp.minimum(1, point / reach)
        weighted = (
            up * (tally.weight + weighted) - down * (tally.weight - weighted)
        ) / 2
        plain = (up * (tally.asked + plain) - down * (tally.asked - plain)) / 2
    mean = tally.weight / jnp.maximum(tally.asked, 1)
    estimate = jnp.where(jnp.abs(mean) < 1, weighted - mean * plain, mean * plain)
    if norm == "linf":
        return jnp.sign(estimate)
    length = jnp.sqrt(jnp.sum(estimate * estimate))
    return estimate / jnp.where(length > 0, length, 1)
