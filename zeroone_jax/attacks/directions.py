"""Random directions for estimating the boundary's normal from labels.

HopSkipJump's estimate (Chen et al. 2019, equation 16) is the mean of random directions,
each weighted by whether the point it leads to is a hit. Its cost, besides the model's
own, is the drawing of the directions: random signs, unpacked from random bits, are far
cheaper than normal numbers.
"""

import math
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from zeroone_jax.attacks.perturbation import Norm
from zeroone_jax.types import Array, Key

Law: TypeAlias = Literal["signs", "gaussian", "uniform"]
"""How directions are drawn; see `draw`."""

LAWS: tuple[Law, ...] = ("signs", "gaussian", "uniform")


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


def normal(tally: Tally, law: Law, point: Array, reach: Array, norm: Norm) -> Array:
    """Estimates the direction in which hits lie.

    Args:
        tally: the sums over all directions asked.
        law: how they were drawn.
        point: float [...], where they were drawn around.
        reach: float [], how far a sign moves a coordinate; for the law "signs" only.
        norm: "l2" or "linf".

    Returns:
        float [...] of norm 1: the estimate of equation 16 with its baseline, over its
        L2 norm for "l2", its sign for "linf". 0 where nothing was asked.
    """
    weighted, plain = tally.weighted, tally.plain
    if law == "signs":
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
