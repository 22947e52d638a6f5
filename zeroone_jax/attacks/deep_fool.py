"""DeepFool: to the nearest class boundary of the model made linear, again and again.

Moosavi-Dezfooli et al. 2016, Algorithm 2, and for Linf their section 3.4.
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from zeroone_jax import checks, loops, losses
from zeroone_jax.attacks import linearize, shorten
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import Norm, direction, each, size
from zeroone_jax.attacks.shorten import Shortening
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LogitsFn, Number


class Memory(NamedTuple):
    """DeepFool's own state.

    Attributes:
        point: float [n, ...], the iterate, not evaluated yet.
        total: float [n, ...], the sum of the moves so far, without overshoot and box.
        others: i32 [n, c], the classes looked at.
        least_rise: float [n], what every move aims to gain at least.
        searching: bool [n], whether no boundary is crossed yet.
        shortening: how far back the crossing lies.
    """

    point: Array
    total: Array
    others: Array
    least_rise: Array
    searching: Array
    shortening: Shortening


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        margin: float [n], by how much the best other class is ahead of y.
        labels: i32 [n].
        length: float [n], of the move to the nearest boundary of the linearized model,
            without overshoot and box; 0 for images that have crossed it.
    """

    margin: Array
    labels: Array
    length: Array


class DeepFool(Attack, name="deep_fool"):
    """Moves onto the nearest boundary of the linearized model, until the label turns.

    As in the authors' program every point is x plus the moves so far times `1 +
    overshoot`, clipped to the box. Because of the clipping, moves on black or white
    pixels could come nearer and nearer to the boundary without crossing it; therefore
    each move aims to gain at least `overshoot` of the image's own margin. The paper's
    method ends at the first adversary. Ours then follows the perturbation back to the
    boundary by six queries (`shorten`), and returns one that is 1e-4 longer than the
    shortest adversary found, so that the overshoot costs no distance.

    A step costs one query for each gradient, and takes one gradient for each class
    looked at. An image is given up where all slopes are 0. `start` replaces the image
    as the first point.

    Attributes:
        iterations: moves at most.
        overshoot: how much longer the moves are made, >= 0.
        candidates: how many classes are looked at: the image's own and those with the
            largest logits beside it.
    """

    norm: Norm = "l2"
    iterations: int = 50
    overshoot: Number = 0.02
    candidates: int = 10

    norms: ClassVar = ("linf", "l2")
    any_layout: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(iterations=self.iterations)
        if self.targeted:
            raise ValueError(
                "targeted is True, but DeepFool is defined untargeted only: take "
                "carlini_wagner or fab"
            )
        checks.not_negative(overshoot=self.overshoot)
        linearize.check_candidates(self.candidates)

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts at the image, or at `start`, and chooses the classes to look at."""
        shortening, z, _ = shorten.begin(
            lambda points: shorten.margins(fn, points, y), x
        )
        point = x if start is None else start
        memory = Memory(
            point=point,
            total=point - x,
            others=linearize.ranking(z, y)[:, : self.candidates - 1],
            least_rise=jnp.maximum(
                self.overshoot * jnp.abs(shortening.low_margin), shortening.rounding
            ),
            searching=jnp.ones(x.shape[:1], bool),
            shortening=shortening,
        )
        return State.beginning(x, y, memory, queries=1)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, and moves on or back."""
        x, y, memory = state.x, state.y, state.memory
        searching = state.active & memory.searching
        back = shorten.look_at(memory.shortening, x, state.adversary)
        look = where(searching, memory.point, back)
        plane = self._plane(fn, look, y, memory.others, jnp.any(searching))
        margin = losses.margin(plane.logits, y).astype(x.dtype)
        labels = losses.labels(plane.logits)
        broken = self.broken(labels, y)
        clear = shorten.clear(memory.shortening, margin, broken)

        onward = searching & ~clear & (plane.steepness > 0)
        onward &= state.iteration < self.iterations
        rise = jnp.maximum(jnp.abs(plane.ahead), memory.least_rise)
        length = jnp.where(onward, rise / plane.steepness, 0)
        total = memory.total + each(length, x) * direction(plane.slope, self.norm)
        met, better = shorten.meet(
            memory.shortening, margin, searching & broken, size(look - x, self.norm)
        )
        found = state.found | better
        shortened, shortest = shorten.update(memory.shortening, margin, broken)
        shortening = where(state.active & ~searching, shortened, met)
        confirmed = state.active & ~searching & shortest
        cost = jnp.where(searching, memory.others.shape[1], 1).astype(jnp.int32)
        info = Info(margin, labels, length)
        return state.onward(
            look,
            better | confirmed,
            found,
            jnp.where(searching, onward | found, state.active & (shortening.left > 0)),
            Memory(
                where(onward, self._point(x, total), memory.point),
                where(onward, total, memory.total),
                memory.others,
                memory.least_rise,
                jnp.where(state.active, onward, memory.searching),
                shortening,
            ),
            cost=cost,
        ), info

    def _point(self, x: Array, total: Array) -> Array:
        return jnp.clip(x + (1 + self.overshoot) * total, 0, 1)

    def _plane(
        self, fn: LogitsFn, points: Array, y: Array, others: Array, sloped: Array
    ) -> linearize.Hyperplane:
        """The nearest boundary of the linearized model; no slopes if none is needed."""

        def level() -> linearize.Hyperplane:
            z = losses.widened(losses.as_logits(fn(points)), points)
            flat = jnp.zeros(points.shape[:1], points.dtype)
            return linearize.Hyperplane(z, flat, jnp.zeros_like(points), flat)

        return loops.cond(
            sloped,
            lambda: linearize.nearest(fn, points, y, others, self.norm),
            level,
        )
