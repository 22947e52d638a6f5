"""Methods that give every image a ball, or an end, of its own: IAAT, FAT, MMA."""

import dataclasses
import itertools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses, tagged
from zeroone_jax.attacks.perturbation import NORMS, Norm, direction, each, project
from zeroone_jax.attacks.state import where
from zeroone_jax.training.ascent import ascend, random_start
from zeroone_jax.training.objectives.adversarial import InBall, plain_loss
from zeroone_jax.training.objectives.frame import (
    Batch,
    Info,
    Loss,
    Model,
    Objective,
    accuracy,
)
from zeroone_jax.types import Array, Key, LogitsFn, Params

# MMA's search: how much farther than the largest margin it looks, the steps' length in
# shares of the radius, and the halvings, all as its authors have them.
_BEYOND, _STRIDE, _HALVINGS = 1.05, 2.5, 10


@tagged.register("instance_adaptive")
@dataclasses.dataclass(frozen=True, kw_only=True)
class InstanceAdaptive(InBall):
    """IAAT (Balaji, Goldstein and Hoffman 2019): each image has a radius of its own.

    After the warm-up PGD tries three radii: the image's own, a step more and a step
    less. The radius moves, smoothed, to the largest of them at which the label stays
    right, or to the smallest if none does. The network is trained on the adversary
    found there, brought into the smoothed ball; the paper searches for it again.

    Attributes:
        epsilon: the radius of every image during the warm-up, and the first afterwards.
        radius_step: how much more and less is tried.
        smoothing: the share of the new radius in the average.
        warm_up: epochs with the same radius for all.
    """

    radius_step: float = 1.9 / 255
    smoothing: float = 0.1
    warm_up: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(radius_step=self.radius_step)
        checks.within("(0,1]", smoothing=self.smoothing)
        checks.not_negative(warm_up=self.warm_up)

    def memory(self, count: int) -> Array:
        """The radii, float32 [count]."""
        return jnp.full(count, self.epsilon, jnp.float32)

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, key = jax.random.split(key)
        logits_fn = model.evaluating(params)
        grown = batch.grown(self.ramp).astype(batch.memory.dtype) * batch.memory
        adversary, radius = jax.lax.cond(
            batch.epoch < self.warm_up,
            lambda: (self._adversary(start_key, logits_fn, batch, grown), batch.memory),
            lambda: self._adapted(start_key, logits_fn, batch),
        )
        loss, info = plain_loss(key, params, model, batch, adversary)
        metrics = {**info.metrics, "radius": jnp.mean(radius)}
        return loss, info._replace(memory=radius, metrics=metrics)

    def _adversary(
        self, key: Key, logits_fn: LogitsFn, batch: Batch, radius: Array
    ) -> Array:
        def loss(point: Array) -> Array:
            return losses.soft_margin(logits_fn(point), batch.y)

        return self.search(key, loss, batch, random_start, radius)

    def _adapted(
        self, key: Key, logits_fn: LogitsFn, batch: Batch
    ) -> tuple[Array, Array]:
        """Tries three radii: the adversaries, and the smoothed radii."""
        tried = [
            jnp.maximum(batch.memory + change, 0)
            for change in (self.radius_step, 0.0, -self.radius_step)
        ]
        larger, same, smaller = (
            self._adversary(key, logits_fn, batch, radius) for radius in tried
        )
        larger_right, same_right = (
            losses.labels(logits_fn(point)) == batch.y for point in (larger, same)
        )
        chosen = where(larger_right, larger, where(same_right, same, smaller))
        best = jnp.where(
            larger_right, tried[0], jnp.where(same_right, tried[1], tried[2])
        )
        radius = (1 - self.smoothing) * batch.memory + self.smoothing * best
        return project(chosen, batch.x, radius, self.norm), radius


class _Walk(NamedTuple):
    """FAT's points, the looks each has left, which still walk, and the step."""

    point: Array
    left: Array
    walking: Array
    step: Array


@tagged.register("friendly")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Friendly(InBall):
    """FAT (Zhang et al. 2020): PGD that stops soon after the label is wrong.

    Once an image's point is labelled wrongly, it makes `patience` more steps with a
    wrong label; then the point is kept.

    Attributes:
        patience: (epoch, looks) pairs: so many looks from that epoch on, 0 before.
    """

    epsilon: float = 0.031
    step_size: float = 0.007
    patience: tuple[tuple[int, int], ...] = ((50, 1), (90, 2))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _are_pairs(self.patience):
            raise ValueError(
                f"patience is {self.patience}, but must be pairs of growing epochs and "
                "looks that are whole numbers and not negative, as ((50, 1), (90, 2))"
            )

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, key = jax.random.split(key)
        looks = jnp.asarray(0, jnp.int32)
        for epoch, number in self.patience:
            looks = jnp.where(batch.epoch >= epoch, number, looks).astype(jnp.int32)
        epsilon = self.epsilon * batch.grown(self.ramp)
        start = random_start(start_key, batch.x, batch.y, epsilon, self.norm)
        adversary = self._climb(model.evaluating(params), batch, start, looks)
        return plain_loss(key, params, model, batch, adversary)

    def _climb(
        self, logits_fn: LogitsFn, batch: Batch, start: Array, looks: Array
    ) -> Array:
        """Climbs until an image's looks are used up."""
        grown = batch.grown(self.ramp)
        epsilon, step_size = self.epsilon * grown, self.step_size * grown

        def total(point: Array) -> tuple[Array, Array]:
            outputs = logits_fn(point)
            return jnp.sum(losses.soft_margin(outputs, batch.y)), outputs

        def climb(walk: _Walk) -> _Walk:
            gradient, outputs = jax.grad(total, has_aux=True)(walk.point)
            wrong = losses.labels(outputs) != batch.y
            walking = walk.walking & ~(wrong & (walk.left == 0))
            moved = walk.point + step_size * direction(gradient, self.norm)
            point = project(moved, batch.x, epsilon, self.norm)
            point = where(walking, point, walk.point)
            left = walk.left - (wrong & walking).astype(jnp.int32)
            return _Walk(point, left, walking, walk.step + 1)

        every = jnp.ones(batch.y.shape, bool)
        left = jnp.broadcast_to(looks, batch.y.shape)
        first = _Walk(start, left, every, jnp.asarray(0, jnp.int32))
        return jax.lax.while_loop(
            lambda walk: (walk.step < self.steps) & jnp.any(walk.walking), climb, first
        ).point


