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
from zeroone_jax.attacks.perturbation import Norm, each, size
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LabelFn, Number


class Memory(NamedTuple):
    """RayS's own state.

    Attributes:
        signs: float [n, ...] of -1 and 1, the best direction.
        radius: float [n], how far each pixel moves, unless the box stops it, at the
            least radius that leads to a hit; 1 before any.
        low: float [n], the largest radius that is known to fail in that direction. As
            long as it is farther from `radius` than the tolerance, the way between
            them is halved; then the next block is flipped.
        level: i32 [n], blocks are a 2^-level share of an image.
        block: i32 [n], the block to flip next.
    """

    signs: Array
    radius: Array
    low: Array
    level: Array
    block: Array


class Info(NamedTuple):
    """What a step did.

    Attributes:
        radius: float [n], the best so far, 1 before any hit.
        hit: bool [n], whether the point asked about was one.
        level: i32 [n], of the block that was flipped last.
    """

    radius: Array
    hit: Array
    level: Array


class RayS(DecisionAttack, name="ray_s"):
    """Flips blocks of signs, and shrinks the radius.

    `start`, an adversary, is kept until a nearer one is found, and gives the first
    direction: the sign of its perturbation. Without it the first direction is up
    everywhere, and no noise is drawn.

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
        """Asks about the first direction, at the largest radius there is."""
        signs = jnp.ones_like(x)
        none, most = jnp.zeros(x.shape[:1], jnp.int32), jnp.ones(x.shape[:1], x.dtype)
        state = State.beginning(x, y, Memory(signs, most, most, none, none))
        if start is not None:
            # At the largest radius its direction may lead elsewhere.
            hit = self.hits(fn, y)(start, state.active)
            signs = jnp.where(start < x, -1, 1).astype(x.dtype)
            state = state._replace(
                adversary=where(hit, start, x),
                found=hit,
                queries=state.queries + 1,
                active=state.active & (state.queries + 1 < self.budget(x)),
                memory=state.memory._replace(signs=signs),
            )
        return self._ask(fn, state, signs)[0]

    def step(self, key: Key, fn: LabelFn, state: State) -> tuple[State, Info]:
        """Asks one question of each image: about a flip, or about a shorter radius.

        So images wait for none that halve their radii longer.
        """
        level, block = state.memory.level, state.memory.block
        shape = state.x.shape
        dimension = math.prod(shape[1:])
        length = -(-dimension // jnp.left_shift(1, level))
        place = jnp.arange(dimension, dtype=jnp.int32)[None, :] // length[:, None]
        flip = jnp.where(place == block[:, None], -1, 1).astype(state.x.dtype)
        flips = ~self._halves(state.memory)
        state, hit = self._ask(fn, state, state.memory.signs * flip.reshape(shape))
        # The last block of a level may be empty, where lengths were rounded up.
        last = (block + 1) * length >= dimension
        deepest = math.ceil(math.log2(dimension)) if dimension > 1 else 0
        deeper = jnp.minimum(level + last.astype(jnp.int32), deepest)
        state = state._replace(
            iteration=state.iteration + 1,
            memory=state.memory._replace(
                block=jnp.where(flips, jnp.where(last, 0, block + 1), block),
                level=jnp.where(flips, deeper, level),
            ),
        )
        return state, Info(state.memory.radius, hit, level)

    def _halves(self, memory: Memory) -> Array:
        return memory.radius - memory.low > self.tolerance

    def _ask(self, fn: LabelFn, state: State, flipped: Array) -> tuple[State, Array]:
        """Asks about the middle of the way being halved, or flipped signs elsewhere."""
        x, memory = state.x, state.memory
        halves = self._halves(memory)
        radius = jnp.where(halves, (memory.low + memory.radius) / 2, memory.radius)
        signs = where(halves, memory.signs, flipped)
        point = jnp.clip(x + each(radius, x) * signs, 0, 1)
        hit = state.active & self.hits(fn, state.y)(point, state.active)
        failed = jnp.where(halves & state.active, radius, memory.low)
        # Nothing is known of a new direction but its radius.
        low = jnp.where(hit, jnp.where(halves, memory.low, 0), failed)
        # The box stops other pixels of other rays: a shorter one may lead farther.
        before, after = (size(a - x, self.norm) for a in (state.adversary, point))
        nearer = hit & (~state.found | (after <= before))
        adversary = where(nearer, point, state.adversary)
        memory = memory._replace(
            signs=where(hit, signs, memory.signs),
            radius=jnp.where(hit, radius, memory.radius),
            low=low,
        )
        if self.norm == "linf":
            # The box may have kept the adversary nearer than the radius.
            corner = jnp.clip(x + each(memory.radius, x) * memory.signs, 0, 1)
            cut = jnp.minimum(memory.radius, size(corner - x, "linf"))
            done = (hit | halves) & ~self._halves(memory)
            memory = memory._replace(radius=jnp.where(done, cut, memory.radius))
        queries = state.queries + state.active.astype(jnp.int32)
        return state._replace(
            adversary=adversary,
            found=state.found | hit,
            active=state.active & (queries < self.budget(x)),
            queries=queries,
            memory=memory,
        ), hit
