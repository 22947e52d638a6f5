"""The frame of attacks that descend from the image and keep the nearest adversary.

Each step looks at one point for every image, with one gradient, keeps the point if it
is the nearest adversary so far, and moves on by the attack's own rule. After the last
step the nearest adversary is followed back to the boundary (`shorten`).
"""

import abc
import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks, loops, losses
from zeroone_jax.attacks import shorten
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import Norm, each, finite, size
from zeroone_jax.attacks.shorten import Shortening
from zeroone_jax.attacks.state import State, where
from zeroone_jax.types import Array, Key, LogitsFn, Number


class Memory(NamedTuple):
    """What all attacks of this frame keep.

    Attributes:
        point: float [n, ...] in [0,1], the iterate, not evaluated yet.
        shortening: what was found.
        own: a pytree of arrays [n, ...], the attack's own.
    """

    point: Array
    shortening: Shortening
    own: Any


class Look(NamedTuple):
    """What a step saw at the point it came to, for `_move`.

    Attributes:
        point: float [n, ...].
        margin: float [n], by how much the adversary's side is ahead there.
        slope: float [n, ...], of what the attack climbs (`_climbed`); 0 where it is
            not finite.
        broken: bool [n], whether the point is an adversary.
        found: bool [n], whether any adversary is known by now.
        nearest: float [n], the size of the nearest one's perturbation, else infinite.
        turn: float [], how many steps were taken before this one.
    """

    point: Array
    margin: Array
    slope: Array
    broken: Array
    found: Array
    nearest: Array
    turn: Array


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        margin: float [n], by how much the adversary's side is ahead at the point.
        length: float [n], how far that is from the image, in the attack's norm.
    """

    margin: Array
    length: Array


class Shortened(Attack):
    """Ends by following the nearest adversary back to the boundary, but for L0.

    The state's memory has a `shortening`, what was found.
    """

    any_layout: ClassVar = True

    def finish(self, key: Key, fn: LogitsFn, state: State) -> State:
        """Follows the nearest adversary back to the boundary, but for L0."""
        del key
        if self.norm in ("l0", "l0_pixels"):
            return state

        def look(_: Array, carry: tuple[Shortening, Array]) -> tuple[Shortening, Array]:
            shortening, adversary = carry
            point = shorten.look_at(shortening, state.x, state.adversary)
            margin, z = self._margin(fn, state.y, point)
            broken = self.broken(losses.labels(z), state.y)
            shortening, last = shorten.update(shortening, margin, broken)
            return shortening, where(last & state.found, point, adversary)

        _, adversary = loops.fori_loop(
            0, shorten.LOOKS, look, (state.memory.shortening, state.adversary)
        )
        looks = jnp.where(state.found, shorten.LOOKS, 0).astype(jnp.int32)
        return state._replace(adversary=adversary, queries=state.queries + looks)

    def _margin(self, fn: LogitsFn, y: Array, points: Array) -> tuple[Array, Array]:
        """By how much the adversary's side is ahead, and the logits."""
        margin, z = shorten.margins(fn, points, y)
        return self._sign * margin, z

    @property
    def _sign(self) -> int:
        return -1 if self.targeted else 1


class MinimumNorm(Shortened):
    """Descends for a number of steps, and keeps the nearest adversary.

    A step costs one query, and takes its gradient. What is returned is, but for L0, the
    nearest adversary's perturbation cut at the boundary by six more queries (`shorten`)
    and made 1e-4 longer. `start` replaces the image as the first point.

    Attributes:
        iterations: points looked at.
    """

    iterations: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(iterations=self.iterations)

    @abc.abstractmethod
    def _begin(self, x: Array, point: Array) -> Any:
        """Makes the attack's own arrays for images and first points [n, ...]."""

    @abc.abstractmethod
    def _move(self, x: Array, look: Look, own: Any) -> tuple[Array, Any]:
        """Makes one move of every image.

        Args:
            x: float [n, ...], the images.
            look: what was seen at the point.
            own: the attack's own arrays.

        Returns:
            The next points, float [n, ...] in [0,1], and the attack's own arrays.
        """

    def _climbed(self, z: Array, margin: Array, y: Array) -> Array:
        """What the slope is of, float [n]: higher where the label is not y.

        Args:
            z: float [n, k], logits.
            margin: float [n], how far the best other class is ahead of y.
            y: i32 [n], labels, or targets, of which this is descended.
        """
        del z, y
        return margin

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts at the image, or at `start`."""
        del key
        shortening, _, _ = shorten.begin(functools.partial(self._margin, fn, y), x)
        point = x if start is None else start
        memory = Memory(point, shortening, self._begin(x, point))
        return State.beginning(x, y, memory, queries=1)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Looks at every active image's point, and moves it."""
        del key
        x, y, memory = state.x, state.y, state.memory
        point = memory.point

        def climbed(point: Array) -> tuple[Array, tuple[Array, Array]]:
            margin, z = self._margin(fn, y, point)
            total = jnp.sum(self._climbed(z, self._sign * margin, y))
            return self._sign * total, (margin, losses.labels(z))

        slope, (margin, labels) = jax.grad(climbed, has_aux=True)(point)
        broken = self.broken(labels, y)
        length = size(point - x, self.norm)
        shortening, better = shorten.meet(
            memory.shortening, margin, state.active & broken, length
        )
        found = state.found | better
        look = Look(
            point=point,
            margin=margin,
            slope=finite(slope),
            broken=broken,
            found=found,
            nearest=shorten.kept_length(shortening),
            turn=state.iteration.astype(x.dtype),
        )
        moved, own = self._move(x, look, memory.own)
        following = where(state.active, Memory(moved, shortening, own), memory)
        active = state.active & (state.iteration + 1 < self.iterations)
        state = state.onward(point, better, found, active, following)
        return state, Info(margin, length)

    def _annealed(self, first: Number, last: Number, turn: Array) -> Array:
        """Goes from first to last by a cosine over the iterations, float []."""
        share = (1 + jnp.cos(jnp.pi * turn / self.iterations)) / 2
        return last + (first - last) * share


def farthest(x: Array, norm: Norm) -> Array:
    """The distance of the farthest corner of the box from images [n, ...]: [n]."""
    return size(jnp.maximum(x, 1 - x), norm)


def scaled_to(perturbation: Array, length: Array) -> Array:
    """Perturbations [n, ...] made as long in L2 as said, [n]; those of 0 stay so."""
    own = size(perturbation, "l2")
    ratio = length / jnp.where(own > 0, own, 1)
    return perturbation * each(ratio, perturbation)
