"""SuperDeepFool: DeepFool to the boundary, then straight along its normal.

Abdolahpourrostam et al. 2024, "SuperDeepFool: a new fast and accurate minimal
adversarial attack", Algorithm 2 in its form SDF(inf, 1).
"""

import functools
from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from zeroone_jax import checks, losses
from zeroone_jax.attacks import linearize, shorten
from zeroone_jax.attacks.minimum_norm import Shortened
from zeroone_jax.attacks.perturbation import Norm, direction, each, size
from zeroone_jax.attacks.shorten import Shortening
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LogitsFn, Number


class Memory(NamedTuple):
    """The attack's own state.

    Attributes:
        point: float [n, ...], the iterate, not evaluated yet.
        others: i32 [n, c], the classes looked at; [n, 0] of a targeted attack.
        least_rise: float [n], what every move to a boundary aims to gain at least.
        projected: bool [n], whether the point was laid on the boundary's normal.
        shortening: what was found.
    """

    point: Array
    others: Array
    least_rise: Array
    projected: Array
    shortening: Shortening


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        margin: float [n], by how much the adversary's side is ahead at the point.
        length: float [n], how far that is from the image, in L2.
    """

    margin: Array
    length: Array


class SuperDeepFool(Shortened, name="super_deep_fool"):
    """Goes to the nearest linearized boundary until it is crossed, then projects.

    Beyond a boundary with the normal w the perturbation d becomes `(d.w / |w|^2) w`,
    which is shorter and, at a solution, d itself. Where that is no adversary yet, the
    search goes on from there; where it is one, it ends. Moves to a boundary are those
    of `deep_fool`. The nearest adversary's perturbation is cut at the boundary by six
    more queries (`shorten`) and made 1e-4 longer.

    With `targeted` the boundary is that between the target and the best other class. A
    step costs as many queries as it takes gradients, one for each class looked at. An
    image whose point has no slope is given up. `start` replaces the image as the first
    point.

    Attributes:
        iterations: points looked at, at most.
        overshoot: how much longer the moves to a boundary are made, >= 0.
        candidates: how many classes are looked at, the image's own and those that are
            next to it by their logits at the image.
    """

    norm: Norm = "l2"
    iterations: int = 100
    overshoot: Number = 0.02
    candidates: int = 10

    norms: ClassVar = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(iterations=self.iterations)
        checks.not_negative(overshoot=self.overshoot)
        linearize.check_candidates(self.candidates)

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts at the image, or at `start`, and chooses the classes to look at."""
        del key
        margin = functools.partial(self._margin, fn, y)
        shortening, z, _ = shorten.begin(margin, x)
        classes = 0 if self.targeted else self.candidates - 1
        memory = Memory(
            point=x if start is None else start,
            others=linearize.ranking(z, y)[:, :classes],
            least_rise=jnp.maximum(
                self.overshoot * jnp.abs(shortening.low_margin), shortening.rounding
            ),
            projected=jnp.zeros(x.shape[:1], bool),
            shortening=shortening,
        )
        return State.beginning(x, y, memory, queries=1)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, and moves it to the boundary or back."""
        del key
        x, y, memory = state.x, state.y, state.memory
        point = memory.point
        if self.targeted:
            plane = linearize.best_other_than(fn, point, y, self.norm)
        else:
            plane = linearize.nearest(fn, point, y, memory.others, self.norm)
        margin = self._sign * losses.margin(plane.logits, y).astype(x.dtype)
        broken = self.broken(losses.labels(plane.logits), y)
        length = size(point - x, self.norm)
        shortening, better = shorten.meet(
            memory.shortening, margin, state.active & broken, length
        )
        clear = shorten.clear(shortening, margin, broken)

        steep = plane.steepness
        normal = direction(plane.slope, self.norm)
        rise = jnp.maximum(jnp.abs(plane.ahead), memory.least_rise)
        far = (1 + self.overshoot) * rise / jnp.where(steep > 0, steep, 1)
        ahead = point + each(far, x) * normal
        along = jnp.sum((normal * (point - x)).reshape(len(x), -1), axis=1)
        back = x + each(along, x) * normal
        following = Memory(
            jnp.clip(where(clear, back, ahead), 0, 1),
            memory.others,
            memory.least_rise,
            clear,
            shortening,
        )
        active = state.active & (steep > 0) & ~(clear & memory.projected)
        active &= state.iteration + 1 < self.iterations
        return state.onward(
            point,
            better,
            state.found | better,
            active,
            where(state.active, following, memory),
            cost=max(1, memory.others.shape[1]),
        ), Info(margin, length)
