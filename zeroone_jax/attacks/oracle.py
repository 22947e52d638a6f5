"""What decision attacks share: asking for labels, starting, and finding the boundary.

A point is a hit where the model labels it as the attack wants. Everything here works on
all images at once: `active`, bool [n], are those to ask about, `queries`, i32 [n], are
those used so far, and `budget`, i32 [n], those that may be used in all.
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
        active: which ones to bring nearer; the others stay.
        tolerance: float [n] or [], the share of the way at which to stop halving.
        queries: see above.
        budget: see above.
        norm: see `toward`.

    Returns:
        The nearest hits seen, and the queries used.
    """

    def at(share: Array) -> Array:
        return toward(x, point, share, norm)

    whole = jnp.ones(x.shape[:1], x.dtype)
    share, queries = halve(hits, at, whole, active, tolerance, queries, budget)
    nearest = where(active & (share < 1), at(share), point)
    return Found(nearest, active, queries)


def halve(
    hits: Hits,
    at: Callable[[Array], Array],
    high: Array,
    active: Array,
    tolerance: float | Array,
    queries: Array,
    budget: Array,
) -> tuple[Array, Array]:
    """Finds the least number whose point is a hit, by halving the way from 0.

    `at` gives points float [n, ...] of numbers float [n], of which `high` are hits.
    Returned are the least numbers seen of hits, and the queries used.
    """

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        low, high, queries = carry
        return active & (high - low > tolerance) & (queries < budget)

    def ask(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, high, queries = carry
        asking = unfinished(carry)
        middle = (low + high) / 2
        hit = hits(at(middle), asking)
        return (
            jnp.where(asking & ~hit, middle, low),
            jnp.where(asking & hit, middle, high),
            queries + asking.astype(jnp.int32),
        )

    return loops.while_loop(
        lambda carry: jnp.any(unfinished(carry)),
        ask,
        (jnp.zeros_like(high), high, queries),
    )[1:]


def first_hit(
    hits: Hits,
    propose: Callable[[Array], Array],
    active: Array,
    fallback: Array,
    queries: Array,
    budget: Array,
) -> Found:
    """Finds the first hit of every image among points float [n, ...], one a turn.

    `propose` gives the points of a turn, i32 []; images without a hit have `fallback`.
    """

    def searching(carry: tuple[Array, Found]) -> Array:
        _, found = carry
        return active & ~found.hit & (found.queries < budget)

    def ask(carry: tuple[Array, Found]) -> tuple[Array, Found]:
        turn, found = carry
        asking = searching(carry)
        point = propose(turn)
        hit = asking & hits(point, asking)
        return turn + 1, Found(
            where(hit, point, found.point),
            found.hit | hit,
            found.queries + asking.astype(jnp.int32),
        )

    first = Found(fallback, jnp.zeros_like(active), queries)
    return loops.while_loop(
        lambda carry: jnp.any(searching(carry)),
        ask,
        (jnp.asarray(0, jnp.int32), first),
    )[1]


def find_start(
    hits: Hits, keys: Array, x: Array, kind: StartKind, draws: int, budget: Array
) -> Found:
    """Draws noise until the model labels it as the attack wants.

    Args:
        hits: tells hits.
        keys: keys [n].
        x: float [n, ...], the images.
        kind: "uniform": even noise in [0,1], as the papers do. "blended": noise of
            random contrast around a random grey, mixed with the image in shares of
            1/8, 1/4, 1/2 and 1 in turn; it starts nearer, and reaches classes that
            plain noise, which always looks the same to a model, does not.
        draws: how many times each image may draw.
        budget: see above.

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

    def propose(turn: Array) -> Array:
        drawn = jax.vmap(noise, (0, None, 0))(keys, turn // len(shares), x)
        return x + shares[turn % len(shares)] * (drawn - x)

    everywhere = jnp.ones(len(x), bool)
    none = jnp.zeros(len(x), jnp.int32)
    budget = jnp.minimum(budget, draws * len(shares))
    return first_hit(hits, propose, everywhere, x, none, budget)
