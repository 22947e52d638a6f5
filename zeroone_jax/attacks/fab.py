"""FAB: projections onto the linearized boundary, drawn towards the image.

Croce and Hein 2020, "Minimally distorted adversarial examples with a fast adaptive
boundary attack", Algorithm 1; the targeted form is that of AutoAttack (Croce and Hein
2020, "Reliable evaluation", section 4).
"""

import functools
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks, loops, losses
from zeroone_jax.attacks import linearize, shorten
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.hyperplane import onto_hyperplane
from zeroone_jax.attacks.perturbation import (
    Norm,
    each,
    largest_radius,
    size,
)
from zeroone_jax.attacks.random_points import fitted
from zeroone_jax.attacks.shorten import Shortening
from zeroone_jax.attacks.state import State, image_keys, where
from zeroone_jax.types import Array, Key, LogitsFn, Number

_RADIUS: dict[Norm, float] = {"linf": 0.3, "l2": 1.0, "l1": 5.0}
"""Restarts lie within half of this where no epsilon is given (the authors' program)."""


class Memory(NamedTuple):
    """FAB's own state.

    Attributes:
        point: float [n, ...], the iterate.
        others: i32 [n, k - 1], the classes other than y, the likeliest first.
        searching: bool [n], whether runs go on.
        shortening: what was found, and how far back the boundary lies, afterwards.
    """

    point: Array
    others: Array
    searching: Array
    shortening: Shortening


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        margin: float [n], by how much the adversary's side is ahead where it came to.
        length: float [n], how far that is from the image, in the attack's norm.
        labels: i32 [n], there.
    """

    margin: Array
    length: Array
    labels: Array


class FastAdaptiveBoundary(Attack, name="fab"):
    """Projects the iterate and the image onto the nearest linearized class boundary.

    A step goes `eta` times the way to the projections and takes their mean, the image
    having the weight `min(|d| / (|d| + |d_image|), alpha_max)`. From an adversary the
    next step begins nearer to the image by 1 - beta. Projections are the smallest moves
    inside the box (`hyperplane`). At the end six queries follow the nearest adversary
    of all runs back to the boundary (`shorten`; the paper uses three). The perturbation
    returned is 1e-4 longer than the shortest one found there.

    A step costs one query for each gradient (one for each other class, or a single one
    with targets), and one more for the point it comes to. A targeted attack uses the
    boundary between the target and the best other class of the moment.

    `start` replaces the image as the first point of the first run.

    Attributes:
        epsilon: None looks for the nearest adversary, however far it is. With a number,
            only adversaries within it are successes, and an image is done once it has
            one. Restarts begin within half of it and of the distance already reached;
            .3 (Linf), 1 (L2) or 5 (L1) stands for it if it is None.
        iterations: steps of each run.
        restarts: runs, the first from the image, the others from random points; with
            `target_classes` for each of the classes.
        target_classes: how many of the likeliest other classes are gone after, one by
            one (AutoAttack: 9); any label but y is a success. None lets every step take
            the class whose boundary is nearest.
        alpha_max: the largest weight of the image, in (0,1].
        eta: how far beyond the projections to go, at least 1.
        beta: what is kept of an adversary's perturbation, in (0,1).
    """

    epsilon: Number | None = None
    iterations: int = 100
    restarts: int = 1
    target_classes: int | None = None
    alpha_max: Number = 0.1
    eta: Number = 1.05
    beta: Number = 0.9

    norms: ClassVar = ("linf", "l2", "l1")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.counts(iterations=self.iterations, restarts=self.restarts)
        checks.radius(self.norm, self.epsilon)
        if self.target_classes is not None:
            checks.counts(target_classes=self.target_classes)
            if self.targeted:
                raise ValueError(
                    f"target_classes is {self.target_classes} and targeted is "
                    "True, but y already names the class to go after: give one of them"
                )
        checks.within("(0,1]", alpha_max=self.alpha_max)
        checks.within("[1,inf)", eta=self.eta)
        checks.within("(0,1)", beta=self.beta)

    @property
    def as_rows(self) -> bool:
        """In Linf; sums of the other norms are rounded as in the stored results."""
        return self.norm == "linf"

    def init(
        self, key: Key, fn: LogitsFn, x: Array, y: Array, start: Array | None = None
    ) -> State:
        """Starts the first run at the image, or at `start`, and ranks the classes."""
        shortening, z, _ = shorten.begin(functools.partial(self._margin, fn, y), x)
        memory = Memory(
            point=x if start is None else start,
            others=linearize.ranking(z, y),
            searching=jnp.ones(x.shape[:1], bool),
            shortening=shortening,
        )
        return State.beginning(x, y, memory, queries=1)

    def step(self, key: Key, fn: LogitsFn, state: State) -> tuple[State, Info]:
        """Moves every active image's point, and looks at where it came to."""
        x, y, memory = state.x, state.y, state.memory
        searching = state.active & memory.searching
        run = state.iteration // self.iterations
        moved = loops.cond(
            jnp.any(searching),
            lambda: self._move(fn, x, y, memory, run),
            lambda: memory.point,
        )
        back = shorten.look_at(memory.shortening, x, state.adversary)
        look = where(searching, moved, back)
        margin, z = self._margin(fn, y, look)
        labels = losses.labels(z)
        broken = self.broken(labels, y)
        length = size(look - x, self.norm)
        met, better = shorten.meet(
            memory.shortening, margin, searching & broken, length
        )
        nearest = met.length
        found = state.found | better

        shortened, shortest = shorten.update(memory.shortening, margin, broken)
        shortening = where(state.active & ~searching, shortened, met)
        last = state.active & ~searching & shortest
        if self.epsilon is not None:
            # Backing off from the boundary must not lead out of epsilon's reach.
            reached = shorten.kept_length(memory.shortening)
            reach = largest_radius(self.epsilon, x)
            last &= (length <= reach) | (reached > reach)
        kept = where(broken, x + self.beta * (look - x), look)
        run_over = (state.iteration + 1) % self.iterations == 0
        point = loops.cond(
            run_over, lambda: self._start(key, x, y, nearest, run + 1), lambda: kept
        )
        classes = memory.others.shape[1]
        again = searching & (~run_over | (run + 1 < self._runs(classes)))
        if self.epsilon is not None:
            again &= nearest > largest_radius(self.epsilon, x)
        gradients = 1 if self.targeted or self.target_classes else classes
        cost = jnp.where(searching, gradients + 1, 1).astype(jnp.int32)
        return state.onward(
            look,
            better | last,
            found,
            state.active & (again | (found & (shortening.left > 0))),
            Memory(
                where(searching, point, memory.point),
                memory.others,
                jnp.where(state.active, again, memory.searching),
                shortening,
            ),
            cost=cost,
        ), Info(margin, length, labels)

    def _margin(self, fn: LogitsFn, y: Array, points: Array) -> tuple[Array, Array]:
        """By how much the adversary's side is ahead, and the logits."""
        margin, z = shorten.margins(fn, points, y)
        return margin * (-1 if self.targeted else 1), z

    def _runs(self, classes: int) -> int:
        return self.restarts * min(self.target_classes or 1, classes)

    def _move(
        self, fn: LogitsFn, x: Array, y: Array, memory: Memory, run: Array
    ) -> Array:
        """One step of Algorithm 1, float [n, ...]."""
        point = memory.point
        if self.targeted:
            plane = linearize.best_other_than(fn, point, y, self.norm)
        else:
            reach = memory.others
            if self.target_classes is not None:
                number = run // self.restarts
                reach = jax.lax.dynamic_slice_in_dim(reach, number, 1, axis=1)
            plane = linearize.nearest(fn, point, y, reach, self.norm)
        slope = plane.slope
        # Where logits are coarse: a little beyond the hyperplane.
        missing = memory.shortening.aim - plane.ahead
        gained = jnp.sum((slope * (point - x)).reshape(len(x), -1), axis=1)
        move = onto_hyperplane(point, slope, missing, self.norm)
        image_move = onto_hyperplane(x, slope, gained + missing, self.norm)
        # Two moves of no length share evenly.
        lengths = jnp.maximum(size(move, self.norm), 1e-8)
        image_lengths = jnp.maximum(size(image_move, self.norm), 1e-8)
        weight = jnp.minimum(lengths / (lengths + image_lengths), self.alpha_max)
        weight = each(weight, x)
        beyond, image_beyond = point + self.eta * move, x + self.eta * image_move
        return jnp.clip((1 - weight) * beyond + weight * image_beyond, 0, 1)

    def _start(self, key: Key, x: Array, y: Array, nearest: Array, run: Array) -> Array:
        """Where a run begins, float [n, ...]."""
        if self.restarts == 1:
            return x
        largest = jnp.asarray(_RADIUS[self.norm], x.dtype)
        if self.epsilon is not None:
            largest = largest_radius(self.epsilon, x)
        keys = image_keys(key, x, y, run)
        draw = jax.random.uniform if self.norm == "linf" else jax.random.normal
        limits = (-1, 1) if self.norm == "linf" else ()
        noise = jax.vmap(lambda key: draw(key, x.shape[1:], x.dtype, *limits))(keys)
        radius = jnp.minimum(nearest, largest) / 2
        noise = noise * each(radius / size(noise, self.norm), x)
        first = run % self.restarts == 0
        return jnp.where(first, x, fitted(noise, x, radius, self.norm))
