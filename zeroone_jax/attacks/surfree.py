"""SurFree (Maho, Furon, Le Merrer 2021), an L2 attack by labels, without any estimate.

Each iteration draws one direction, and turns the perturbation towards it or away from
it, along a half circle that ends at the image (`arc`). Every turn that leads to a hit
comes nearer. It asks about a few points where others ask about a hundred, so that the
first queries gain much.

This follows the outline of the paper, not its program. Directions are orthogonal to the
perturbation alone, not to earlier directions as well.
"""

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks.arc import LARGEST_ANGLE, Arc, turn
from zeroone_jax.attacks.estimate import DrawsDirections
from zeroone_jax.attacks.oracle import first_hit
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LabelFn, Number

# Shares of the angle that are tried, both ways, the largest first.
_SHARES = 3
# The angle grows by the one factor where it led to a hit, and shrinks by the other
# where none of its shares did. It stays above the last.
_GROWTH, _SHRINKAGE, _LEAST_ANGLE = 1.4, 0.8, 1e-3
# How near the boundary the start comes, as a share of its way.
_START_TOLERANCE = 1e-3


class Memory(NamedTuple):
    """SurFree's own state.

    Attributes:
        distance: float [n], of the adversary, which lies near the boundary.
        angle: float [n], the largest one to try next.
    """

    distance: Array
    angle: Array


class Info(NamedTuple):
    """What a step did.

    Attributes:
        distance: float [n], of the adversary it came to.
        angle: float [n], how far it turned, below 0 away from the direction drawn; 0
            where no turn led to a hit.
        tried: float [n], the largest angle that it tried first.
    """

    distance: Array
    angle: Array
    tried: Array


class SurFree(DrawsDirections, name="surfree"):
    """Turns towards random directions, along half circles, as long as that hits.

    An iteration tries an angle, its negative, and two thirds and one third of both. The
    first hit is then searched up to the next larger angle, to a share of `tolerance`.

    Attributes:
        angle: the first angle, of 1.5 at most.
        tolerance: how exactly the best angle is searched, as a share of the angle.
        max_queries: when to stop; there is no other end.
    """

    angle: Number = math.pi / 6
    tolerance: Number = 0.05
    max_queries: int | None = 10_000

    norms: ClassVar = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.within("(0,1.5]", angle=self.angle)
        checks.within("(0,1)", tolerance=self.tolerance)
        if self.max_queries is None:
            raise ValueError("max_queries is None, but SurFree has no other end")

    def init(
        self, key: Key, fn: LabelFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Finds a start and brings it to the boundary."""
        near = self.start_at_boundary(key, fn, x, y, start, _START_TOLERANCE)
        angle = jnp.full(x.shape[:1], self.angle, x.dtype)
        return self.begun(x, y, near, Memory(size(near.point - x, "l2"), angle))

    def step(self, key: Key, fn: LabelFn, state: State) -> tuple[State, Info]:
        """Draws a direction, and turns towards it or away from it."""
        x, memory, active = state.x, state.memory, state.active
        hits, budget = self.hits(fn, state.y), self.budget(x)
        source, shape, widened = self.source, x.shape[1:], self.widened(state)
        drawn = jax.vmap(lambda key: source.draw(key, 1, shape, x.dtype, widened)[0])(
            self.step_keys(key, state)
        )
        arc = Arc.between(x, state.adversary, drawn)

        def tried(time: Array) -> Array:
            share = (_SHARES - time // 2) / _SHARES
            sign = jnp.where(time % 2 == 0, 1, -1)
            return memory.angle * (sign * share).astype(x.dtype)

        first = first_hit(
            hits,
            lambda time: arc.at(tried(time)),
            active,
            state.adversary,
            state.queries,
            jnp.minimum(budget, state.queries + 2 * _SHARES),
        )
        times = first.queries - state.queries
        low = jnp.where(first.hit, tried(times - 1), 0)
        step = jnp.sign(low) * memory.angle / _SHARES
        # Beyond the largest angle, nothing is known: as far again.
        high = jnp.where(times <= 2, 2 * low, low + step)
        high = jnp.clip(high, -LARGEST_ANGLE, LARGEST_ANGLE)
        turned = turn(
            hits,
            arc,
            low,
            high,
            first.hit,
            self.tolerance * memory.angle,
            first.queries,
            budget,
        )
        point = arc.at(turned.angle)
        distance = size(point - x, "l2")
        nearer = first.hit & (distance < memory.distance)
        angle = jnp.where(
            first.hit,
            jnp.where(times <= 2, memory.angle * _GROWTH, memory.angle),
            memory.angle * _SHRINKAGE,
        )
        memory = Memory(
            jnp.where(nearer, distance, memory.distance),
            jnp.where(active, jnp.clip(angle, _LEAST_ANGLE, math.pi / 4), memory.angle),
        )
        return state._replace(
            adversary=where(nearer, point, state.adversary),
            active=active & (turned.queries < budget),
            queries=turned.queries,
            iteration=state.iteration + 1,
            memory=memory,
        ), Info(memory.distance, turned.angle, state.memory.angle)
