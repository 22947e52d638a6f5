"""The sensible adversary (Kim and Wang 2022), which stops where the loss would pass."""

from typing import get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zeroone_jax import checks
from zeroone_jax.attacks import arguments
from zeroone_jax.training import compaction
from zeroone_jax.training.sensible_step import (
    Divergence,
    Ignored,
    SensibleNorm,
    Settings,
    State,
    finish,
    init,
    step,
)
from zeroone_jax.types import Array, Key, LogitsFn


def sensible_adversary(
    key: Key,
    logits_fn: LogitsFn,
    x: ArrayLike,
    y: ArrayLike,
    epsilon: float | Array = Settings.epsilon,
    step_size: float | Array = Settings.step_size,
    steps: int = Settings.steps,
    confidence: float | Array = Settings.confidence,
    norm: SensibleNorm = Settings.norm,
    start: ArrayLike | None = None,
    adaptive: bool | Array = True,
    divergence: Divergence = "cross_entropy",
    ignored: Ignored = Settings.ignored,
    fit_box: bool = False,
) -> Array:
    """Finds adversaries whose loss stays below the threshold -ln(confidence).

    An example's adversary does not depend on the other examples of the batch. The loop
    ends early once every example is frozen. Two things differ from the authors'
    program: a step in L2 always has its full length (theirs is shorter where the
    gradient of the batch's mean is below 1e-6), and random starts are drawn for each
    image from the key and the image.

    Args:
        key: a random key, for the starts.
        logits_fn: the model in evaluation mode: images to logits.
        x: float [n, ...] in [0,1].
        y: int [n], the labels.
        epsilon: see `Settings`.
        step_size: see `Settings`.
        steps: see `Settings`.
        confidence: see `Settings`.
        norm: see `Settings`.
        start: float [n, ...] in [0,1], points to start from, brought into the ball;
            drawn if None.
        adaptive: whether examples that pass the threshold on their way go back and
            freeze; the paper's warm-up does without.
        divergence: what is climbed and compared with the threshold after the first
            step: "cross_entropy", or "kl_to_natural", KL(f(x) || f(x')).
        ignored: see `Settings`.
        fit_box: whether random starts are drawn evenly from the part of the ball that
            lies in [0,1]; otherwise from the whole ball, and clipped, as in the paper.

    Returns:
        float [n, ...] in [0,1] and in the ball; x itself where the confidence is 1,
        or epsilon or steps is 0.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: an argument has a wrong shape or value.
    """
    settings = Settings(
        epsilon=epsilon,
        step_size=step_size,
        steps=steps,
        confidence=confidence,
        norm=norm,
        ignored=ignored,
    )
    checks.one_of("divergence", divergence, get_args(Divergence))
    checks.key(key)
    x = checks.images("x", x)
    y = checks.labels(y, len(x), arguments.model(logits_fn, x, "logits", "this"))
    if start is not None:
        start = checks.images("start", start, x.shape).astype(x.dtype)
    state = init(key, logits_fn, x, y, settings, start, divergence, fit_box)
    return search(logits_fn, state, settings, adaptive)[0]


def search(
    logits_fn: LogitsFn,
    state: State,
    settings: Settings,
    adaptive: bool | Array = True,
) -> tuple[Array, State | None]:
    """Does what `sensible_adversary` does from where `init` starts.

    Returns:
        The adversaries, float [n, ...], and the state after the last step; None where
        nothing was to be done.
    """
    x, steps = state.x, settings.steps
    if steps == 0 or _is(settings.epsilon, 0) or _is(settings.confidence, 1):
        return x, None
    state = compaction.loop(
        lambda state: step(logits_fn, state, settings, adaptive)[0],
        lambda state: state.ignored,
        state,
        steps,
    )
    # Where the confidence is traced, 1 is a threshold of 0, which every loss exceeds.
    moved = finish(logits_fn, state, settings, adaptive)
    return jnp.where(jnp.asarray(settings.confidence) < 1, moved, x), state


def _is(setting: float | Array, number: float) -> bool:
    """Whether a setting is known to be a number."""
    return not isinstance(setting, jax.core.Tracer) and bool(setting == number)
