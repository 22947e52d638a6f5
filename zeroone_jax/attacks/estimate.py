"""The boundary's normal, estimated from the labels of points around a point.

What HopSkipJump, CGBA and GeoDA share: they ask about random directions from a point at
the boundary, and weigh each by whether it led to a hit (`directions.normal`). How far
around the points lie, the radius, decides everything on sign networks, whose boundary
has facets: a tiny radius sees one facet only (docs/papers.md, A6).
"""

import math
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from zeroone_jax import checks, loops
from zeroone_jax.attacks import directions
from zeroone_jax.attacks.decision import WalkFromAdversary
from zeroone_jax.attacks.oracle import Found
from zeroone_jax.attacks.perturbation import each
from zeroone_jax.attacks.state import State
from zeroone_jax.types import Array, Key, LabelFn, Number

Radius: TypeAlias = Number | Literal["adaptive"]
"""How far around points are asked, as a share of the distance to the image. "adaptive"
looks far away first, nearer where nearly all labels there are alike, and farther where
they vary."""

# Directions asked together. Fixed, so that no chunk size changes what is drawn.
_BLOCK = 32
# An adaptive radius begins at _ADAPTIVE_START and stays within _ADAPTIVE_LIMITS. With
# p the share of hits, it grows while |2p - 1| is below _VARIED, shrinks above _ALIKE.
_ADAPTIVE_START, _ADAPTIVE_LIMITS = 1.0, (0.003, 2.0)
_VARIED, _ALIKE, _FARTHER, _NEARER = 0.4, 0.8, 1.2, 0.8


class Normal(NamedTuple):
    """An estimate of the boundary's normals.

    Attributes:
        direction: float [n, ...], towards hits, of size 1 as `directions.normal` says.
        hit_share: float [n], the share of directions that led to hits, 1/2 where none
            was asked.
    """

    direction: Array
    hit_share: Array


class DrawsDirections(WalkFromAdversary):
    """Walks along random directions.

    Attributes:
        law: how directions are drawn: "signs" (the default), "gaussian" (even on the
            sphere) or "uniform" (even in the cube).
        frequencies: how many of the lowest frequencies of the cosine transform, of
            height and of width alike, directions are made of, in each colour; needs
            images [n, height, width, colours]. None draws pixels.
        widening: where there are `frequencies`, the number of iterations after which
            directions have twice as many, so that the search begins with smooth
            directions and ends with all; 0 for never.
    """

    law: directions.Law = "signs"
    frequencies: int | None = None
    widening: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.source.check()
        if self.widening:
            checks.counts(widening=self.widening)

    @property
    def source(self) -> directions.Source:
        """Where directions come from."""
        norm: Literal["l2", "linf"] = "linf" if self.norm == "linf" else "l2"
        return directions.Source(self.law, norm, self.frequencies)

    def widened(self, state: State) -> Array | None:
        """How many frequencies the next directions have, i32 []; None if always so."""
        if self.frequencies is None or not self.widening:
            return None
        doublings = state.iteration.astype(jnp.float32) / self.widening
        return (self.frequencies * jnp.exp2(doublings)).astype(jnp.int32)


