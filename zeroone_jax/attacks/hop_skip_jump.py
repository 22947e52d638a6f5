"""HopSkipJump (Chen, Jordan, Wainwright 2019), Algorithm 2, by labels alone.

Each iteration begins at the boundary, estimates its normal from the labels of points
around, jumps along it, and comes back to the boundary on the way to the image. On sign
networks the distance of these points (`radius`) decides how good the attack is: their
boundary has facets, and a tiny radius sees one facet only (docs/papers.md, A6).
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks.estimate import EstimatesNormals, Radius, tolerance
from zeroone_jax.attacks.oracle import bisect, first_hit
from zeroone_jax.attacks.perturbation import each, size
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LabelFn

# The first iteration's radius (the authors' program), in the attack's norm.
_FIRST_RADIUS = 0.1
# A jump is halved until it leads to a hit, this many times at most.
_HALVINGS = 25


class Memory(NamedTuple):
    """HopSkipJump's own state.

    Attributes:
        point: float [n, ...], a hit at the boundary, where the next step begins.
        distance: float [n], its size in the attack's norm.
        nearest: float [n], the smallest distance so far, of `State.adversary`.
        radius: float [n], the radius as a share of the distance.
    """

    point: Array
    distance: Array
    nearest: Array
    radius: Array


class Info(NamedTuple):
    """What a step did.

    Attributes:
        distance: float [n], of the point the step came to.
        radius: float [n], the radius it used, as a share of the distance.
        jump: float [n], the length of the jump in the attack's norm, 0 if none led
            to a hit.
        hit_share: float [n], the share of directions that led to hits.
    """

    distance: Array
    radius: Array
    jump: Array
    hit_share: Array


class _Tried(NamedTuple):
    """Where an estimate led; arrays [n, ...]."""

    point: Array
    distance: Array
    jump: Array
    hit_share: Array
    queries: Array


class HopSkipJump(EstimatesNormals, name="hop_skip_jump"):
    """Follows the boundary towards the image by estimates of its normal.

    Iteration t asks about `initial_directions * sqrt(t)` points, jumps by `distance /
    sqrt(t)`, which is halved until the point is an adversary, and bisects back to the
    boundary, to within `radius / sqrt(d)` of the way. The nearest adversary of all
    points is returned.

    Attributes:
        iterations: the most iterations; `max_queries` may end the search earlier. None
            for as many as queries allow.
        initial_directions: directions of the first iteration.
        max_directions: the most of any iteration.
        radius: how far away the points lie, as a share of the distance to the image;
            .01 is the usual setting. The first iteration uses .1, not as a share, as
            the authors' program does. "adaptive" begins far away, comes nearer where
            nearly all labels are alike, and goes farther where they vary.
    """

    iterations: int | None = 40
    initial_directions: int = 100
    max_directions: int = 10_000
    radius: Radius = 0.01

    norms: ClassVar = ("l2", "linf")

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
        distance = size(near.point - x, self.norm)
        return self.begun(x, y, near, Memory(near.point, distance, distance, radii))

    def step(self, key: Key, fn: LabelFn, state: State) -> tuple[State, Info]:
        """Estimates, jumps, and comes back to the boundary."""
        memory, active = state.memory, state.active
        root = jnp.sqrt(state.iteration.astype(jnp.float32) + 1)
        wanted = jnp.minimum(self.initial_directions * root, self.max_directions)
        keys = self.step_keys(key, state)
        tried = self._try(keys, fn, state, wanted.astype(jnp.int32), root)
        better = active & (tried.distance < memory.nearest)
        iteration = state.iteration + 1
        radius = self.next_radii(memory.radius, tried.hit_share)
        info = Info(tried.distance, memory.radius, tried.jump, tried.hit_share)
        state = state._replace(
            adversary=where(better, tried.point, state.adversary),
            active=active & self.goes_on(state.x, iteration, tried.queries),
            queries=tried.queries,
            iteration=iteration,
            memory=Memory(
                where(active, tried.point, memory.point),
                jnp.where(active, tried.distance, memory.distance),
                jnp.where(better, tried.distance, memory.nearest),
                jnp.where(active, radius, memory.radius),
            ),
        )
        return state, info

    def _try(
        self,
        keys: Array,
        fn: LabelFn,
        state: State,
        wanted: Array,
        root: Array,
    ) -> _Tried:
        """Estimates the normal, jumps along it, comes back to the boundary."""
        x, memory, budget = state.x, state.memory, self.budget(state.x)
        radius, queries = memory.radius, state.queries
        first = (state.iteration == 0) & (not isinstance(self.radius, str))
        around = jnp.where(first, _FIRST_RADIUS, radius * memory.distance)
        asked = self.affordable(state, wanted)
        normal = self.normals(
            keys,
            fn,
            state.y,
            memory.point,
            around,
            asked,
            widened=self.widened(state),
        )
        point, length, queries = self._jump(
            fn,
            state,
            normal.direction,
            memory.distance / root.astype(x.dtype),
            queries + asked,
        )
        near = bisect(
            self.hits(fn, state.y),
            x,
            point,
            state.active & (length > 0),
            tolerance(radius, x),
            queries,
            budget,
            self.norm,
        )
        distance = size(near.point - x, self.norm)
        return _Tried(near.point, distance, length, normal.hit_share, near.queries)

    def _jump(
        self, fn: LabelFn, state: State, normal: Array, length: Array, queries: Array
    ) -> tuple[Array, Array, Array]:
        """Jumps along the normal, half as far until it is a hit.

        Returns:
            The points (the old ones where there is no hit), the lengths (0 there), and
            the queries used.
        """
        start = state.memory.point

        def halved(turn: Array) -> Array:
            shorter = each(jnp.ldexp(length, -turn), start)
            return jnp.clip(start + shorter * normal, 0, 1)

        hits = self.hits(fn, state.y)
        budget = jnp.minimum(self.budget(state.x), queries + _HALVINGS)
        point, hit, used = first_hit(hits, halved, state.active, start, queries, budget)
        # Every query but the first has halved it.
        length = jnp.ldexp(length, 1 - (used - queries))
        return point, jnp.where(hit, length, 0), used
