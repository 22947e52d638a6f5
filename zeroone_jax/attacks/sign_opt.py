"""Sign-OPT (Cheng et al. 2020), an L2 attack by labels alone.

It looks for the direction in which the boundary is nearest. Whether the boundary is
nearer in another direction, one label tells: that of the point in that direction, as
far away as the boundary is in the first one. The mean of random changes of direction,
each with the sign that its label gave, is the way to go, as far as a line search says.

This follows the outline of the paper, not its program. Three things are ours. A
start is brought to the boundary, where the paper draws 100 directions. Changes are
drawn orthogonal to the direction. And the line search begins at twice the last step,
halves it until it is better, and pays one label for each try.
"""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks.arc import unit
from zeroone_jax.attacks.estimate import EstimatesNormals, Radius, tolerance
from zeroone_jax.attacks.oracle import bisect, first_hit
from zeroone_jax.attacks.perturbation import each, size
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LabelFn

# The first step, of a direction of size 1, and the largest and least one to begin at.
_FIRST_STEP, _LARGEST_STEP, _LEAST_STEP = 1.0, 4.0, 1e-3
# A step is halved until it is better, this many times at most.
_TRIES = 12


class Memory(NamedTuple):
    """Sign-OPT's own state.

    Attributes:
        distance: float [n], of the adversary, which lies at the boundary.
        radius: float [n], how far directions change to be compared.
        step: float [n], what the next line search begins at.
    """

    distance: Array
    radius: Array
    step: Array


class Info(NamedTuple):
    """What a step did.

    Attributes:
        distance: float [n], of the adversary it came to.
        radius: float [n], the radius it used.
        step: float [n], how far the direction went, 0 where no step was better.
        hit_share: float [n], the share of changes that were better.
    """

    distance: Array
    radius: Array
    step: Array
    hit_share: Array


class SignOPT(EstimatesNormals, name="sign_opt"):
    """Descends on the distance of the boundary, as a function of the direction.

    Attributes:
        iterations: the most iterations; `max_queries` may end the search earlier. None
            for as many as queries allow.
        directions: changes of direction that an iteration compares.
        radius: how far they go, of a direction of size 1 (the paper's epsilon);
            "adaptive" as HopSkipJump's. The paper has a small one, which sees one facet
            of a sign network.
    """

    iterations: int | None = 1000
    directions: int = 200
    radius: Radius = "adaptive"
    max_queries: int | None = 10_000

    norms: ClassVar = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(directions=self.directions)

    def init(
        self, key: Key, fn: LabelFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Finds a start and brings it to the boundary."""
        near, radii = self.at_boundary(key, fn, x, y, start)
        step = jnp.full(x.shape[:1], _FIRST_STEP, x.dtype)
        return self.begun(x, y, near, Memory(size(near.point - x, "l2"), radii, step))

    def step(self, key: Key, fn: LabelFn, state: State) -> tuple[State, Info]:
        """Compares directions, and goes where they are better."""
        x, memory, active = state.x, state.memory, state.active
        hits, budget, distance = self.hits(fn, state.y), self.budget(x), memory.distance
        asked = self.affordable(state, self.directions)
        outward = unit(state.adversary - x)
        # A direction and an orthogonal change of it, brought back to size 1.
        share = jax.lax.rsqrt(1 + memory.radius**2)
        normal = self.normals(
            self.step_keys(key, state),
            fn,
            state.y,
            x + each(distance * share, x) * outward,
            memory.radius * distance * share,
            asked,
            but=outward,
            widened=self.widened(state),
        )

        def halved(times: Array) -> Array:
            step = each(jnp.ldexp(memory.step, -times), x)
            direction = unit(outward + step * normal.direction)
            return jnp.clip(x + each(distance, x) * direction, 0, 1)

        queries = state.queries + asked
        better = first_hit(
            hits,
            halved,
            active & (asked > 0),
            state.adversary,
            queries,
            jnp.minimum(budget, queries + _TRIES),
        )
        near = bisect(
            hits,
            x,
            better.point,
            better.hit,
            tolerance(memory.radius, x),
            better.queries,
            budget,
            "l2",
        )
        found = size(near.point - x, "l2")
        nearer = better.hit & (found < distance)
        step = jnp.ldexp(memory.step, 1 - (better.queries - queries))
        step = jnp.where(better.hit, step, 0)
        following = jnp.where(better.hit, 2 * step, memory.step / 4)
        following = jnp.clip(following, _LEAST_STEP, _LARGEST_STEP)
        radius = self.next_radii(memory.radius, normal.hit_share)
        iteration = state.iteration + 1
        memory = Memory(
            jnp.where(nearer, found, distance),
            jnp.where(active, radius, memory.radius),
            jnp.where(active, following, memory.step),
        )
        info = Info(memory.distance, state.memory.radius, step, normal.hit_share)
        return state._replace(
            adversary=where(nearer, near.point, state.adversary),
            active=active & self.goes_on(x, iteration, near.queries),
            queries=near.queries,
            iteration=iteration,
            memory=memory,
        ), info
