"""SPSA: descent along gradients that are estimated from pairs of scores.

Uesato et al. 2018, section 4, after Spall's simultaneous perturbation; what paper B
looks for masked gradients with (docs/papers.md, B5).
"""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zeroone_jax import checks, loops, losses
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import project
from zeroone_jax.attacks.state import State, image_keys, where
from zeroone_jax.types import Array, Key, LogitsFn, Number


class Memory(NamedTuple):
    """SPSA's own state.

    Attributes:
        point: float [n, ...], the iterate.
        optimizer: Adam's state, one for each image.
        loss: float [n], the highest margin so far, of `State.adversary`.
    """

    point: Array
    optimizer: Any
    loss: Array


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        loss: float [n], the margin at the point the step came to.
        gradient: float [n, ...], the gradient estimated there.
    """

    loss: Array
    gradient: Array


class SimultaneousPerturbation(Attack, name="spsa"):
    """Climbs the margin by Adam on estimated gradients, back into the ball each time.

    The gradient is the mean over random directions v of -1 and 1 of
    `(margin(x + delta v) - margin(x - delta v)) / (2 delta) v`. An image is done once
    the iterate is an adversary. The points of the pairs may lie outside the ball and do
    not count as adversaries. Each step costs an image `2 samples + 1` queries.

    One thing differs from the paper: the points of a pair are clipped to the box,
    because a model is asked about images only. This shortens the estimate at pixels of
    0 or 1, and Adam, which rescales gradients, corrects it. Targeted attacks descend
    the margin to the target.

    `start` replaces the image as the first iterate; it is projected into the ball.

    Attributes:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        iterations: Adam's steps.
        delta: how far the points of a pair lie from the iterate in each pixel.
        learning_rate: Adam's, on the pixel scale.
        samples: pairs an iteration.
        block: pairs evaluated at once, a divisor of `samples`: the model sees
            `2 block chunk` images. Results depend on it by rounding only.
    """

    epsilon: Number
    iterations: int = 100
    delta: Number = 0.01
    learning_rate: Number = 0.01
    samples: int = 128
    block: int = 16
    chunk: int = 32

    norms: ClassVar = ("linf",)
    any_layout: ClassVar = True
    in_ball: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.radius(self.norm, self.epsilon)
        checks.positive(delta=self.delta, learning_rate=self.learning_rate)
        checks.counts(
            iterations=self.iterations, samples=self.samples, block=self.block
        )
        if self.samples % self.block:
            raise ValueError(
                f"block is {self.block}, but must divide samples, {self.samples}"
            )

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts at `start`, or at the image."""
        point = x if start is None else project(start, x, self.epsilon, self.norm)
        memory = Memory(
            point,
            jax.vmap(self._adam().init)(x),
            jnp.full(x.shape[:1], -jnp.inf, x.dtype),
        )
        return State.beginning(x, y, memory, point)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, and moves it uphill."""
        x, y, memory = state.x, state.y, state.memory
        outputs = fn(memory.point).astype(x.dtype)
        loss = self._gain(outputs, y).astype(x.dtype)
        broken = self.broken(losses.labels(outputs), y) & state.active
        accepted = state.active & (broken | (loss > memory.loss))
        found = state.found | broken
        # The last point is looked at only.
        searching = (state.iteration < self.iterations) & jnp.any(state.active & ~found)
        gradient = loops.cond(
            searching,
            lambda: self.gradient(key, fn, state),
            lambda: jnp.zeros_like(x),
        )
        # optax raises a float to its whole-number count of steps.
        with jax.numpy_dtype_promotion("standard"):
            move, optimizer = jax.vmap(self._adam().update)(-gradient, memory.optimizer)
        point = project(memory.point + move, x, self.epsilon, self.norm)
        iteration = state.iteration + 1
        active = state.active & ~found & (iteration <= self.iterations)
        point, optimizer = where(
            active, (point, optimizer), (memory.point, memory.optimizer)
        )
        asked = jnp.where(active, 1 + 2 * self.samples, 1)
        return state.onward(
            memory.point,
            accepted,
            found,
            active,
            Memory(point, optimizer, jnp.where(accepted, loss, memory.loss)),
            cost=asked,
        ), Info(loss, gradient)

    def gradient(self, key: Key, fn: LogitsFn, state: State) -> Array:
        """Estimates the margin's gradients at the iterates, a block of pairs at a time.

        Args:
            key: the attack's key.
            fn: the model.
            state: whose iterates, iteration and images are meant.

        Returns:
            float [n, ...]; of a targeted attack, of minus the margin.
        """
        x, y, point = state.x, state.y, state.memory.point
        keys = image_keys(key, x, y, state.iteration)

        def add_block(block: Array, total: Array) -> Array:
            samples = block * self.block + jnp.arange(self.block, dtype=jnp.int32)
            directions = jax.vmap(
                lambda key: jax.vmap(
                    lambda sample: _signs(jax.random.fold_in(key, sample), x[0])
                )(samples)
            )(keys)
            offset = self.delta * directions
            pairs = jnp.stack([point[:, None] + offset, point[:, None] - offset])
            outputs = fn(jnp.clip(pairs, 0, 1).reshape(-1, *x.shape[1:]))
            outputs = outputs.astype(x.dtype)
            gain = self._gain(outputs, jnp.tile(jnp.repeat(y, self.block), 2))
            up, down = gain.astype(x.dtype).reshape(2, len(x), self.block)
            slope = (up - down) / (2 * self.delta)
            slope = slope.reshape(*slope.shape, *(1,) * (x.ndim - 1))
            return total + jnp.sum(slope * directions, 1)

        blocks = self.samples // self.block
        total = loops.fori_loop(0, blocks, add_block, jnp.zeros_like(x))
        return total / self.samples

    def _gain(self, outputs: Array, y: Array) -> Array:
        """What is climbed, float [n]: above 0 where the label is what is wanted."""
        margin = losses.margin(outputs, y)
        return -margin if self.targeted else margin

    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)


def _signs(key: Key, like: Array) -> Array:
    """A direction of -1 and 1, one random bit a pixel, of the shape of one image."""
    words = jax.random.bits(key, (-(-like.size // 32),), jnp.uint32)
    bits = (words[:, None] >> jnp.arange(32, dtype=jnp.uint32)[None, :]) & 1
    signs = bits.reshape(-1)[: like.size].astype(like.dtype) * 2 - 1
    return signs.reshape(like.shape)
