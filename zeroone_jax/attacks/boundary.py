"""The Boundary Attack (Brendel, Rauber, Bethge 2018), by labels alone, in L2.

A random walk among adversaries: sideways on the sphere around the image, then a little
towards it, with both step sizes adapted so that about half of the steps stay hits.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from zeroone_jax import checks, loops
from zeroone_jax.attacks.estimate import DrawsDirections
from zeroone_jax.attacks.perturbation import each, size
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LabelFn, Number

# A step size shrinks by this factor while fewer than the first share of the points are
# hits, and grows by it while more than the second are.
_ADAPTATION = 0.667
_TOO_FEW, _MANY = 0.2, 0.5


Proposal: TypeAlias = Callable[[Array, Array], Array]
"""The number of the trial and the step sizes, float [n], to points [n, m, ...]."""


class Memory(NamedTuple):
    """The walk's own state.

    Attributes:
        distance: float [n], the size of the best adversary so far, in L2.
        sideways: float [n], the step along the sphere, as a share of the distance.
        forward: float [n], the step towards the image, as a share of the distance.
    """

    distance: Array
    sideways: Array
    forward: Array


class Info(NamedTuple):
    """What a step did.

    Attributes:
        distance: float [n], of the best adversary so far.
        sideways: float [n], the step along the sphere, as it was left.
        forward: float [n], the step towards the image, as it was left.
        moved: bool [n], whether the step came nearer.
    """

    distance: Array
    sideways: Array
    forward: Array
    moved: Array


class _Walk(NamedTuple):
    """Trials of one kind of step; arrays [n, ...], m points for each image."""

    trial: Array
    step: Array
    points: Array
    hit: Array
    queries: Array


class Boundary(DrawsDirections, name="boundary"):
    """Walks along the boundary, nearer with every step.

    An iteration draws `samples` points sideways, up to `trials` times, until some are
    adversaries. From those it steps towards the image, again up to `trials` times,
    until some are adversaries, and continues from the first of them.

    Attributes:
        iterations: the most iterations; `max_queries` may end the walk earlier.
        samples: points drawn together. Paper A's programs draw 100; 30 came nearer to
            the images of an example network within 5,000 queries.
        trials: how often an iteration may draw, and how often it may step.
        sideways: the first step along the sphere, as a share of the distance (the
            paper's delta).
        forward: the first step towards the image, as a share of the distance (the
            paper's epsilon).
        law: how sideways steps are drawn: "signs" (the default), or "gaussian" as in
            the paper.
    """

    iterations: int = 300
    samples: int = 30
    trials: int = 100
    sideways: Number = 0.01
    forward: Number = 0.01
    norms: ClassVar = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(
            iterations=self.iterations, samples=self.samples, trials=self.trials
        )
        checks.positive(sideways=self.sideways)
        checks.within("(0,1)", forward=self.forward)
        checks.one_of("law", self.law, ("signs", "gaussian"))

    def init(
        self, key: Key, fn: LabelFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Finds a start."""
        found = self.find_start(key, fn, x, y, start)
        count = x.shape[:1]
        return self.begun(
            x,
            y,
            found,
            Memory(
                size(found.point - x, "l2"),
                jnp.full(count, self.sideways, x.dtype),
                jnp.full(count, self.forward, x.dtype),
            ),
        )

    def step(self, key: Key, fn: LabelFn, state: State) -> tuple[State, Info]:
        """Steps sideways, then forward."""
        x, memory = state.x, state.memory
        around = self._sideways(self.step_keys(key, state), fn, state)
        ahead = self._forward(fn, state, around)
        # All are about as near, and rounding should not choose: the first hit is taken.
        first = jnp.argmax(ahead.hit, axis=1)
        chosen = jax.vmap(lambda points, index: points[index])(ahead.points, first)
        distance = size(chosen - x, "l2")
        moved = state.active & jnp.any(ahead.hit, axis=1) & (distance < memory.distance)
        iteration = state.iteration + 1
        memory = Memory(
            jnp.where(moved, distance, memory.distance), around.step, ahead.step
        )
        left = (iteration < self.iterations) & (ahead.queries < self.budget(x))
        return state._replace(
            adversary=where(moved, chosen, state.adversary),
            active=state.active & left,
            queries=ahead.queries,
            iteration=iteration,
            memory=memory,
        ), Info(memory.distance, memory.sideways, memory.forward, moved)

    def _sideways(self, keys: Array, fn: LabelFn, state: State) -> _Walk:
        """Draws points on the sphere around each image until some are hits."""
        x, memory = state.x, state.memory
        radius, widened = memory.distance, self.widened(state)
        outward = (state.adversary - x) / each(jnp.maximum(radius, 1e-12), x)

        def draw(key: Array, outward: Array, radius: Array, step: Array) -> Array:
            shape = outward.shape
            drawn = self.source.draw(key, self.samples, shape, outward.dtype, widened)
            drawn = (drawn * self.source.scale(shape)).reshape(self.samples, -1)
            flat = outward.reshape(-1)
            along = jnp.matmul(drawn, flat, precision="highest")
            # Of length sqrt(1 + step^2) together: brought back onto the sphere.
            turned = flat[None, :] + step * (drawn - along[:, None] * flat[None, :])
            turned /= jnp.linalg.norm(turned, axis=1, keepdims=True)
            return radius * turned.reshape(self.samples, *outward.shape)

        def propose(trial: Array, step: Array) -> Array:
            trial_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, trial)
            perturbation = jax.vmap(draw)(trial_keys, outward, radius, step)
            return jnp.clip(x[:, None] + perturbation, 0, 1)

        everything = jnp.ones((len(x), self.samples), bool)
        return self._until_hit(
            fn, state, propose, memory.sideways, everything, state.active, state.queries
        )

    def _forward(self, fn: LabelFn, state: State, around: _Walk) -> _Walk:
        """Steps towards the image from the hits, less far until some stay hits."""
        to_image = state.x[:, None] - around.points

        def propose(trial: Array, step: Array) -> Array:
            return around.points + each(step, around.points) * to_image

        walking = state.active & jnp.any(around.hit, axis=1)
        return self._until_hit(
            fn,
            state,
            propose,
            state.memory.forward,
            around.hit,
            walking,
            around.queries,
        )

    def _until_hit(
        self,
        fn: LabelFn,
        state: State,
        propose: Proposal,
        step: Array,
        candidates: Array,
        walking: Array,
        queries: Array,
    ) -> _Walk:
        """Asks about proposals, adapting the step, until an image has a hit."""
        budget = self.budget(state.x)
        index = jnp.cumsum(candidates.astype(jnp.int32), axis=1)

        def searching(walk: _Walk) -> Array:
            none = ~jnp.any(walk.hit, axis=1)
            return walking & none & (walk.trial < self.trials) & (walk.queries < budget)

        def ask(walk: _Walk) -> _Walk:
            asking = searching(walk)
            points = propose(walk.trial, walk.step)
            left = (budget - walk.queries)[:, None]
            asked = candidates & asking[:, None] & (index <= left)
            hit = asked & self.hits_of_many(fn, points, state.y, asked)
            number = jnp.sum(asked, axis=1, dtype=jnp.int32)
            hits = jnp.sum(hit, axis=1, dtype=jnp.int32)
            share = (hits / jnp.maximum(number, 1)).astype(walk.step.dtype)
            adapted = jnp.where(share < _TOO_FEW, walk.step * _ADAPTATION, walk.step)
            adapted = jnp.where(share > _MANY, walk.step / _ADAPTATION, adapted)
            return _Walk(
                walk.trial + 1,
                # Never so far that a step forward would arrive at the image.
                jnp.where(asking, jnp.minimum(adapted, 0.9), walk.step),
                where(asking, points, walk.points),
                where(asking, hit, walk.hit),
                walk.queries + number,
            )

        nothing = jnp.zeros(candidates.shape, bool)
        points = jnp.broadcast_to(
            state.x[:, None], (*candidates.shape, *state.x.shape[1:])
        )
        return loops.while_loop(
            lambda walk: jnp.any(searching(walk)),
            ask,
            _Walk(jnp.asarray(0, jnp.int32), step, points, nothing, queries),
        )
