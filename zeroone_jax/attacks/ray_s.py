"""RayS (Chen and Gu 2020): an attack by labels alone, without any estimate.

Searches the corners of the cube around the image: a sign for every coordinate, and the
least radius at which the model errs in that direction. Signs are flipped in blocks that
are halved level by level; a flip is kept where the model still errs at the best radius,
which then is searched anew.

The paper's norm is Linf. In L2 the rays are the same, and their lengths are compared in
L2: a sign network's or a linear model's nearest point lies on none of them, but nothing
is lost on estimates.
"""

import math
from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks.decision import DecisionAttack
from zeroone_jax.attacks.oracle import halve
from zeroone_jax.attacks.perturbation import Norm, each, size
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LabelFn, Number


class Memory(NamedTuple):
    """RayS's own state.

    Attributes:
        signs: float [n, ...] of -1 and 1, the best direction.
        radius: float [n], how far each pixel moves, unless the box stops it, at the
            least radius that leads to a hit; 1 before any.
        level: i32 [], blocks are a 2^-level share of an image.
        block: i32 [], the block to flip next.
    """

    signs: Array
    radius: Array
    level: Array
    block: Array


class Info(NamedTuple):
    """What a step did.

    Attributes:
        radius: float [n], the best so far, 1 before any hit.
        kept: bool [n], whether the flip led to a hit.
        level: i32 [], of the block that was flipped.
    """

    radius: Array
    kept: Array
    level: Array


class RayS(DecisionAttack, name="ray_s"):
    """Flips blocks of signs, and shrinks the radius.

    `start`, an adversary, gives the first direction: the sign of its perturbation.
    Without it the first direction is up everywhere, and no noise is drawn.

    Attributes:
        max_queries: when to stop: the attack has no other end.
        tolerance: how exactly a radius is found, on the [0,1] pixel scale; in L2, of
            the root of the mean square of the pixels.
    """

    norm: Norm = "linf"
    max_queries: int | None = 10_000
    tolerance: Number = 1e-3
    chunk: int = 64

    norms: ClassVar = ("linf", "l2")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(tolerance=self.tolerance)
        if self.max_queries is None:
            raise ValueError("max_queries is None, but RayS has no other end")

    def init(
        self, key: Key, fn: LabelFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Takes the first direction, at the largest radius there is."""
        signs = jnp.ones_like(x)
        if start is not None:
            signs = jnp.where(start < x, -1, 1).astype(x.dtype)
        zero = jnp.asarray(0, jnp.int32)
        memory = Memory(signs, jnp.ones(x.shape[:1], x.dtype), zero, zero)
        return self._try(fn, State.beginning(x, y, memory), signs)[0]

    def step(self, key: Key, fn: LabelFn, state: State) -> tuple[State, Info]:
        """Flips the next block, and keeps the flip where it still leads to a hit."""
        memory = state.memory
        shape = state.x.shape
        dimension = math.prod(shape[1:])
        blocks = jnp.left_shift(1, memory.level)
        length = -(-dimension // blocks)
        place = jnp.arange(dimension, dtype=jnp.int32) // length == memory.block
        flip = jnp.where(place, -1, 1).astype(state.x.dtype)
        signs = (memory.signs.reshape(len(state.x), -1) * flip[None, :]).reshape(shape)
        state, kept = self._try(fn, state, signs)
        # The last block of a level may be empty, where lengths were rounded up.
        last = (memory.block + 1) * length >= dimension
        deepest = math.ceil(math.log2(dimension)) if dimension > 1 else 0
        state = state._replace(
            iteration=state.iteration + 1,
            memory=state.memory._replace(
                block=jnp.where(last, 0, memory.block + 1),
                level=jnp.minimum(memory.level + last.astype(jnp.int32), deepest),
            ),
        )
        return state, Info(state.memory.radius, kept, memory.level)

    def _try(self, fn: LabelFn, state: State, signs: Array) -> tuple[State, Array]:
        """Asks at the best radius, and searches a smaller one where that is a hit."""
        x, y, memory, budget = state.x, state.y, state.memory, self.budget(state.x)
        hits = self.hits(fn, y)

        def at(radius: Array) -> Array:
            return jnp.clip(x + each(radius, x) * signs, 0, 1)

        kept = state.active & hits(at(memory.radius), state.active)
        queries = state.queries + state.active.astype(jnp.int32)
        radius, queries = halve(
            hits, at, memory.radius, kept, self.tolerance, queries, budget
        )
        adversary, nearer = at(radius), kept
        if self.norm == "linf":
            # The box may have kept the adversary nearer than the radius.
            radius = jnp.minimum(radius, size(adversary - x, "linf"))
        else:
            # It stops other pixels of other rays: a shorter one may lead farther.
            before, after = (
                size(point - x, "l2") for point in (state.adversary, adversary)
            )
            nearer = kept & (~state.found | (after < before))
        return state._replace(
            adversary=where(nearer, adversary, state.adversary),
            found=state.found | kept,
            active=state.active & (queries < budget),
            queries=queries,
            memory=memory._replace(
                signs=where(kept, signs, memory.signs),
                radius=jnp.where(kept, radius, memory.radius),
            ),
        ), kept
