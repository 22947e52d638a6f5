"""AutoPGD: projected gradient ascent that finds its step size by itself.

Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
diverse parameter-free attacks", Algorithm 1; with the targeted loss, the "APGD-T" of
AutoAttack. In L1, Croce and Hein 2021, "Mind the box: l1-APGD for sparse adversarial
attacks on image classifiers", Algorithm 1 (`apgd_l1`).
"""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeAlias, cast

import jax
import jax.numpy as jnp

from zeroone_jax import checks, loops, losses
from zeroone_jax.attacks import apgd_l1, climb, linearize, sparse
from zeroone_jax.attacks.apgd_memory import Info, Memory, fresh
from zeroone_jax.attacks.apgd_schedule import Schedule, schedule
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import (
    direction,
    each,
    inside,
    largest_radius,
    project,
    projection,
    size,
)
from zeroone_jax.attacks.random_points import random_in_ball
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


class AutoPGD(Attack, name="apgd"):
    """Climbs with momentum, halving the step where the loss stops rising.

    The step size begins at 2 epsilon. It is halved at a checkpoint where fewer than
    three quarters of the moves since the last one raised the loss, or where neither
    the step size nor the highest loss has changed since then; the search goes on from
    the point of the highest loss. An image leaves once an adversary is found.

    In L1 a restart has three phases of 30, 30 and 40% of the moves, with 3, 2 and 1
    epsilon as radius; each goes on from the best point of the one before. A step has no
    momentum and moves, all alike, the values of the largest slopes: a fifth of all at
    first, then 2/3 as many as the best point changes, looked at after every 4% of the
    moves. Where that point has become sparser by 5%, the step size is the radius again
    and the search goes on from there; elsewhere it falls by 1.5, down to a tenth of the
    radius. The projection is the nearest point of ball and box together.

    `start` replaces the first restart's random point; it is projected into the ball.
    A restart takes `iterations + 1` steps and queries, in L1 `iterations + 3`: points
    are looked at before the first move of each phase, and after each move.

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

    norms: ClassVar = ("linf", "l2", "l1")
    any_layout: ClassVar = True
    in_ball: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.radius(self.norm, self.epsilon)
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

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts at `start`, or a random point of the ball, and chooses the targets."""
        widest = float(self._plan.factor[0])
        point = self._starts(key, x, y, jnp.asarray(0))
        if start is not None:
            point = self._project(start, x, widest)
        queries = 0
        targets = jnp.zeros((len(x), 0), jnp.int32)
        if self.loss in _TARGETED:
            ranked = linearize.ranking(losses.as_logits(fn(x)), y)
            targets = ranked[:, : self.target_classes]
            queries = 1
        memory = fresh(point, targets, self._step_size(x, widest), self.norm)
        first = self._project(point, x, 1) if self.norm == "l1" else point
        return State.beginning(x, y, memory, first, queries)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, checks the step size, and moves."""
        x, y, memory = state.x, state.y, state.memory
        plan = self._plan
        points = len(plan.turn)
        restart, place = jnp.divmod(state.iteration, points)
        turn, ends = jnp.asarray(plan.turn)[place], jnp.asarray(plan.ends)[place]

        def total_loss(point: Array) -> tuple[Array, tuple[Array, Array, Array]]:
            outputs = fn(point).astype(x.dtype)
            stretch = climb.stretch(self.loss, outputs, memory.stretch, turn == 0)
            at = memory._replace(stretch=stretch)
            loss = self._loss(outputs, y, at, restart)
            return jnp.sum(loss), (loss, losses.labels(outputs), stretch)

        def with_gradient() -> tuple[Any, Array]:
            return jax.grad(total_loss, has_aux=True)(memory.point)[::-1]

        # The last point of a restart, or of a phase, is looked at only.
        (loss, labels, stretch), gradient = loops.cond(
            ~ends,
            with_gradient,
            lambda: (total_loss(memory.point)[1], jnp.zeros_like(x)),
        )
        broken = self.broken(labels, y)
        nearest = state.active & (broken | (loss > memory.loss))
        if self.norm == "l1":
            # Earlier phases search a larger ball.
            within = inside(memory.point - x, self.epsilon, self.norm)
            broken, nearest = broken & within, nearest & within
        memory = memory._replace(stretch=stretch)
        climbed = self._climbed(memory, loss, gradient, x, place)
        iteration = state.iteration + 1
        runs = self.restarts * max(1, memory.targets.shape[1])
        active = state.active & ~broken & (iteration < points * runs)
        # Outside of the branch, so that a loop computes it once.
        reach = climb.reach(x, self.epsilon, self.norm, self.fit_box)
        onto = projection(x, self.epsilon, self.norm)

        def moved() -> Memory:
            if self.norm == "l1":
                return self._moved_l1(climbed, memory.point, gradient, x, place)
            return self._moved(climbed, memory.point, gradient, place, reach, onto)

        def begun() -> Memory:
            if runs == 1 and self.norm != "l1":
                return climbed
            return self._begun(key, x, y, climbed, iteration)

        following = loops.cond(~ends, moved, begun)
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
        self, memory: Memory, loss: Array, gradient: Array, x: Array, place: Array
    ) -> Memory:
        """Takes in the loss at the iterate, and makes the step smaller if due."""
        plan = self._plan
        turn, window = (jnp.asarray(part)[place] for part in (plan.turn, plan.window))
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
        due = jnp.broadcast_to(window > 0, highest.shape)
        if self.norm == "l1":
            radius = largest_radius(self.epsilon, x) * self._factor(place, x)
            sparsity, step_size, sparser = apgd_l1.checked(
                memory.sparsity, memory.highest_point, x, memory.step_size, radius
            )
            checked = memory._replace(
                halved=sparser, step_size=step_size, sparsity=sparsity
            )
            return where(due, checked, memory)
        few = memory.rises.astype(loss.dtype) < _RISES * window.astype(loss.dtype)
        stuck = ~memory.halved & (memory.checked_highest == highest)
        halved = few | stuck
        checked = memory._replace(
            rises=jnp.zeros_like(memory.rises),
            checked_highest=highest,
            halved=halved,
            step_size=jnp.where(halved, memory.step_size / 2, memory.step_size),
        )
        return where(due, checked, memory)

    def _moved(
        self,
        memory: Memory,
        looked_at: Array,
        gradient: Array,
        place: Array,
        reach: Array,
        onto: Callable[[Array], Array],
    ) -> Memory:
        """Moves with momentum, as far as `reach`, and `onto` ball and box."""
        point, gradient = self._from(memory, looked_at, gradient, place)
        move = each(memory.step_size, point) * direction(gradient, self.norm) * reach
        ahead = onto(point + move)
        # The first move has no momentum.
        turn = jnp.asarray(self._plan.turn)[place]
        share = jnp.where(turn == 0, 1.0, _MOMENTUM).astype(point.dtype)
        mixed = (
            point + share * (ahead - point) + (1 - share) * (point - memory.previous)
        )
        return memory._replace(point=onto(mixed), previous=point)

    def _moved_l1(
        self, memory: Memory, looked_at: Array, gradient: Array, x: Array, place: Array
    ) -> Memory:
        """Moves the coordinates of the largest slopes, without momentum."""
        point, gradient = self._from(memory, looked_at, gradient, place)
        moved = memory.sparsity.moved
        move = apgd_l1.move(point, gradient, moved, memory.step_size)
        ahead = self._project(point + move, x, self._factor(place, x))
        return memory._replace(point=ahead, previous=point)

    def _from(
        self, memory: Memory, looked_at: Array, gradient: Array, place: Array
    ) -> tuple[Array, Array]:
        """Where a move begins: at the highest point if the step was just halved."""
        back = (jnp.asarray(self._plan.window)[place] > 0) & memory.halved
        return (
            where(back, memory.highest_point, looked_at),
            where(back, memory.highest_gradient, gradient),
        )

    @property
    def _plan(self) -> Schedule:
        return schedule(self.iterations, self.norm)

    def _factor(self, place: Array, x: Array) -> Array:
        """The radius at a place of a restart, in units of epsilon, float []."""
        return jnp.asarray(self._plan.factor, x.dtype)[place]

    def _project(self, point: Array, x: Array, factor: Number) -> Array:
        """Brings points into the box and the ball, `factor` times as large."""
        if self.norm == "l1":
            return sparse.project_onto_both(point, x, self.epsilon * factor)
        return project(point, x, self.epsilon, self.norm)

    def _starts(self, key: Key, x: Array, y: Array, restart: Array) -> Array:
        epsilon = self.epsilon
        if self.norm == "l1":
            epsilon = epsilon * float(self._plan.factor[0])
        keys = image_keys(key, x, y, restart)
        return random_in_ball(keys, x, epsilon, self.norm, self.fit_box)

    def _begun(
        self, key: Key, x: Array, y: Array, memory: Memory, iteration: Array
    ) -> Memory:
        """Begins the next restart or, in L1, the next phase at the best point."""
        points = len(self._plan.turn)
        restart, place = jnp.divmod(iteration, points)
        point = self._starts(key, x, y, restart)
        factor = self._factor(place, x)
        size = self._step_size(x, factor)
        begun = fresh(point, memory.targets, size, self.norm)
        if self.norm != "l1":
            return begun
        best = self._project(memory.highest_point, x, factor)
        phase = fresh(best, memory.targets, size, self.norm)
        phase = phase._replace(sparsity=apgd_l1.of(best, x))
        return where(jnp.broadcast_to(place == 0, x.shape[:1]), begun, phase)

    def _step_size(self, x: Array, factor: Number) -> Array:
        """The first one of a phase, float [n]."""
        radius = largest_radius(self.epsilon, x)
        return radius * factor if self.norm == "l1" else 2 * radius
