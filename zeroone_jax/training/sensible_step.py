"""One step of the sensible adversary: `init`, `step` and `finish`.

Paper B (docs/papers.md, B2). Examples climb the loss in an Lp ball, each on its
own. An example whose loss exceeds the threshold -ln(confidence) goes one step back and
is frozen there: the loss is truncated by the choice of the adversary, not by a minimum
that would have no gradient. Examples beyond the threshold, or labelled wrongly, at the
start never move.
"""

import dataclasses
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import checks, losses
from zeroone_jax.attacks.perturbation import (
    direction,
    project,
)
from zeroone_jax.attacks.random_points import random_in_ball
from zeroone_jax.attacks.state import image_keys, where
from zeroone_jax.types import Array, Key, LogitsFn

SensibleNorm = Literal["linf", "l2"]
Divergence = Literal["cross_entropy", "kl_to_natural"]
Ignored = Literal["start", "image"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What the adversary may do; the real numbers may be traced arrays.

    Attributes:
        epsilon: radius of the ball, >= 0, on the [0,1] pixel scale.
        step_size: length of a step in the norm.
        steps: how many; a whole number.
        confidence: the paper's c, in (0,1]: adversaries keep a loss of at most -ln c; 1
            leaves the images as they are.
        norm: "linf" or "l2".
        ignored: where examples end that are beyond the threshold at the start: at their
            "start", as in the authors' program, or at the "image", as in the
            definition.
    """

    epsilon: float | Array = 8 / 255
    step_size: float | Array = 1.5 / 255
    steps: int = 10
    confidence: float | Array = 0.5
    norm: SensibleNorm = "linf"
    ignored: Ignored = "start"

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is known, and out of its range."""
        checks.one_of("norm", self.norm, get_args(SensibleNorm))
        checks.one_of("ignored", self.ignored, get_args(Ignored))
        steps = self.steps
        if not isinstance(steps, int | np.integer) or steps < 0:
            raise ValueError(
                f"steps is {steps!r}, but must be a whole number, 0 or more"
            )
        checks.not_negative(epsilon=self.epsilon, step_size=self.step_size)
        checks.in_box(self.norm, self.epsilon)
        checks.within("(0,1]", confidence=self.confidence)


class State(NamedTuple):
    """Where the examples are.

    Attributes:
        x: float [n, ...], the images.
        y: i32 [n], their labels.
        natural: float [n, k], the logits at x, where the divergence from them is
            climbed; otherwise None.
        point: float [n, ...], stepped to but not looked at yet.
        kept: float [n, ...], the last points at which nothing spoke against going on.
        ignored: bool [n], the frozen examples; they only become more.
        step: i32 [], steps done.
    """

    x: Array
    y: Array
    natural: Array | None
    point: Array
    kept: Array
    ignored: Array
    step: Array


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        loss: float [n], at the points looked at.
        ignored: bool [n], the examples frozen after looking.
    """

    loss: Array
    ignored: Array


def init(
    key: Key,
    logits_fn: LogitsFn,
    x: Array,
    y: Array,
    settings: Settings,
    start: Array | None = None,
    divergence: Divergence = "cross_entropy",
    fit_box: bool = False,
) -> State:
    """Starts at `start`, or at random points of the ball.

    In Linf the random point is uniform in the ball; in L2 it is a random image brought
    into the ball, as in the authors' program. With `fit_box` it is even in ball and
    box together, in both. The arguments are those of `sensible.sensible_adversary`.
    """
    epsilon, norm = settings.epsilon, settings.norm
    if start is not None:
        point = project(start, x, epsilon, norm)
    elif norm == "linf" or fit_box:
        point = random_in_ball(image_keys(key, x, y), x, epsilon, norm, fit_box)
    else:

        def uniform(key: Key) -> Array:
            return jax.random.uniform(key, x.shape[1:], x.dtype)

        point = project(jax.vmap(uniform)(image_keys(key, x, y)), x, epsilon, norm)
    natural = None
    if divergence == "kl_to_natural":
        natural = losses.as_logits(logits_fn(x))
    none = jnp.zeros(x.shape[:1], bool)
    zero = jnp.asarray(0, jnp.int32)
    return State(x, y.astype(jnp.int32), natural, point, point, none, zero)


def step(
    logits_fn: LogitsFn,
    state: State,
    settings: Settings,
    adaptive: bool | Array = True,
) -> tuple[State, Info]:
    """Looks at the points, freezes what passed the threshold, and moves the rest on."""

    def total(point: Array) -> tuple[Array, tuple[Array, Array]]:
        climbed, loss, labels = _look(logits_fn, state, point)
        return jnp.sum(climbed), (loss, labels)

    gradient, (loss, labels) = jax.grad(total, has_aux=True)(state.point)
    at_start = state.step == 0
    passed = loss > _threshold(settings, loss)
    stops = jnp.where(at_start, passed | (labels != state.y), passed & adaptive)
    ignored = state.ignored | stops
    kept = where(ignored, state.kept, state.point)
    if settings.ignored == "image":
        kept = where(at_start & ignored, state.x, kept)
    length = jnp.asarray(settings.step_size, kept.dtype)
    moved = kept + length * direction(gradient, settings.norm)
    point = project(moved, state.x, settings.epsilon, settings.norm)
    point = where(ignored, kept, point)
    following = state._replace(point=point, kept=kept, ignored=ignored)
    return following._replace(step=state.step + 1), Info(loss, ignored)


def finish(
    logits_fn: LogitsFn,
    state: State,
    settings: Settings,
    adaptive: bool | Array = True,
) -> Array:
    """Looks at the last points too, and takes those back that passed the threshold."""
    if adaptive is False:
        return state.point
    _, loss, _ = _look(logits_fn, state, state.point)
    passed = (loss > _threshold(settings, loss)) & adaptive
    return where(state.ignored | passed, state.kept, state.point)


def _look(
    logits_fn: LogitsFn, state: State, point: Array
) -> tuple[Array, Array, Array]:
    """Computes what is climbed, the loss, and labels at points."""
    outputs = logits_fn(point).astype(point.dtype)
    # The same direction as the cross-entropy's, which sure networks round to 0.
    climbed = losses.soft_margin(outputs, state.y)
    loss = losses.cross_entropy(outputs, state.y)
    if state.natural is not None:
        divergence = losses.kl_divergence(losses.as_logits(outputs), state.natural)
        first = state.step == 0
        climbed = jnp.where(first, climbed, divergence)
        loss = jnp.where(first, loss, divergence)
    return climbed, loss, losses.labels(outputs)


def _threshold(settings: Settings, loss: Array) -> Array:
    return -jnp.log(jnp.asarray(settings.confidence, loss.dtype))
