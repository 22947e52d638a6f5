"""Projected gradient descent, and its first step, the fast gradient sign method.

Madry et al. 2018, Goodfellow et al. 2015; momentum after Dong et al. 2018. What paper B
evaluates with (docs/papers.md, B5).
"""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zeroone_jax import checks, loops, losses
from zeroone_jax.attacks import climb
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import (
    Norm,
    direction,
    each,
    finite,
    largest_radius,
    project,
    projection,
    size,
)
from zeroone_jax.attacks.random_points import random_in_ball
from zeroone_jax.attacks.state import State, image_keys, where
from zeroone_jax.types import Array, Key, LogitsFn, Number

PAPERS: dict[str, Any] = {"loss": "cross_entropy", "fit_box": False}
"""What the papers' PGD climbs, and that it clips its starts."""


class Memory(NamedTuple):
    """PGD's own state.

    Attributes:
        point: float [n, ...], the iterate, not evaluated yet.
        velocity: float [n, ...], the sum of past gradients; [n, 0] without momentum.
        optimizer: the optimizer's state, one for each image.
        stretch: float [n], of the logits (`climb.stretch`), by the first point of the
            restart.
        loss: float [n], the highest loss so far, of `State.adversary`.
    """

    point: Array
    velocity: Array
    optimizer: Any
    stretch: Array
    loss: Array


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        loss: float [n], at the point the step came to; "cross_entropy" is told as
            such, though `losses.soft_margin` is climbed.
        labels: i32 [n], there.
        gradient_size: float [n], the largest absolute slope there.
    """

    loss: Array
    labels: Array
    gradient_size: Array


class ProjectedGradientDescent(Attack, name="pgd"):
    """Climbs the loss by steps of one size, back into the ball after each.

    `start` replaces the first restart's random point; it is projected into the ball.
    Points are looked at before the first move and after each move, so `iterations`
    moves take `iterations + 1` steps and queries.

    Attributes:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        step_size: how far a step moves, in the attack's norm, before projection, one
            number or one for each image; None for 2.5 epsilon / iterations. Not used
            with an optimizer. Steps of L1 move no coordinate that is at the box's
            border already and would leave it.
        iterations: moves in each restart.
        restarts: starting points tried; more than one only with random starts.
        random_start: whether restarts start at random, or at the image.
        fit_box: True draws random starts evenly from the part of the ball that lies in
            [0,1], and shortens the Linf steps of pixels that have less room there.
            False, as in the papers, draws starts from the whole ball, clips them, and
            takes steps of one length; it finds fewer adversaries near black and white.
        momentum: the share of the last velocity that is kept; the gradients then are
            divided by their L1 norm before they are added. None keeps no velocity.
        optimizer: an optax optimizer, used as the step rule on the raw gradient.
        loss: what is climbed (descended by targeted attacks): "margin";
            "cross_entropy", as in the papers; "dlr"; or a function of the outputs,
            float [n, k], and y, i32 [n], to float [n]. On networks whose adversaries
            are known, one restart without fit_box found 13.0 of 16 by "margin", 12.4 by
            "dlr" and 11.6 by "cross_entropy".
        early_stop: whether an image leaves once an adversary is found. Otherwise the
            adversary of the highest loss over all points is kept.
    """

    epsilon: Number
    step_size: Number | None = None
    iterations: int = 40
    restarts: int = 1
    random_start: bool = True
    fit_box: bool = True
    momentum: Number | None = None
    optimizer: optax.GradientTransformation | None = None
    loss: climb.Loss = "margin"
    early_stop: bool = True

    norms: ClassVar = ("linf", "l2", "l1")
    one_an_image: ClassVar = ("step_size",)
    any_layout: ClassVar = True
    in_ball: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.radius(self.norm, self.epsilon)
        checks.counts(iterations=self.iterations, restarts=self.restarts)
        checks.positive(step_size=self.step_size)
        climb.check(self.loss, tuple(climb.LOSSES))
        checks.not_negative(momentum=self.momentum)
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"restarts is {self.restarts}, but without random_start all are alike"
            )

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts at `start`, a random point of the ball, or the image."""
        point, velocity, optimizer = self._fresh(key, x, y, jnp.asarray(0))
        if start is not None:
            point = project(start, x, self.epsilon, self.norm)
        memory = Memory(
            point=point,
            velocity=velocity,
            optimizer=optimizer,
            stretch=jnp.ones(x.shape[:1], x.dtype),
            loss=jnp.full(x.shape[:1], -jnp.inf, x.dtype),
        )
        return State.beginning(x, y, memory, point)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, and moves it uphill."""
        x, y, memory = state.x, state.y, state.memory
        sign = -1 if self.targeted else 1

        turn = state.iteration % (self.iterations + 1)
        # Outside of the branch, so that a loop computes it once.
        stride = self._stride(x)
        onto = projection(x, self.epsilon, self.norm)

        def total_loss(point: Array) -> tuple[Array, tuple[Array, ...]]:
            outputs = fn(point).astype(x.dtype)
            stretch = climb.stretch(self.loss, outputs, memory.stretch, turn == 0)
            loss = climb.value(self.loss, outputs, y, stretch)
            told = loss
            if self.loss == "cross_entropy":
                told = losses.cross_entropy(outputs, y)
            seen = (sign * loss, sign * told, losses.labels(outputs), stretch)
            return jnp.sum(sign * loss), seen

        def ascend() -> tuple[Any, ...]:
            gradient, seen = jax.grad(total_loss, has_aux=True)(memory.point)
            slope = size(gradient, "linf")
            point, *rest = self._move(memory, gradient, stride)
            return (*seen, slope, onto(point), *rest)

        def begin_again() -> tuple[Any, ...]:
            restart = (state.iteration + 1) // (self.iterations + 1)
            level = jnp.zeros(len(x), x.dtype)
            first = memory.point, memory.velocity, memory.optimizer
            # Nothing follows a last restart; to compile random points takes long.
            if self.restarts > 1:
                first = self._fresh(key, x, y, restart)
            return (*total_loss(memory.point)[1], level, *first)

        # The last point of a restart is looked at only. One branch does all there is
        # to do with a gradient: what leaves a branch is copied.
        loss, told, labels, stretch, slope, point, velocity, optimizer = loops.cond(
            turn < self.iterations,
            ascend,
            begin_again,
        )
        broken = self.broken(labels, y)
        better = (broken & ~state.found) | (
            (broken == state.found) & (loss > memory.loss)
        )
        better &= state.active
        found = state.found | (broken & state.active)
        iteration = state.iteration + 1
        active = state.active & (iteration < (self.iterations + 1) * self.restarts)
        if self.early_stop:
            active &= ~found
        highest = jnp.where(better, loss, memory.loss)
        moved = Memory(point, velocity, optimizer, stretch, highest)
        following = where(state.active, moved, memory)
        state = state.onward(memory.point, better, found, active, following)
        return state, Info(told, labels, slope)

    def _fresh(
        self, key: Key, x: Array, y: Array, restart: Array
    ) -> tuple[Array, Array, Any]:
        """A restart's first points, velocity and state of the optimizer."""
        point = x
        if self.random_start:
            keys = image_keys(key, x, y, restart)
            point = random_in_ball(keys, x, self.epsilon, self.norm, self.fit_box)
        # Without momentum, velocity takes no memory.
        shape = (len(x), 0) if self.momentum is None else x.shape
        optimizer = () if self.optimizer is None else jax.vmap(self.optimizer.init)(x)
        return point, jnp.zeros(shape, x.dtype), optimizer

    def _stride(self, x: Array) -> Array:
        """How far steps go in each pixel, float [n, ...] or what broadcasts to it."""
        # In a box, in its widest pixel.
        if self.step_size is None:
            length = 2.5 * largest_radius(self.epsilon, x) / self.iterations
        else:
            length = largest_radius(jnp.asarray(self.step_size, x.dtype), x)
        return each(length, x) * climb.reach(x, self.epsilon, self.norm, self.fit_box)

    def _move(
        self, memory: Memory, gradient: Array, stride: Array
    ) -> tuple[Array, Array, Any]:
        """Where a move leads, with what velocity and state of the optimizer."""
        gradient = finite(gradient)
        if self.norm == "l1":
            leaves = ((memory.point <= 0) & (gradient < 0)) | (
                (memory.point >= 1) & (gradient > 0)
            )
            gradient = jnp.where(leaves, 0, gradient)
        uphill, velocity, optimizer = gradient, memory.velocity, memory.optimizer
        if self.momentum is not None:
            length = each(size(gradient, "l1"), gradient)
            unit = gradient / jnp.where(length > 0, length, 1)
            uphill = velocity = self.momentum * memory.velocity + unit
        if self.optimizer is None:
            point = memory.point + stride * direction(uphill, self.norm)
        else:
            move, optimizer = jax.vmap(self.optimizer.update)(
                -uphill, optimizer, memory.point
            )
            point = memory.point + move
        return point, velocity, optimizer


def fast_gradient_sign_method(
    *,
    epsilon: Number,
    norm: Norm = "linf",
    targeted: bool = False,
    random_start: bool = False,
    loss: climb.Loss = "cross_entropy",
    chunk: int = 256,
) -> ProjectedGradientDescent:
    """One step of length epsilon (Goodfellow et al. 2015); see PGD for the settings.

    As in the paper the cross-entropy is climbed, and the box is not fitted.
    """
    step = epsilon
    if jnp.ndim(epsilon) > 1:
        # Each pixel goes as far as its own share of the widest one's step.
        pixels = tuple(range(1, jnp.ndim(epsilon)))
        step = jnp.max(jnp.asarray(epsilon), axis=pixels, keepdims=True)
    return ProjectedGradientDescent(
        norm=norm,
        targeted=targeted,
        chunk=chunk,
        epsilon=epsilon,
        step_size=step,
        iterations=1,
        random_start=random_start,
        fit_box=False,
        loss=loss,
    )