@tagged.register("max_margin")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxMargin(Objective):
    """MMA (Ding et al. 2020): pushes each image's nearest adversary farther away.

    For an image that is labelled rightly, PGD in a ball of its last margin gives a
    direction, and bisection finds the boundary in that direction. The cross-entropy
    there counts if the boundary is nearer than `max_margin`. For an image that is
    labelled wrongly, its own cross-entropy counts. A share of the cross-entropy of all
    images is added.

    Attributes:
        max_margin: the distance beyond which a boundary is not pushed, the paper's
            d_max.
        steps: of PGD.
        norm: "linf", "l2" or "l1".
        natural_share: the share of the images' own cross-entropy.
        first_margin: what PGD starts with for an image, and the least it takes.
    """

    max_margin: float = 12 / 255
    steps: int = 10
    norm: Norm = "linf"
    natural_share: float = 1 / 3
    first_margin: float = 0.005

    def __post_init__(self) -> None:
        checks.one_of("norm", self.norm, NORMS)
        checks.positive(max_margin=self.max_margin, first_margin=self.first_margin)
        checks.counts(steps=self.steps)
        checks.within("[0,1)", natural_share=self.natural_share)

    def memory(self, count: int) -> Array:
        """The margins, float32 [count]."""
        return jnp.full(count, self.first_margin, jnp.float32)

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, natural_key, key = jax.random.split(key, 3)
        natural, model = model.train(natural_key, params, batch.x)
        right = losses.labels(natural) == batch.y
        boundary, margin = self.boundary(start_key, model.evaluating(params), batch)
        point = jax.lax.stop_gradient(where(right, boundary, batch.x))
        outputs, model = model.train(key, params, point)
        pushed = ~right | (margin < self.max_margin)
        loss = jnp.where(pushed, losses.cross_entropy(outputs, batch.y), 0)
        natural_loss = losses.cross_entropy(natural, batch.y)
        total = (1 - self.natural_share) * loss + self.natural_share * natural_loss
        margin = jnp.where(right, jnp.maximum(margin, self.first_margin), 0)
        metrics = {
            "accuracy": accuracy(outputs, batch.y),
            "natural_accuracy": accuracy(natural, batch.y),
            "margin": jnp.mean(margin),
        }
        remembered = jnp.maximum(margin, self.first_margin)
        return jnp.mean(total), Info(model.batch_stats, remembered, metrics)

    def boundary(
        self, key: Key, logits_fn: LogitsFn, batch: Batch
    ) -> tuple[Array, Array]:
        """Finds the nearest change of label in the direction in which PGD goes.

        Returns:
            Points float [n, ...] in the box, and margins float [n], at most 1.05
            `max_margin`.
        """
        x, radius = batch.x, batch.memory
        adversary = ascend(
            lambda point: losses.soft_margin(logits_fn(point), batch.y),
            x,
            random_start(key, x, batch.y, radius, self.norm),
            epsilon=radius,
            step_size=_STRIDE * radius / self.steps,
            steps=self.steps,
            norm=self.norm,
        )
        # In units of the ball's radius, whatever the box left of the perturbation.
        way = (adversary - x) / each(radius, x)

        def at(length: Array) -> Array:
            return jnp.clip(x + each(length, x) * way, 0, 1)

        def narrow(_: Array, bounds: tuple[Array, Array, Array]) -> tuple[Array, ...]:
            low, high, here = bounds
            wrong = losses.margin(logits_fn(at(here)), batch.y) >= 0
            low, high = jnp.where(wrong, low, here), jnp.where(wrong, here, high)
            return low, high, (low + high) / 2

        farthest = jnp.full_like(radius, _BEYOND * self.max_margin)
        margin = jax.lax.fori_loop(
            0, _HALVINGS, narrow, (jnp.zeros_like(radius), farthest, radius)
        )[2]
        return at(margin), margin


def _are_pairs(patience: Any) -> bool:
    try:
        epochs = [epoch for epoch, _ in patience]
        looks = [operator.index(number) for _, number in patience]
        growing = all(later - epoch > 0 for epoch, later in itertools.pairwise(epochs))
    except (TypeError, ValueError):
        return False
    return growing and min(looks, default=0) >= 0
