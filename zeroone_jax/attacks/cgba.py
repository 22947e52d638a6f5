"""CGBA and CGBA-H (Reza et al. 2023), L2 attacks by labels alone.

Each iteration stands at the boundary, estimates its normal from the labels of points
around, and turns the perturbation towards the normal along a half circle that ends at
the image (`arc`), until the labels turn: where the boundary is flat, that is its point
nearest to the image in the plane of both. HopSkipJump needs a step size, and comes back
to the boundary on another way; here the turn is searched for.

This follows the outline of the paper, not its program. Three things are ours.
Directions are drawn orthogonal to the perturbation, as the turn uses nothing else of
the normal. The search begins at twice the angle of the last turn, not at a right angle.
And directions of low frequencies widen with time.
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks.arc import LARGEST_ANGLE, Arc, turn
from zeroone_jax.attacks.estimate import EstimatesNormals, Radius, tolerance
from zeroone_jax.attacks.oracle import bisect, first_hit
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LabelFn

# The first angle that is tried, and the least that a search begins at.
_FIRST_ANGLE, _LEAST_ANGLE = 1.2, 1e-3
# An angle is halved until it leads to a hit, or doubled until it leads to none, this
# many times at most.
_TRIES = 12


class Memory(NamedTuple):
    """CGBA's own state.

    Attributes:
        distance: float [n], of the adversary, which lies at the boundary.
        radius: float [n], the radius as a share of the distance.
        angle: float [n], what the next search begins at.
    """

    distance: Array
    radius: Array
    angle: Array


class Info(NamedTuple):
    """What a step did.

    Attributes:
        distance: float [n], of the adversary it came to.
        radius: float [n], the radius it used, as a share of the distance.
        angle: float [n], how far it turned, 0 where no turn led to a hit.
        hit_share: float [n], the share of directions that led to hits.
    """

    distance: Array
    radius: Array
    angle: Array
    hit_share: Array


class CurvatureAware(EstimatesNormals, name="cgba"):
    """Turns the perturbation towards the boundary's normal, along a half circle.

    Iteration t asks `initial_directions * sqrt(t)` directions. The angle of the turn is
    halved until it leads to a hit, and then searched up to the nearest angle that does
    not, to `radius / sqrt(d)`.

    Attributes:
        iterations: the most iterations; `max_queries` may end the search earlier. None
            for as many as queries allow.
        initial_directions: directions of the first iteration.
        max_directions: the most of any iteration.
        radius: how far around points are asked, as a share of the distance to the
            image. "adaptive" looks far away first, nearer where nearly all labels there
            are alike, and farther where they vary, as HopSkipJump's does. That suits
            sign networks; smooth ones are better looked at from near, as at .03.
        curved: whether to search as CGBA-H, for boundaries that are far from flat, as
            around narrow regions of a target: the angle is doubled as long as it leads
            to hits, so that no turn jumps across what is no hit, and the point then
            comes back to the boundary on the way to the image.
        widening: where there are `frequencies`, the number of iterations after which
            directions have twice as many; 0 for never. On LeNet, 16 images,
            `radius=0.03, frequencies=12` with this bring the median at 1,000 queries
            from 1.77 to 1.07, and at 10,000 from .464 to .426
            (`experiments.reproduce --what=paper_a.labels`).
    """

    iterations: int | None = 1000
    initial_directions: int = 30
    max_directions: int = 10_000
    radius: Radius = "adaptive"
    curved: bool = False
    widening: int = 15
    max_queries: int | None = 10_000

    norms: ClassVar = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(
            initial_directions=self.initial_directions,
            max_directions=self.max_directions,
        )

    def init(
        self, key: Key, fn: LabelFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Finds a start and brings it to the boundary."""
        near, radii = self.at_boundary(key, fn, x, y, start)
        angle = jnp.full(x.shape[:1], _FIRST_ANGLE, x.dtype)
        return self.begun(x, y, near, Memory(size(near.point - x, "l2"), radii, angle))

    def step(self, key: Key, fn: LabelFn, state: State) -> tuple[State, Info]:
        """Estimates the normal, and turns towards it."""
        x, memory, active = state.x, state.memory, state.active
        root = jnp.sqrt(state.iteration.astype(jnp.float32) + 1)
        wanted = jnp.minimum(self.initial_directions * root, self.max_directions)
        asked = self.affordable(state, wanted.astype(jnp.int32))
        outward = Arc.between(x, state.adversary, x).outward
        normal = self.normals(
            self.step_keys(key, state),
            fn,
            state.y,
            state.adversary,
            memory.radius * memory.distance,
            asked,
            but=outward,
            widened=self.widened(state),
        )
        arc = Arc.between(x, state.adversary, normal.direction)
        search = self._turn_far if self.curved else self._turn
        point, angle, queries = search(fn, state, arc, state.queries + asked)
        distance = size(point - x, "l2")
        nearer = active & (angle > 0) & (distance < memory.distance)
        radius = self.next_radii(memory.radius, normal.hit_share)
        following = jnp.where(nearer, 2 * angle, memory.angle / 4)
        iteration = state.iteration + 1
        memory = Memory(
            jnp.where(nearer, distance, memory.distance),
            jnp.where(active, radius, memory.radius),
            jnp.where(
                active, jnp.clip(following, _LEAST_ANGLE, _FIRST_ANGLE), memory.angle
            ),
        )
        info = Info(memory.distance, state.memory.radius, angle, normal.hit_share)
        return state._replace(
            adversary=where(nearer, point, state.adversary),
            active=active & self.goes_on(x, iteration, queries),
            queries=queries,
            iteration=iteration,
            memory=memory,
        ), info

    def _turn(
        self, fn: LabelFn, state: State, arc: Arc, queries: Array
    ) -> tuple[Array, Array, Array]:
        """Turns as far as hits go, from above: to points, by angles, for queries."""
        hits, budget = self.hits(fn, state.y), self.budget(state.x)
        first = state.memory.angle
        found = first_hit(
            hits,
            lambda times: arc.at(jnp.ldexp(first, -times)),
            state.active,
            state.adversary,
            queries,
            jnp.minimum(budget, queries + _TRIES),
        )
        tries = found.queries - queries
        low = jnp.where(found.hit, jnp.ldexp(first, 1 - tries), 0)
        high = jnp.where(tries > 1, 2 * low, LARGEST_ANGLE)
        exactness = tolerance(state.memory.radius, state.x)
        angle, queries = turn(
            hits, arc, low, high, found.hit, exactness, found.queries, budget
        )
        return where(angle > 0, arc.at(angle), state.adversary), angle, queries

    def _turn_far(
        self, fn: LabelFn, state: State, arc: Arc, queries: Array
    ) -> tuple[Array, Array, Array]:
        """Turns as far as all are hits, from below, and comes nearer on the way."""
        hits, budget = self.hits(fn, state.y), self.budget(state.x)
        first = state.memory.angle / 4

        def angle_of(times: Array) -> Array:
            return jnp.minimum(jnp.ldexp(first, times), LARGEST_ANGLE)

        miss = first_hit(
            lambda points, asked: ~hits(points, asked),
            lambda times: arc.at(angle_of(times)),
            state.active,
            state.adversary,
            queries,
            jnp.minimum(budget, queries + _TRIES),
        )
        tries = miss.queries - queries
        high = angle_of(tries - 1)
        low = jnp.where(tries > 1, angle_of(tries - 2), 0)
        exactness = tolerance(state.memory.radius, state.x)
        angle, queries = turn(
            hits, arc, low, high, miss.hit, exactness, miss.queries, budget
        )
        near = bisect(
            hits,
            state.x,
            where(angle > 0, arc.at(angle), state.adversary),
            state.active & (angle > 0),
            exactness,
            queries,
            budget,
            "l2",
        )
        return near.point, angle, near.queries
