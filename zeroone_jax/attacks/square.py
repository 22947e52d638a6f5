"""Square Attack: random search by one square of pixels a query, on scores alone.

Andriushchenko et al. 2020: algorithm 1 is the search, algorithms 2 and 3 draw its
moves in the Linf and in the L2 ball. The fourth attack of AutoAttack's plan.
"""

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import checks, losses
from zeroone_jax.attacks import square_moves
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import project, radius
from zeroone_jax.attacks.state import State, image_keys
from zeroone_jax.types import Array, Key, LogitsFn, Number

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""The paper's queries, of 10,000, after which the share of pixels is halved."""


class Memory(NamedTuple):
    """Square's own state.

    Attributes:
        loss: float [n], the highest so far, of `State.adversary`; -inf at first.
    """

    loss: Array


class Info(NamedTuple):
    """What a step tried.

    Attributes:
        loss: float [n], of the point that was tried.
        accepted: bool [n], whether it became the best.
        side: i32 [], of its square, in pixels.
    """

    loss: Array
    accepted: Array
    side: Array


class Square(Attack, name="square"):
    """Changes one random square at a time, and keeps what raises the loss.

    The loss is the margin. Targeted attacks use minus the `losses.soft_margin` to the
    target, which rises and falls with the paper's cross-entropy. An image is done as
    soon as its label is what is wanted. The first query is `start`, projected into the
    ball; without it vertical stripes of +-epsilon (Linf), or a grid of the patterns of
    the L2 moves. In Linf a square's pixels go as far as ball and box allow.

    Three things differ from the authors' program. A square may also lie at the last row
    and column, as in the paper. An L2 move is shared out channel by channel, as in
    algorithm 3. Every image has its own squares and patterns.

    Attributes:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        max_queries: the most queries for an image, 3 or more. Two of them are not part
            of the search: every attack asks about the image first and about the result
            at the end.
        initial_share: in (0,1], the share of the pixels that the first squares hold.
            AutoAttack's .8; the paper takes .05 (Linf) and .1 (L2) for ImageNet.
        schedule_queries: the length of the paper's schedule, which halves that share
            after .001, .005, .02, .05, .1, .2, .4, .6 and .8 of these queries; None for
            `max_queries`. AutoAttack's plan takes 10,000, although it stops at 5,000.
    """

    epsilon: Number
    max_queries: int = 5000
    initial_share: Number = 0.8
    schedule_queries: int | None = None

    norms: ClassVar = ("linf", "l2")
    in_ball: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.radius(self.norm, self.epsilon)
        checks.counts(max_queries=self.max_queries)
        if self.max_queries <= self.frame_queries:
            raise ValueError(
                f"max_queries is {self.max_queries}, but must be at least "
                f"{self.frame_queries + 1}"
            )
        checks.within("(0,1]", initial_share=self.initial_share)
        if self.schedule_queries is not None:
            checks.counts(schedule_queries=self.schedule_queries)

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts at `start`, or at stripes or a grid of patterns; asks nothing yet."""
        images = x.reshape(len(x), *self._shape(x))
        if start is None:
            keys = image_keys(key, x, y, 0)
            pattern = {"linf": square_moves.stripes, "l2": square_moves.grid}[self.norm]
            drawn = jax.vmap(pattern)(keys, images, self._radii(x))
            start = drawn.reshape(x.shape)
        point = project(start, x, self.epsilon, self.norm)
        memory = Memory(jnp.full(x.shape[:1], -jnp.inf, x.dtype))
        return State.beginning(x, y, memory, point)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Tries one square on every active image; the first step tries the start."""
        x, y = state.x, state.y
        side = self._side(state.iteration, self._shape(x))
        moved = self._moved(key, state, side)
        point = jnp.where(state.iteration == 0, state.adversary, moved)
        outputs = fn(point).astype(x.dtype)
        if self.targeted:
            loss = -losses.soft_margin(outputs, y)
        else:
            loss = losses.margin(outputs, y)
        loss = loss.astype(x.dtype)
        broken = self.broken(losses.labels(outputs), y)
        accepted = state.active & (broken | (loss > state.memory.loss))
        iteration = state.iteration + 1
        found = state.found | (broken & state.active)
        return state.onward(
            point,
            accepted,
            found,
            state.active & ~found & (iteration < self.max_queries - self.frame_queries),
            Memory(jnp.where(accepted, loss, state.memory.loss)),
        ), Info(loss, accepted, side)

    def _moved(self, key: Key, state: State, side: Array) -> Array:
        """The best points with one square changed, inside ball and box."""
        x = state.x
        shape = self._shape(x)
        move = {"linf": square_moves.move_linf, "l2": square_moves.move_l2}[self.norm]
        moved = jax.vmap(move, (0, 0, 0, None, 0))(
            image_keys(key, x, state.y, state.iteration),
            state.adversary.reshape(len(x), *shape),
            x.reshape(len(x), *shape),
            side,
            self._radii(x),
        )
        return project(moved.reshape(x.shape), x, self.epsilon, self.norm)

    def _radii(self, x: Array) -> Array:
        """The radius of each image, [n], or of each pixel, [n, h, w, c]."""
        radii = radius(self.epsilon, x)
        if radii.shape[1:] == (1,) * (x.ndim - 1):
            return jnp.broadcast_to(radii.reshape(-1), x.shape[:1])
        return jnp.broadcast_to(radii, x.shape).reshape(len(x), *self._shape(x))

    def _side(self, iteration: Array, shape: tuple[int, int, int]) -> Array:
        """The side of this step's squares, i32 []."""
        height, width, _ = shape
        queries = self.schedule_queries or self.max_queries
        halved_at = [math.ceil((after + 1) * queries / 10_000) for after in _HALVINGS]
        # The start took the first query; the schedule counts from the first square.
        halvings = jnp.sum(iteration - 1 >= np.asarray(halved_at, np.int32))
        share = jnp.asarray(self.initial_share)
        share = share / 2 ** halvings.astype(share.dtype)
        side = jnp.round(jnp.sqrt(share * height * width)).astype(jnp.int32)
        if self.norm == "l2":
            # A pattern needs a middle and two halves.
            side = jnp.maximum(side + 1 - side % 2, 3)
        return jnp.clip(side, 1, min(height, width))

    def _shape(self, x: Array) -> tuple[int, int, int]:
        """Height, width and channels of images x."""
        if x.ndim == 2:
            raise ValueError(
                f"x is flat, {x.shape}, and squares need rows and columns: give "
                "images [n, height, width, channels], or a models.Classifier, which "
                "knows their shape"
            )
        shape = x.shape[1:] if x.ndim == 4 else (*x.shape[1:], 1)
        if len(shape) != 3:
            raise ValueError(
                f"x has shape {x.shape}, but must be [n, height, width] or [n, height, "
                "width, channels]"
            )
        # Pictures have one or three channels, seldom more than they have rows.
        if shape[0] in (1, 3) and shape[2] > max(shape[0], 4):
            raise ValueError(
                f"x has shape {x.shape}, which looks like channels first, but squares "
                "need [n, height, width, channels]: give jnp.moveaxis(x, 1, -1), and "
                "lambda x: model(jnp.moveaxis(x, -1, 1))"
            )
        return shape
