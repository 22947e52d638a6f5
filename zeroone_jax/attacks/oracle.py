"""What decision attacks share: asking for labels, starting, and finding the boundary.

A point is a hit where the model labels it as the attack wants. Everything here works on
all images at once, counts each image's queries, and stops at each image's own budget.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from zeroone_jax import loops
from zeroone_jax.attacks.perturbation import Norm, each, size
from zeroone_jax.attacks.state import where
from zeroone_jax.types import Array

Hits: TypeAlias = Callable[[Array, Array], Array]
"""Points [n, ...], one for each image, and for which images to ask, bool [n], to
whether the points are hits, bool [n]; of any value where it was not to ask."""

StartKind: TypeAlias = Literal["blended", "uniform"]
"""Noise to start from; see `find_start`."""

# Shares of the way from the image to the noise that "blended" tries, least first.
_SHARES = (0.125, 0.25, 0.5, 1.0)


class Found(NamedTuple):
    """Points that were looked for.

    Attributes:
        point: float [n, ...].
        hit: bool [n], whether the point is a hit.
        queries: i32 [n], used so far.
    """

    point: Array
    hit: Array
    queries: Array


def toward(x: Array, point: Array, share: Array, norm: Norm) -> Array:
    """Goes a share of the way from images to points, measured in the norm.

    Args:
        x: float [n, ...].
        point: float [n, ...].
        share: float [n], 0 for the image, 1 for the point.
        norm: "l2": along the line. "linf": the point clipped to the ball whose radius
            is `share` of its distance.

    Returns:
        float [n, ...].
    """
    perturbation = point - x
    if norm == "linf":
        radius = each(share * size(perturbation, "linf"), x)
        return x + jnp.clip(perturbation, -radius, radius)
    return x + each(share, x) * perturbation


def bisect(
    hits: Hits,
    x: Array,
    point: Array,
    active: Array,
    tolerance: float | Array,
    queries: Array,
    budget: Array,
    norm: Norm,
) -> Found:
    """Brings hits near the boundary, by halving the way from the image.

    Args:
        hits: tells hits.
        x: float [n, ...], the images, no hits.
        point: float [n, ...], hits.
        active: bool [n], which ones to bring nearer; the others stay.
        tolerance: float [n] or [], the share of the way at which to stop halving.
        queries: i32 [n], used so far.
        budget: i32 [n], how many may be used in all.
        norm: see `toward`.

    Returns:
        The nearest hits seen, and the queries used.
    """
    count = len(x)
    tolerance = jnp.broadcast_to(jnp.asarray(tolerance, x.dtype), (count,))

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        low, high, queries = carry
        return active & (high - low > tolerance) & (queries < budget)

    def halve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, high, queries = carry
        asking = unfinished(carry)
        middle = (low + high) / 2
        hit = hits(toward(x, point, middle, norm), asking)
        return (
            jnp.where(asking & ~hit, middle, low),
            jnp.where(asking & hit, middle, high),
            queries + asking.astype(jnp.int32),
        )

    _, high, queries = loops.while_loop(
        lambda carry: jnp.any(unfinished(carry)),
        halve,
        (jnp.zeros(count, x.dtype), jnp.ones(count, x.dtype), queries),
    )
    nearest = where(active & (high < 1), toward(x, point, high, norm), point)
    return Found(nearest, active, queries)


def find_start(
    hits: Hits, keys: Array, x: Array, kind: StartKind, draws: int, budget: Array
) -> Found:
    """Draws noise until the model labels it as the attack wants.

    Args:
        hits: tells hits.
        keys: keys [n], one for each image.
        x: float [n, ...], the images.
        kind: "uniform": even noise in [0,1], as the papers do. "blended": noise of
            random contrast around a random grey, mixed with the image in shares of
            1/8, 1/4, 1/2 and 1 in turn; it starts nearer, and reaches classes that
            plain noise, which always looks the same to a model, does not.
        draws: how many times each image may draw.
        budget: i32 [n], how many queries may be used.

    Returns:
        The first hit of each image, the image itself where there was none, and the
        queries used.
    """
    shares = jnp.asarray(_SHARES if kind == "blended" else (1.0,), x.dtype)

    def noise(key: Array, draw: Array, image: Array) -> Array:
        values, grey, contrast = jax.random.split(jax.random.fold_in(key, draw), 3)
        even = jax.random.uniform(values, image.shape, image.dtype)
        if kind == "uniform":
            return even
        level = jax.random.uniform(grey, (), image.dtype)
        return level + jax.random.uniform(contrast, (), image.dtype) * (even - level)

    def searching(carry: tuple[Array, Found]) -> Array:
        turn, found = carry
        return (turn < draws * len(shares)) & ~found.hit & (found.queries < budget)

    def draw_one(carry: tuple[Array, Found]) -> tuple[Array, Found]:
        turn, found = carry
        asking = searching(carry)
        drawn = jax.vmap(noise, (0, None, 0))(keys, turn // len(shares), x)
        share = shares[turn % len(shares)]
        point = x + share * (drawn - x)
        hit = hits(point, asking) & asking
        return turn + 1, Found(
            where(hit, point, found.point),
            found.hit | hit,
            found.queries + asking.astype(jnp.int32),
        )

    none = jnp.zeros(len(x), bool)
    first = Found(x, none, jnp.zeros(len(x), jnp.int32))
    return loops.while_loop(
        lambda carry: jnp.any(searching(carry)),
        draw_one,
        (jnp.asarray(0, jnp.int32), first),
    )[1]
