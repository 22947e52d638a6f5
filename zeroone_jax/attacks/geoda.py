"""GeoDA (Rahmati et al. 2020), by labels alone, in L2, L1 and Linf.

Each iteration takes the boundary for a plane: it estimates the normal at a boundary
point from labels around, and goes from the image, not from that point, along what is
shortest towards such a plane, until the labels turn. That is the next boundary point.

This follows the outline of the paper, not its program. The paper moves one
coordinate for L1, which the box stops early. Here every norm takes the shortest way to
the plane inside of the box (`shortest`).
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks.estimate import EstimatesNormals, Radius, tolerance
from zeroone_jax.attacks.oracle import first_hit, halve
from zeroone_jax.attacks.perturbation import Norm, each, size
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LabelFn, Number

# The way along a normal is doubled until it leads to a hit, so many times at most; it
# begins at the distance of the nearest adversary.
_TRIES = 6


class Memory(NamedTuple):
    """GeoDA's own state.

    Attributes:
        point: float [n, ...], a hit at the boundary, where the next normal is taken.
        nearest: float [n], the smallest distance so far, of `State.adversary`.
        radius: float [n], the radius as a share of the distance.
    """

    point: Array
    nearest: Array
    radius: Array


class Info(NamedTuple):
    """What a step did.

    Attributes:
        distance: float [n], of the boundary point it came to.
        asked: i32 [n], how many directions it asked about.
        hit_share: float [n], the share of directions that led to hits.
        hit: bool [n], whether the way along the normal led to a hit.
    """

    distance: Array
    asked: Array
    hit_share: Array
    hit: Array


class Geometric(EstimatesNormals, name="geoda"):
    """Goes along estimated normals, from the image to the boundary.

    Iteration t asks `initial_directions * growth^t` directions: later points are nearer
    and deserve the better estimates.

    Attributes:
        iterations: the most iterations; `max_queries` may end the search earlier. None
            for as many as queries allow.
        initial_directions: directions of the first iteration.
        growth: how many times as many directions the next iteration asks. The paper's
            lambda of .6 stands for `0.6^(-2/3)`, that is 1.4.
        max_directions: the most of any iteration.
        radius: how far around points are asked, as a share of the distance to the
            image (for L1, of the distance in L2); "adaptive" as HopSkipJump's. The
            paper has a small one, which sees one facet of a sign network.
    """

    iterations: int | None = 100
    initial_directions: int = 100
    growth: Number = 1.4
    max_directions: int = 10_000
    radius: Radius = "adaptive"
    max_queries: int | None = 10_000

    norms: ClassVar = ("l2", "l1", "linf")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(
            initial_directions=self.initial_directions,
            max_directions=self.max_directions,
        )
        checks.within("[1,10]", growth=self.growth)

    def init(
        self, key: Key, fn: LabelFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Finds a start and brings it to the boundary."""
        near, radii = self.at_boundary(key, fn, x, y, start)
        return self.begun(
            x, y, near, Memory(near.point, size(near.point - x, self.norm), radii)
        )

    def step(self, key: Key, fn: LabelFn, state: State) -> tuple[State, Info]:
        """Estimates the normal, and goes along it."""
        x, memory, active = state.x, state.memory, state.active
        growth = jnp.asarray(self.growth, jnp.float32)
        wanted = self.initial_directions * growth ** state.iteration.astype(jnp.float32)
        wanted = jnp.minimum(wanted, self.max_directions).astype(jnp.int32)
        asked = self.affordable(state, wanted)
        normal = self.normals(
            self.step_keys(key, state),
            fn,
            state.y,
            memory.point,
            memory.radius * size(memory.point - x, self.source.norm),
            asked,
            widened=self.widened(state),
        )
        at = shortest(x, normal.direction, self.norm)
        point, hit, queries = self._go(fn, state, at, state.queries + asked)
        distance = size(point - x, self.norm)
        better = hit & (distance < memory.nearest)
        radius = self.next_radii(memory.radius, normal.hit_share)
        iteration = state.iteration + 1
        memory = Memory(
            where(hit, point, memory.point),
            jnp.where(better, distance, memory.nearest),
            jnp.where(active, radius, memory.radius),
        )
        return state._replace(
            adversary=where(better, point, state.adversary),
            active=active & self.goes_on(x, iteration, queries),
            queries=queries,
            iteration=iteration,
            memory=memory,
        ), Info(distance, asked, normal.hit_share, hit)

    def _go(
        self,
        fn: LabelFn,
        state: State,
        at: Callable[[Array], Array],
        queries: Array,
    ) -> tuple[Array, Array, Array]:
        """Goes until the labels turn: to points, whether these are hits, for queries.

        Where none is a hit, the boundary point stays, and no hit is told.
        """
        hits, budget = self.hits(fn, state.y), self.budget(state.x)
        nearest = state.memory.nearest
        far = first_hit(
            hits,
            lambda times: at(jnp.ldexp(nearest, times)),
            state.active,
            state.memory.point,
            queries,
            jnp.minimum(budget, queries + _TRIES),
        )
        tries = far.queries - queries
        high = jnp.ldexp(nearest, tries - 1)
        low = jnp.where(tries > 1, high / 2, 0)

        def between(share: Array) -> Array:
            return at(low + share * (high - low))

        share, queries = halve(
            hits,
            between,
            jnp.ones_like(high),
            far.hit,
            tolerance(state.memory.radius, state.x),
            far.queries,
            budget,
        )
        return where(far.hit, between(share), far.point), far.hit, queries


def shortest(x: Array, normal: Array, norm: Norm) -> Callable[[Array], Array]:
    """The shortest ways to half-spaces `normal . (point - x) >= c`, inside the box.

    In L2 every coordinate moves as its slope says, in Linf all move alike, each until
    the box stops it. In L1 the coordinate of the largest slope moves alone, up to the
    border of the box, and then the next one.

    Args:
        x: float [n, ...] in [0,1].
        normal: float [n, ...]; for "linf" its signs do.
        norm: "l2", "l1" or "linf".

    Returns:
        A function of lengths float [n], the distance as far as the box stops nothing
        (in L1 always), to points float [n, ...].
    """
    if norm != "l1":
        return lambda length: jnp.clip(x + each(length, x) * normal, 0, 1)
    slope = normal.reshape(len(x), -1)
    flat = x.reshape(len(x), -1)
    room = jnp.where(slope > 0, 1 - flat, flat)
    room = jnp.where(slope == 0, 0, room)
    order = jnp.argsort(-jnp.abs(slope), axis=1)
    ordered = jnp.take_along_axis(room, order, axis=1)
    before = jnp.cumsum(ordered, axis=1) - ordered
    before = jnp.take_along_axis(before, jnp.argsort(order, axis=1), axis=1)

    def at(length: Array) -> Array:
        moved = jnp.clip(length[:, None] - before, 0, room)
        return jnp.clip(flat + jnp.sign(slope) * moved, 0, 1).reshape(x.shape)

    return at