class EstimatesNormals(DrawsDirections):
    """Walks from one point at the boundary to the next, by what labels around it tell.

    Attributes:
        iterations: the most iterations; `max_queries` may end the search earlier. None
            for as many as queries allow.
        radius: how far around points are asked, as a share of the distance to the
            image. "adaptive" looks far away first, nearer where nearly all labels there
            are alike, and farther where they vary.
    """

    iterations: int | None = 1000
    radius: Radius = "adaptive"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations is not None:
            checks.counts(iterations=self.iterations)
        elif self.max_queries is None:
            raise ValueError(
                "iterations and max_queries are both None, but one must end the search"
            )
        if isinstance(self.radius, str):
            checks.one_of("radius", self.radius, ("a number", "adaptive"))
        else:
            checks.positive(radius=self.radius)

    def at_boundary(
        self, key: Key, fn: LabelFn, x: Array, y: Array, start: Array | None
    ) -> tuple[Found, Array]:
        """Finds starts, brings them to the boundary, and makes the first radii [n]."""
        first = _ADAPTIVE_START if isinstance(self.radius, str) else self.radius
        radii = jnp.full(x.shape[:1], first, x.dtype)
        return self.start_at_boundary(key, fn, x, y, start, tolerance(radii, x)), radii

    def goes_on(self, x: Array, iteration: Array, queries: Array) -> Array:
        """Whether iterations and queries are left after so many, bool [n]."""
        left = queries < self.budget(x)
        return left if self.iterations is None else left & (iteration < self.iterations)

    def affordable(self, state: State, wanted: int | Array) -> Array:
        """How many of the questions each image can pay, i32 [n]; 0 once it ended."""
        left = jnp.clip(self.budget(state.x) - state.queries, 0, wanted)
        return jnp.where(state.active, left, 0)

    def next_radii(self, radii: Array, hit_share: Array) -> Array:
        """Looks farther while labels around vary, nearer where they are all alike.

        Args:
            radii: float [n], what was used last.
            hit_share: float [n], what it led to.

        Returns:
            float [n], the next ones.
        """
        if not isinstance(self.radius, str):
            return radii
        one_sided = jnp.abs(2 * hit_share - 1)
        factor = jnp.where(
            one_sided < _VARIED, _FARTHER, jnp.where(one_sided > _ALIKE, _NEARER, 1.0)
        )
        return jnp.clip(radii * factor.astype(radii.dtype), *_ADAPTIVE_LIMITS)

    def normals(
        self,
        keys: Array,
        fn: LabelFn,
        y: Array,
        point: Array,
        around: Array,
        asked: Array,
        but: Array | None = None,
        widened: Array | None = None,
    ) -> Normal:
        """Estimates the normals of the boundary at points.

        Args:
            keys: keys [n].
            fn: the model.
            y: i32 [n], labels or targets.
            point: float [n, ...], where directions start.
            around: float [n], how far they lead, in the source's norm.
            asked: i32 [n], how many to ask about.
            but: float [n, ...] of L2 norm 1, what directions are made orthogonal to:
                nothing is asked about it, and nothing learnt. None for nothing.
            widened: i32 [], how many frequencies directions have; None for
                `frequencies`.

        Returns:
            The `Normal`.
        """
        source, shape, dtype = self.source, point.shape[1:], point.dtype
        counts_signs = source.counts_signs and but is None
        scale = each(around * source.scale(shape), point)[:, None]

        def ask(
            carry: tuple[Array, directions.Tally],
        ) -> tuple[Array, directions.Tally]:
            block, tally = carry
            block_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, block)
            drawn = jax.vmap(
                lambda key: source.draw(key, _BLOCK, shape, dtype, widened)
            )(block_keys)
            if but is not None:
                drawn = jax.vmap(directions.without)(drawn, but)
            points = jnp.clip(point[:, None] + scale * drawn, 0, 1)
            index = block * _BLOCK + jnp.arange(_BLOCK, dtype=jnp.int32)
            real = index[None, :] < asked[:, None]
            hit = self.hits_of_many(fn, points, y, real)
            if not counts_signs:
                drawn = (points - point[:, None]) / scale
            return block + 1, jax.vmap(directions.count)(tally, drawn, hit, real)

        nothing = jax.vmap(lambda _: directions.nothing(shape, dtype))(asked)
        most = jnp.max(asked)
        tally = loops.while_loop(
            lambda carry: carry[0] * _BLOCK < most,
            ask,
            (jnp.asarray(0, jnp.int32), nothing),
        )[1]
        if counts_signs:
            reach = around * source.scale(shape)
            direction = jax.vmap(
                lambda tally, point, reach: directions.normal(
                    tally, point, reach, source.norm
                )
            )(tally, point, reach)
        else:
            direction = jax.vmap(
                lambda tally, point: directions.normal(tally, point, None, source.norm)
            )(tally, point)
        hit_share = tally.weight / jnp.maximum(tally.asked, 1) / 2 + 0.5
        return Normal(direction, hit_share)


def tolerance(radius: Array, x: Array) -> Array:
    """The share of the way at which searches for the boundary stop, float [n].

    What is asked about around a point has to straddle the boundary: a direction of that
    radius goes so far along any one axis.
    """
    return radius / math.sqrt(math.prod(x.shape[1:]))
