"""AutoPGD: projected gradient ascent that finds its step size by itself.

Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
diverse parameter-free attacks", Algorithm 1; with the targeted loss, the "APGD-T" of
AutoAttack.
"""

import dataclasses
import math
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import losses
from zeroone_jax.attacks import checks
from zeroone_jax.attacks.attack import Attack, State, image_keys, where
from zeroone_jax.attacks.perturbation import (
    direction,
    each,
    project,
    random_in_ball,
    size,
)
from zeroone_jax.types import Array, Key, LogitsFn

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
    targets: Array
    loss: Array


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        loss: float [n], at the point the step came to.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoPGD(Attack):
    """Climbs with momentum, halving the step where the loss stops rising.

    The step size begins at 2 epsilon. It is halved at a checkpoint where fewer than
    three quarters of the moves since the last one raised the loss, or where neither
    the step size nor the highest loss has changed since then; the search goes on from
    the point of the highest loss. An image leaves once an adversary is found.

    `start` replaces the first restart's random point; it is projected into the ball.
    A restart takes `iterations + 1` steps and queries, as the points are looked at
    before the first move and after each.

    Attributes:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        iterations: moves in each restart.
        restarts: random starting points tried (for each target).
        loss: what is climbed: "cross_entropy"; "dlr"; or "targeted_dlr", which reaches
            for one likely class after another. Of a targeted attack, the loss of y
            is descended, and "targeted_dlr" does not apply.
        target_classes: how many classes "targeted_dlr" reaches for, the most likely
            ones at the image first; the model's other classes, if they are fewer.
    """

    epsilon: float
    iterations: int = 100
    restarts: int = 1
    loss: Literal["cross_entropy", "dlr", "targeted_dlr"] = "cross_entropy"
    target_classes: int = 9

    needs: ClassVar = "logits"
    norms: ClassVar = ("linf", "l2")
    in_ball: ClassVar = True

    def __post_init__(self) -> None:
        """Checks the settings."""
        super().__post_init__()
        checks.positive(epsilon=self.epsilon)
        checks.counts(
            iterations=self.iterations,
            restarts=self.restarts,
            target_classes=self.target_classes,
        )
        checks.one_of("loss", self.loss, ("cross_entropy", "dlr", "targeted_dlr"))
        if self.targeted and self.loss == "targeted_dlr":
            raise ValueError(
                'loss is "targeted_dlr", which chooses targets by itself, but the '
                'attack is targeted: take "dlr" or "cross_entropy"'
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
        self,
        key: Key,
        fn: LogitsFn,
        x: Array,
        y: Array,
        start: Array | None = None,
    ) -> State:
        """Starts at `start`, or a random point of the ball, and chooses the targets."""
        point = self._starts(key, x, y, jnp.asarray(0))
        if start is not None:
            point = project(start, x, self.epsilon, self.norm)
        queries = 0
        targets = jnp.zeros((len(x), 0), jnp.int32)
        if self.loss == "targeted_dlr":
            z = losses.as_logits(fn(x))
            is_y = jnp.arange(z.shape[1], dtype=jnp.int32)[None, :] == y[:, None]
            count = min(self.target_classes, z.shape[1] - 1)
            targets = jax.lax.top_k(jnp.where(is_y, -jnp.inf, z), count)[1]
            queries = 1
        memory = self._fresh(point, targets)
        return State.beginning(x, y, memory, point, queries)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, checks the step size, and moves."""
        x, y, memory = state.x, state.y, state.memory
        restart, turn = jnp.divmod(state.iteration, self.iterations + 1)

        def total_loss(point: Array) -> tuple[Array, tuple[Array, Array]]:
            outputs = fn(point).astype(x.dtype)
            loss = self._loss(outputs, y, memory.targets, restart)
            return jnp.sum(loss), (loss, losses.labels(outputs))

        def with_gradient() -> tuple[Any, Array]:
            return jax.grad(total_loss, has_aux=True)(memory.point)[::-1]

        # The last point of a restart is looked at only.
        (loss, labels), gradient = jax.lax.cond(
            turn < self.iterations,
            with_gradient,
            lambda: (total_loss(memory.point)[1], jnp.zeros_like(x)),
        )
        broken = self.broken(labels, y)
        nearest = state.active & (broken | (loss > memory.loss))
        climbed = self._climbed(memory, loss, gradient, turn)
        iteration = state.iteration + 1
        runs = self.restarts * max(1, memory.targets.shape[1])
        active = state.active & ~broken & (iteration < (self.iterations + 1) * runs)
        following = jax.lax.cond(
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
        return State(
            x,
            y,
            where(nearest, memory.point, state.adversary),
            state.found | (broken & state.active),
            active,
            state.queries + state.active.astype(jnp.int32),
            iteration,
            where(state.active, following, memory),
        ), info

    def _loss(self, outputs: Array, y: Array, targets: Array, restart: Array) -> Array:
        if self.loss == "targeted_dlr":
            target = jnp.take(targets, restart // self.restarts, axis=1, mode="clip")
            return losses.targeted_difference_of_logits_ratio(outputs, y, target)
        if self.loss == "dlr":
            loss = losses.difference_of_logits_ratio(outputs, y)
        else:
            loss = losses.cross_entropy(outputs, y)
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
        keys = jax.vmap(jax.random.fold_in, (0, None))(image_keys(key, x, y), restart)
        return jax.vmap(
            lambda key, image: random_in_ball(key, image, self.epsilon, self.norm)
        )(keys, x)

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
            step_size=jnp.full(point.shape[:1], 2 * self.epsilon, point.dtype),
            targets=targets,
            loss=lowest,
        )
