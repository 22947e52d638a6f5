"""The sensible adversary (Kim and Wang 2022), which stops where the loss would pass.

Paper B, section B2 of our notes. Examples climb the loss in an Lp ball, each on its
own. An example whose loss exceeds the threshold -ln(confidence) goes one step back and
is frozen there: the loss is truncated by the choice of the adversary, not by a minimum
that would have no gradient. Examples beyond the threshold, or labelled wrongly, at the
start never move.

`sensible_adversary` is a loop over `init`, `step` and `finish`.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import losses
from zeroone_jax.attacks import checks
from zeroone_jax.attacks.perturbation import (
    direction,
    project,
    random_in_ball,
    random_in_ball_and_box,
)
from zeroone_jax.attacks.state import image_keys, where
from zeroone_jax.training import compaction
from zeroone_jax.types import Array, Key, LogitsFn

SensibleNorm = Literal["linf", "l2"]
Divergence = Literal["cross_entropy", "kl_to_natural"]
Ignored = Literal["start", "image"]


class Settings(NamedTuple):
    """What the adversary may do; all but the names may be traced arrays.

    Attributes:
        epsilon: radius of the ball, >= 0, on the [0,1] pixel scale.
        step_size: length of a step in the norm.
        steps: how many; a whole number.
        confidence: the paper's c, in (0,1]: adversaries keep a loss of at most -ln c.
        norm: "linf" or "l2".
        adaptive: whether examples that pass the threshold on their way go back and
            freeze; the paper's warm-up does without.
        divergence: what is climbed and compared with the threshold after the first
            step: "cross_entropy", or "kl_to_natural", KL(f(x) || f(x')).
        ignored: where examples end that are ignored from the start: at their "start",
            as in the authors' program, or at the "image", as in the definition.
        fit_box: whether random starts are drawn from ball and box together
            (`perturbation.random_in_ball_and_box`) instead of the paper's way.
        compact: whether steps are taken on halves of the batch once half is frozen, on
            one device; a network may round another way there.
    """

    epsilon: float | Array
    step_size: float | Array
    steps: int
    confidence: float | Array = 0.5
    norm: SensibleNorm = "linf"
    adaptive: bool | Array = True
    divergence: Divergence = "cross_entropy"
    ignored: Ignored = "start"
    fit_box: bool = False
    compact: bool = False


class State(NamedTuple):
    """Where the examples are.

    Attributes:
        x: float [n, ...], the images.
        y: i32 [n], their labels.
        natural: float [n, k], the logits at x; [n, 0] where they are not needed.
        point: float [n, ...], stepped to but not looked at yet.
        kept: float [n, ...], the last points at which nothing spoke against going on.
        ignored: bool [n], the frozen examples; they only become more.
        iteration: i32 [], steps done.
    """

    x: Array
    y: Array
    natural: Array
    point: Array
    kept: Array
    ignored: Array
    iteration: Array


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        loss: float [n], at the points looked at.
        ignored: bool [n], the examples frozen after looking.
    """

    loss: Array
    ignored: Array


def sensible_adversary(
    key: Key,
    logits_fn: LogitsFn,
    x: ArrayLike,
    y: ArrayLike,
    epsilon: float | Array,
    step_size: float | Array,
    steps: int,
    confidence: float | Array = 0.5,
    norm: SensibleNorm = "linf",
    start: ArrayLike | None = None,
    adaptive: bool | Array = True,
    divergence: Divergence = "cross_entropy",
    ignored: Ignored = "start",
    fit_box: bool = False,
) -> Array:
    """Finds adversaries whose loss stays below the threshold -ln(confidence).

    Each example is alone: neither the batch nor its order changes its adversary. The
    loop ends early once every example is frozen. Two deviations from the authors'
    program: a step in L2 has its length however small the gradient is (theirs shrinks
    with gradients of the batch's mean below 1e-6), and random starts are drawn for each
    image from the key and the image.

    Args:
        key: a random key, for the starts.
        logits_fn: the model in evaluation mode: images to logits.
        x: float [n, ...] in [0,1].
        y: int [n], the labels.
        epsilon: see `Settings`, as for all the rest.
        step_size: see `Settings`.
        steps: see `Settings`.
        confidence: see `Settings`.
        norm: see `Settings`.
        start: float [n, ...] in [0,1], points to start from, brought into the ball;
            drawn if None.
        adaptive: see `Settings`.
        divergence: see `Settings`.
        ignored: see `Settings`.
        fit_box: see `Settings`.

    Returns:
        float [n, ...] in [0,1] and in the ball; x itself where the confidence is 1,
        or epsilon or steps is 0.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: an argument has a wrong shape or value.
    """
    settings = Settings(
        epsilon,
        step_size,
        steps,
        confidence,
        norm,
        adaptive,
        divergence,
        ignored,
        fit_box,
    )
    check(settings)
    checks.key(key)
    x = checks.images("x", x)
    y = checks.labels(y, len(x), checks.logits_function(logits_fn, x, "this"))
    if start is not None:
        start = checks.images("start", start, x.shape).astype(x.dtype)
    return search(key, logits_fn, x, y, settings, start)[0]


def search(
    key: Key,
    logits_fn: LogitsFn,
    x: Array,
    y: Array,
    settings: Settings,
    start: Array | None = None,
) -> tuple[Array, State | None]:
    """Does what `sensible_adversary` does, unchecked, and tells how it ended.

    Args:
        key: a random key.
        logits_fn: the model.
        x: float [n, ...] in [0,1].
        y: i32 [n].
        settings: of the adversary.
        start: float [n, ...] in [0,1].

    Returns:
        The adversaries, float [n, ...], and the state after the last step; None where
        nothing was to be done.
    """
    steps = settings.steps
    if steps == 0 or _is(settings.epsilon, 0) or _is(settings.confidence, 1):
        return x, None
    state = init(key, logits_fn, x, y, settings, start)

    # All but the iteration is of examples.
    *examples, _ = state

    def forward(iteration: Array, examples: list[Array]) -> list[Array]:
        state, _ = step(logits_fn, State._make([*examples, iteration]), settings)
        return list(state[:-1])

    examples, iteration = compaction.loop(
        forward,
        lambda examples: State._make([*examples, state.iteration]).ignored,
        examples,
        steps,
        settings.compact,
    )
    state = State._make([*examples, iteration])
    # Where the confidence is traced, 1 is a threshold of 0, which every loss exceeds.
    moved = finish(logits_fn, state, settings)
    return jnp.where(jnp.asarray(settings.confidence) < 1, moved, x), state


def init(
    key: Key,
    logits_fn: LogitsFn,
    x: Array,
    y: Array,
    settings: Settings,
    start: Array | None = None,
) -> State:
    """Starts at `start`, or at random points of the ball.

    In Linf the random point is uniform in the ball; in L2 it is a random image brought
    into the ball, as in the authors' program. With `fit_box` it is even in ball and
    box together, in both.

    Args:
        key: a random key.
        logits_fn: the model.
        x: float [n, ...] in [0,1].
        y: i32 [n].
        settings: of the adversary.
        start: float [n, ...] in [0,1].

    Returns:
        The state before the first step.
    """
    epsilon, norm = settings.epsilon, settings.norm
    if start is not None:
        point = project(start, x, epsilon, norm)
    elif norm == "linf" or settings.fit_box:
        draw = random_in_ball_and_box if settings.fit_box else random_in_ball
        drawn = jax.vmap(draw, (0, 0, None, None))
        point = drawn(image_keys(key, x, y), x, epsilon, norm)
    else:
        uniform = jax.vmap(lambda key: jax.random.uniform(key, x.shape[1:], x.dtype))
        point = project(uniform(image_keys(key, x, y)), x, epsilon, norm)
    natural = jnp.zeros((len(x), 0), x.dtype)
    if settings.divergence == "kl_to_natural":
        natural = losses.as_logits(logits_fn(x))
    none = jnp.zeros(x.shape[:1], bool)
    zero = jnp.asarray(0, jnp.int32)
    return State(x, y.astype(jnp.int32), natural, point, point, none, zero)


def step(logits_fn: LogitsFn, state: State, settings: Settings) -> tuple[State, Info]:
    """Looks at the points, freezes what passed the threshold, and moves the rest on.

    Args:
        logits_fn: the model.
        state: as `init` or `step` gave it.
        settings: of the adversary.

    Returns:
        The next state, and what was seen.
    """

    def total(point: Array) -> tuple[Array, tuple[Array, Array]]:
        climbed, loss, labels = _look(logits_fn, state, point, settings)
        return jnp.sum(climbed), (loss, labels)

    gradient, (loss, labels) = jax.grad(total, has_aux=True)(state.point)
    at_start = state.iteration == 0
    passed = loss > _threshold(settings, loss)
    stops = jnp.where(
        at_start, passed | (labels != state.y), passed & settings.adaptive
    )
    ignored = state.ignored | stops
    kept = where(ignored, state.kept, state.point)
    if settings.ignored == "image":
        kept = where(at_start & ignored, state.x, kept)
    length = jnp.asarray(settings.step_size, kept.dtype)
    moved = kept + length * direction(gradient, settings.norm)
    point = project(moved, state.x, settings.epsilon, settings.norm)
    return state._replace(
        point=where(ignored, kept, point),
        kept=kept,
        ignored=ignored,
        iteration=state.iteration + 1,
    ), Info(loss, ignored)


def finish(logits_fn: LogitsFn, state: State, settings: Settings) -> Array:
    """Looks at the last points too, and takes those back that passed the threshold.

    Args:
        logits_fn: the model.
        state: as the last `step` gave it.
        settings: of the adversary.

    Returns:
        The adversaries, float [n, ...].
    """
    if settings.adaptive is False:
        return state.point
    _, loss, _ = _look(logits_fn, state, state.point, settings)
    passed = (loss > _threshold(settings, loss)) & settings.adaptive
    return where(state.ignored | passed, state.kept, state.point)


def _look(
    logits_fn: LogitsFn, state: State, point: Array, settings: Settings
) -> tuple[Array, Array, Array]:
    """Computes what is climbed, the loss, and labels at points."""
    outputs = logits_fn(point).astype(point.dtype)
    # The same direction as the cross-entropy's, which sure networks round to 0.
    climbed = losses.soft_margin(outputs, state.y)
    loss = losses.cross_entropy(outputs, state.y)
    if settings.divergence == "kl_to_natural":
        divergence = losses.kl_divergence(losses.as_logits(outputs), state.natural)
        first = state.iteration == 0
        climbed = jnp.where(first, climbed, divergence)
        loss = jnp.where(first, loss, divergence)
    return climbed, loss, losses.labels(outputs)


def _threshold(settings: Settings, loss: Array) -> Array:
    return -jnp.log(jnp.asarray(settings.confidence, loss.dtype))


def _is(setting: float | Array, number: float) -> bool:
    """Whether a setting is known to be a number."""
    return not isinstance(setting, jax.core.Tracer) and bool(setting == number)


def check(settings: Settings) -> None:
    """Refuses settings out of range, where they are known.

    Raises:
        ValueError: one is; the message says which, and what is allowed.
    """
    checks.norm(settings.norm, get_args(SensibleNorm))
    checks.one_of("divergence", settings.divergence, get_args(Divergence))
    checks.one_of("ignored", settings.ignored, get_args(Ignored))
    steps = settings.steps
    if not isinstance(steps, int | np.integer) or steps < 0:
        raise ValueError(f"steps is {steps!r}, but must be a whole number, 0 or more")
    for name in ("epsilon", "step_size", "confidence"):
        value = getattr(settings, name)
        if isinstance(value, jax.core.Tracer):
            continue
        if name == "confidence" and not 0 < value <= 1:
            raise ValueError(f"confidence is {value}, but must be in (0,1]")
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is {value}, but must not be negative")
