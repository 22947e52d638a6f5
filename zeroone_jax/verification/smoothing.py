"""Randomised smoothing: what a classifier says most often under Gaussian noise.

Cohen, Rosenfeld, Kolter 2019, "Certified adversarial robustness via randomized
smoothing": the smoothed classifier's label cannot change nearer than
sigma * quantile(p), for p the probability of that label under noise (theorem 1, with
the bound on all others together). The probability is bounded from samples, so that
each radius holds with a probability that the caller chooses (algorithm CERTIFY).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from zeroone_jax import checks, losses, tracing
from zeroone_jax.types import Array, Key, LogitsFn
from zeroone_jax.verification.networks import Floats, Ints

_CHUNK = 16
"""Images in one compiled call."""


class Smoothed(NamedTuple):
    """What a smoothed classifier says.

    Attributes:
        labels: int64 [n], -1 where it abstains: no label is sure to be the majority's.
        radius: float64 [n], in L2: no nearer point gets another label; 0 where it
            abstains.
    """

    labels: Ints
    radius: Floats


def smoothed(
    key: Key,
    logits_fn: LogitsFn,
    x: Array,
    sigma: float,
    *,
    first: int = 100,
    samples: int = 10_000,
    error: float = 0.001,
    batch: int = 500,
    report: Callable[[int], None] | None = None,
) -> Smoothed:
    """Labels images under noise, and certifies a radius around each.

    Args:
        key: a random key, for the noise.
        logits_fn: the classifier that is smoothed; it should be trained under the same
            noise (`training.objectives.gaussian_noise`).
        x: float [n, ...] in [0,1].
        sigma: the noise's standard deviation, above 0; images under noise leave [0,1].
        first: noisy copies of each image by which the label is guessed.
        samples: further copies, by which its probability is bounded.
        error: how probable it may be, for each image, that the radius is too large.
        batch: how many copies the classifier meets at once.
        report: called with the number of images done, after every few.

    Returns:
        `Smoothed`.

    Raises:
        ValueError: a number is out of its range.
    """
    checks.positive(sigma=sigma)
    checks.counts(first=first, samples=samples, batch=batch)
    if not 0 < error < 1:
        raise ValueError(f"error is {error}, but must be between 0 and 1")
    model = tracing.capture(logits_fn, x[:1], sloped=False)

    def counted(keys: Array, rows: Ints, copies: int) -> Ints:
        size = min(batch, copies)
        found = _counts(keys[rows], model, x[rows], sigma, copies, size)
        return np.asarray(found, np.int64)

    guess_keys, bound_keys = (
        jax.random.split(half, len(x)) for half in jax.random.split(key)
    )
    guessed, hits = np.zeros((2, len(x)), np.int64)
    for begin in range(0, len(x), _CHUNK):
        # The last image fills the last call.
        rows = np.minimum(np.arange(begin, begin + _CHUNK), len(x) - 1)
        guessed[rows] = counted(guess_keys, rows, first).argmax(axis=1)
        counts = counted(bound_keys, rows, samples)
        hits[rows] = counts[np.arange(_CHUNK), guessed[rows]]
        if report is not None:
            report(min(begin + _CHUNK, len(x)))
    # Clopper and Pearson's lower bound of a probability: a quantile of a beta law.
    bound = scipy.special.betaincinv(hits, samples - hits + 1, error)
    sure = np.where(hits > 0, bound, 0.0) > 0.5
    radius = sigma * scipy.special.ndtri(np.where(sure, bound, 0.5))
    return Smoothed(np.where(sure, guessed, -1), radius)


@functools.partial(jax.jit, static_argnames=("copies", "size"))
def _counts(
    keys: Array, model: Any, x: Array, sigma: float, copies: int, size: int
) -> Array:
    """How often each class is said of copies of each image: i32 [n, classes]."""
    classes = jax.eval_shape(lambda some: losses.as_logits(model(some)), x[:1]).shape[1]

    def of_image(image: tuple[Array, Array]) -> Array:
        key, pixels = image

        def some(place: Array, counts: Array) -> Array:
            own = jax.random.fold_in(key, place)
            noise = jax.random.normal(own, (size, *pixels.shape), pixels.dtype)
            scale = jnp.asarray(sigma, pixels.dtype)
            labels = losses.labels(model(pixels[None] + scale * noise))
            counted = place * size + jnp.arange(size) < copies
            said = labels[:, None] == jnp.arange(classes, dtype=labels.dtype)[None]
            said = (said & counted[:, None]).astype(jnp.int32)
            return counts + jnp.sum(said, axis=0, dtype=jnp.int32)

        rounds = -(-copies // size)
        return jax.lax.fori_loop(0, rounds, some, jnp.zeros(classes, jnp.int32))

    return jax.lax.map(of_image, (keys, x))
