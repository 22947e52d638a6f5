"""AutoPGD: projected gradient ascent that finds its step size by itself.

Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
diverse parameter-free attacks", Algorithm 1; with the targeted loss, the "APGD-T" of
AutoAttack.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import checks, loops, losses
from zeroone_jax.attacks import climb, linearize
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import (
    direction,
    each,
    largest_radius,
    project,
    random_in_ball,
    size,
)
from zeroone_jax.attacks.state import State, image_keys, where
from zeroone_jax.types import Array, Key, LogitsFn, Number

Targeted: TypeAlias = Literal[
    "targeted_dlr", "targeted_margin", "targeted_cross_entropy"
]
"""Losses that go after one likely class after another."""

_TARGETED: dict[Any, Callable[[Array, Array, Array], Array]] = {
    "targeted_dlr": losses.targeted_difference_of_logits_ratio,
    "targeted_margin": losses.margin_to,
    "targeted_cross_entropy": lambda z, y, target: -losses.soft_margin(z, target),
}

_MOMENTUM = 0.75
"""Algorithm 1's alpha: the share of the gradient step in a move."""

_RISES = 0.75
"""Algorithm 1's rho: the share of moves that must raise the loss to keep the step."""


class Memory(NamedTuple):
    """AutoPGD's own state; all but `loss` begin anew in each restart.

    Attributes:
        point: float [n, ...], the iterate, not evaluated yet.
        previous: float [n, ...], the iterate before.
        highest_point: float [n, ...], the iterate of the restart's highest loss.
        highest_gradient: float [n, ...], the gradient there.
        highest: float [n], the loss there.
        last: float [n], the loss at `previous`.
        rises: i32 [n], moves since the last checkpoint that raised the loss.
        checked_highest: float [n], `highest` at the last checkpoint.
        halved: bool [n], whether the step size was halved there.
        step_size: float [n].
        stretch: float [n], of the logits (`climb.stretch`), by the restart's first
            point.
        targets: i32 [n, t], the classes to reach, one a restart; t is 0 where the loss
            names none.
        loss: float [n], the highest of all restarts, of `State.adversary`.
    """

    point: Array
    previous: Array
    highest_point: Array
    highest_gradient: Array
    highest: Array
    last: Array
    rises: Array
    checked_highest: Array
    halved: Array
    step_size: Array
    stretch: Array
    targets: Array
    loss: Array


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        loss: float [n], what is climbed, at the point the step came to; of
            "cross_entropy" it is `losses.soft_margin`.
        highest: float [n], the restart's highest loss so far.
        labels: i32 [n], at the point.
        gradient_size: float [n], the largest absolute slope there.
        step_size: float [n], of the next move.
    """

    loss: Array
    highest: Array
    labels: Array
    gradient_size: Array
    step_size: Array


class AutoPGD(Attack, name="apgd"):
    """Climbs with momentum, halving the step where the loss stops rising.

    The step size begins at 2 epsilon. It is halved at a checkpoint where fewer than
    three quarters of the moves since the last one raised the loss, or where neither
    the step size nor the highest loss has changed since then; the search goes on from
    the point of the highest loss. An image leaves once an adversary is found.

    `start` replaces the first restart's random point; it is projected into the ball.
    A restart takes `iterations + 1` steps and queries: points are looked at before the
    first move and after each move.

    Attributes:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        iterations: moves in each restart.
        restarts: random starting points tried (for each target).
        loss: what is climbed (descended by targeted attacks): "margin"; "cross_entropy"
            or "dlr", as in the paper; or a function of the outputs, float [n, k], and
            y, i32 [n], to float [n]. "targeted_margin", "targeted_cross_entropy" and
            "targeted_dlr" (AutoAttack's) go after one likely class after another, and
            are not for targeted attacks. On a network whose adversaries are known, one
            restart without fit_box found 13.6 of 16 by "margin", 13.0 by "dlr" and 12.4
            by "cross_entropy"; the three targeted ones, with three classes each, found
            13.6, 13.2 and 12.8.
        target_classes: how many classes a targeted loss reaches for, the most
            likely ones at the image first; the model's other classes, if they are
            fewer.
        fit_box: True draws random starts evenly from the part of the ball that lies in
            [0,1], and shortens the Linf steps of pixels that have less room there.
            False, as in AutoAttack, draws starts from the whole ball and clips them.
    """

    epsilon: Number
    iterations: int = 100
    restarts: int = 1
    loss: climb.Loss | Targeted = "margin"
    target_classes: int = 9
    fit_box: bool = True

    norms: ClassVar = ("linf", "l2")
    in_ball: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(epsilon=self.epsilon)
        checks.counts(
            iterations=self.iterations,
            restarts=self.restarts,
            target_classes=self.target_classes,
        )
        climb.check(self.loss, (*climb.LOSSES, *_TARGETED))
        if self.targeted and self.loss in _TARGETED:
            raise ValueError(
                f"loss is {self.loss!r}, which chooses targets by itself, but the "
                "attack is targeted: take a loss that does not"
            )

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The moves after which the step size is looked at (section 3.2).

        `ceil(p_j iterations)` with p_0 = 0, p_1 = .22 and
        `p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06)`, below 1.
        """
        # In hundredths, so that no rounding moves a checkpoint.
        before, share, found = 0, 22, []
        while share < 100:
            found.append(-(-share * self.iterations // 100))
            before, share = share, share + max(share - before - 3, 6)
        return tuple(sorted(set(found)))

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts at `start`, or a random point of the ball, and chooses the targets."""
        point = self._starts(key, x, y, jnp.asarray(0))
        if start is not None:
            point = project(start, x, self.epsilon, self.norm)
        queries = 0
        targets = jnp.zeros((len(x), 0), jnp.int32)
        if self.loss in _TARGETED:
            ranked = linearize.ranking(losses.as_logits(fn(x)), y)
            targets = ranked[:, : self.target_classes]
            queries = 1
        memory = self._fresh(point, targets)
        return State.beginning(x, y, memory, point, queries)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, checks the step size, and moves."""
        x, y, memory = state.x, state.y, state.memory
        restart, turn = jnp.divmod(state.iteration, self.iterations + 1)

        def total_loss(point: Array) -> tuple[Array, tuple[Array, Array, Array]]:
            outputs = fn(point).astype(x.dtype)
            stretch = jnp.where(turn == 0, climb.stretch(outputs), memory.stretch)
            at = memory._replace(stretch=stretch)
            loss = self._loss(outputs, y, at, restart)
            return jnp.sum(loss), (loss, losses.labels(outputs), stretch)

        def with_gradient() -> tuple[Any, Array]:
            return jax.grad(total_loss, has_aux=True)(memory.point)[::-1]

        # The last point of a restart is looked at only.
        (loss, labels, stretch), gradient = loops.cond(
            turn < self.iterations,
            with_gradient,
            lambda: (total_loss(memory.point)[1], jnp.zeros_like(x)),
        )
        broken = self.broken(labels, y)
        nearest = state.active & (broken | (loss > memory.loss))
        memory = memory._replace(stretch=stretch)
        climbed = self._climbed(memory, loss, gradient, turn)
        iteration = state.iteration + 1
        runs = self.restarts * max(1, memory.targets.shape[1])
        active = state.active & ~broken & (iteration < (self.iterations + 1) * runs)
        following = loops.cond(
            turn < self.iterations,
            lambda: self._moved(climbed, memory.point, gradient, x, turn),
            lambda: self._fresh(
                self._starts(key, x, y, iteration // (self.iterations + 1)),
                memory.targets,
            ),
        )
        following = following._replace(loss=jnp.where(nearest, loss, memory.loss))
        info = Info(
            loss, climbed.highest, labels, size(gradient, "linf"), climbed.step_size
        )
        return state.onward(
            memory.point,
            nearest,
            state.found | (broken & state.active),
            active,
            where(state.active, following, memory),
        ), info

    def _loss(self, outputs: Array, y: Array, memory: Memory, restart: Array) -> Array:
        if self.loss in _TARGETED:
            place = restart // self.restarts
            target = jnp.take(memory.targets, place, axis=1, mode="clip")
            return _TARGETED[self.loss](outputs, y, target)
        loss = climb.value(cast(climb.Loss, self.loss), outputs, y, memory.stretch)
        return -loss if self.targeted else loss

    def _climbed(
        self, memory: Memory, loss: Array, gradient: Array, turn: Array
    ) -> Memory:
        """Takes in the loss at the iterate, and halves the step size if due."""
        higher = loss > memory.highest
        highest = jnp.where(higher, loss, memory.highest)
        rises = memory.rises + (loss > memory.last).astype(jnp.int32)
        memory = memory._replace(
            highest_point=where(higher, memory.point, memory.highest_point),
            highest_gradient=where(higher, gradient, memory.highest_gradient),
            highest=highest,
            last=loss,
            # The first point has no point before it.
            rises=jnp.where(turn == 0, 0, rises),
            checked_highest=jnp.where(turn == 0, highest, memory.checked_highest),
        )
        window = jnp.asarray(self._windows())[turn]
        few = memory.rises.astype(loss.dtype) < _RISES * window.astype(loss.dtype)
        stuck = ~memory.halved & (memory.checked_highest == highest)
        halved = few | stuck
        checked = memory._replace(
            rises=jnp.zeros_like(memory.rises),
            checked_highest=highest,
            halved=halved,
            step_size=jnp.where(halved, memory.step_size / 2, memory.step_size),
        )
        due = jnp.broadcast_to(window > 0, halved.shape)
        return where(due, checked, memory)

    def _moved(
        self, memory: Memory, looked_at: Array, gradient: Array, x: Array, turn: Array
    ) -> Memory:
        """Moves, from the highest point where the step size was just halved."""
        due = jnp.asarray(self._windows())[turn] > 0
        back = due & memory.halved
        point = where(back, memory.highest_point, looked_at)
        gradient = where(back, memory.highest_gradient, gradient)
        move = each(memory.step_size, x) * direction(gradient, self.norm)
        move = climb.fitted(move, x, self.epsilon, self.norm, self.fit_box)
        ahead = project(point + move, x, self.epsilon, self.norm)
        # The first move has no momentum.
        share = jnp.where(turn == 0, 1.0, _MOMENTUM).astype(x.dtype)
        mixed = (
            point + share * (ahead - point) + (1 - share) * (point - memory.previous)
        )
        return memory._replace(
            point=project(mixed, x, self.epsilon, self.norm), previous=point
        )

    def _windows(self) -> np.ndarray:
        """Moves since the last checkpoint, for each move that is one; else 0."""
        windows = np.zeros(self.iterations + 1, np.int32)
        places = self.checkpoints
        windows[list(places)] = np.diff((0, *places))
        return windows

    def _starts(self, key: Key, x: Array, y: Array, restart: Array) -> Array:
        keys = image_keys(key, x, y, restart)
        return random_in_ball(keys, x, self.epsilon, self.norm, self.fit_box)

    def _fresh(self, point: Array, targets: Array) -> Memory:
        """A restart's memory, before its first point is looked at."""
        lowest = jnp.full(point.shape[:1], -math.inf, point.dtype)
        return Memory(
            point=point,
            previous=point,
            highest_point=point,
            highest_gradient=jnp.zeros_like(point),
            highest=lowest,
            last=lowest,
            rises=jnp.zeros(point.shape[:1], jnp.int32),
            checked_highest=lowest,
            halved=jnp.zeros(point.shape[:1], bool),
            step_size=2 * largest_radius(self.epsilon, point),
            stretch=jnp.ones_like(lowest),
            targets=targets,
            loss=lowest,
        )
