"""The frame of attacks that see nothing but labels."""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import checks
from zeroone_jax.attacks import run
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.oracle import (
    Found,
    Hits,
    StartKind,
    bisect,
    find_start,
    first_hit,
)
from zeroone_jax.attacks.paid import PaidLabelFn, only
from zeroone_jax.attacks.perturbation import Norm, each, size
from zeroone_jax.attacks.state import Course, State, image_keys
from zeroone_jax.types import Array, Key, LabelFn

# Streams of an image's key; steps use those from _STEPS on.
_START, _STEPS = 0, 1

# How near the boundary, as a share of the distance, the last search goes; how far the
# result then backs off, as a share of the distance and in each coordinate, the root of
# the mean square of which float32 rounding stays well below; how many times as far it
# backs off in turn, until it is at a hit; and the most queries all this takes.
PRECISION = 1e-4
MARGIN, COORDINATE_MARGIN = 1e-4, 1e-6
BACKING_OFF = (1, 8, 64)
HALVINGS = 14
FINISH_QUERIES = HALVINGS + len(BACKING_OFF)


class DecisionAttack(Attack):
    """Looks for the nearest adversary by labels alone.

    `start` holds adversaries already. The adversary is backed off from the boundary, by
    1e-4 of its distance and 1e-6 in each coordinate, so that its label does not hang on
    rounding.

    If rounding changes one label, the search takes another way. So the result for an
    image is the same in another batch only if the model rounds alike there. Where
    images were attacked alone, XLA summed in another order, and distances differed
    mostly by less than 1%, at most by 31% (HopSkipJump on a 01 network).

    Attributes:
        max_queries: how often the model may be asked about one image, in all.
    """

    norm: Norm = "l2"
    chunk: int = 32
    max_queries: int | None = None

    needs: ClassVar = "labels"
    starts_from_adversary: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_queries is None:
            return
        checks.counts(max_queries=self.max_queries)
        least = FINISH_QUERIES + self.frame_queries
        if self.max_queries <= least:
            raise ValueError(
                f"max_queries is {self.max_queries}, but must be above {least}, what "
                "checking and finishing take"
            )

    def watch(
        self,
        key: Key,
        fn: LabelFn,
        x: ArrayLike,
        y: ArrayLike,
        start: ArrayLike | None = None,
        observer: run.Observer | None = None,
        **options: Any,
    ) -> Course:
        """Attacks images, as `Attack.watch` says.

        Where labels are paid for (`adapters.foreign`), the look at `start`, whether it
        holds adversaries, counts as a query of every image.
        """
        arguments = (key, fn, x, y, start, observer)
        if not isinstance(fn, PaidLabelFn) or not checks.is_known(start):
            return super().watch(*arguments, **options)
        attack = self
        if self.max_queries is not None:
            attack = dataclasses.replace(self, max_queries=self.max_queries - 1)
        course = Attack.watch(attack, *arguments, **options)
        result = course.result
        return course._replace(result=result._replace(queries=result.queries + 1))

    def budget(self, x: Array) -> Array:
        """Queries that `init` and `step` may use in all for each image, i32 [n]."""
        total = np.iinfo(np.int32).max if self.max_queries is None else self.max_queries
        return jnp.full(
            x.shape[:1], total - FINISH_QUERIES - self.frame_queries, jnp.int32
        )

    def hits(self, fn: LabelFn, y: Array) -> Hits:
        """Makes the function that tells hits among one point for each image."""
        return lambda points, asked: self.broken(
            self.labels(only(fn, asked), points), y
        )

    def hits_of_many(self, fn: LabelFn, points: Array, y: Array, asked: Array) -> Array:
        """Tells hits among m points for each image.

        Args:
            fn: the model.
            points: float [n, m, ...].
            y: i32 [n], labels or targets.
            asked: bool [n, m], which points to ask about.

        Returns:
            bool [n, m], of any value where it was not to ask.
        """
        count = points.shape[:2]
        flat = points.reshape(count[0] * count[1], *points.shape[2:])
        labels = self.labels(only(fn, asked.reshape(-1)), flat).reshape(count)
        return self.broken(labels, jnp.broadcast_to(y[:, None], count))

    def step_keys(self, key: Key, state: State) -> Array:
        """Makes the images' keys of this step, keys [n]."""
        return image_keys(key, state.x, state.y, _STEPS + state.iteration)

    def finish(self, key: Key, fn: LabelFn, state: State) -> State:
        """Brings the best adversaries to the boundary, and a margin back from it."""
        hits = self.hits(fn, state.y)
        near = bisect(
            hits,
            state.x,
            state.adversary,
            state.found,
            PRECISION,
            state.queries,
            state.queries + HALVINGS,
            self.norm,
        )
        perturbation = near.point - state.x
        # The size of a perturbation that is COORDINATE_MARGIN everywhere.
        least = size(jnp.full_like(state.x, COORDINATE_MARGIN), self.norm)
        distance = size(perturbation, self.norm)
        margin = MARGIN + least / jnp.maximum(distance, least)
        times = jnp.asarray(BACKING_OFF, state.x.dtype)

        def back_off(turn: Array) -> Array:
            farther = each(1 + times[turn] * margin, state.x)
            return jnp.clip(state.x + farther * perturbation, 0, 1)

        budget = near.queries + len(BACKING_OFF)
        settled = first_hit(
            hits, back_off, state.found, state.adversary, near.queries, budget
        )
        return state._replace(adversary=settled.point, queries=settled.queries)


class WalkFromAdversary(DecisionAttack):
    """Starts at an adversary, and comes nearer.

    Where no `start` is given, noise is drawn until the model labels it as wanted: of a
    model with two classes one class may have no such noise, so give images of the other
    class (`nearest_start`, `random_start`) to attack every image.

    Attributes:
        start_noise: "blended" or "uniform"; see `oracle.find_start`.
        start_draws: how many times noise is drawn for an image before giving up.
    """

    start_noise: StartKind = "blended"
    start_draws: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.one_of("start_noise", self.start_noise, ("blended", "uniform"))
        checks.counts(start_draws=self.start_draws)

    def find_start(
        self, key: Key, fn: LabelFn, x: Array, y: Array, start: Array | None
    ) -> Found:
        """Takes the start given, or looks for one."""
        hits = self.hits(fn, y)
        queries = jnp.zeros(x.shape[:1], jnp.int32)
        if start is not None:
            everywhere = jnp.ones(x.shape[:1], bool)
            return Found(start, hits(start, everywhere), queries + 1)
        keys = image_keys(key, x, y, _START)
        return find_start(
            hits, keys, x, self.start_noise, self.start_draws, self.budget(x)
        )

    def begun(self, x: Array, y: Array, at: Found, memory: Any) -> State:
        """The state before the first step, at the adversaries that were found."""
        return State(
            x=x,
            y=y,
            adversary=at.point,
            found=at.hit,
            active=at.hit & (at.queries < self.budget(x)),
            queries=at.queries,
            iteration=jnp.asarray(0, jnp.int32),
            memory=memory,
        )

    def start_at_boundary(
        self,
        key: Key,
        fn: LabelFn,
        x: Array,
        y: Array,
        start: Array | None,
        tolerance: float | Array,
    ) -> Found:
        """Finds a start and brings it to the boundary, to a share of the way."""
        found = self.find_start(key, fn, x, y, start)
        return bisect(
            self.hits(fn, y),
            x,
            found.point,
            found.hit,
            tolerance,
            found.queries,
            self.budget(x),
            self.norm,
        )
