"""Expectation over transformation, for models that draw random numbers.

Athalye et al. 2018 attack a random defence by the mean over its draws. `expectation`
makes that mean a `LogitsFn` like any other, so that every attack and suite averages in
its gradients and in its verdicts alike.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses
from zeroone_jax.attacks.state import image_keys
from zeroone_jax.types import Array, Key, LogitsFn


def expectation(
    fn: Callable[[Key, Array], Array],
    key: Key,
    samples: int = 16,
    average: Literal["probabilities", "logits"] = "probabilities",
) -> LogitsFn:
    """Makes a `LogitsFn` of a random model: the mean of its answers.

    The draws come from the key and from the image's pixels. So another point meets
    other draws, and the same point always the same ones, alone or in any batch: this
    function confirms every success of an attack. Then ask a function with another key
    and more samples, to learn how many adversaries hold on draws that the attack never
    met.

    Args:
        fn: a random key and images float [n, ...] to logits [n, k], [n] or [n, 1]. It
            is called under `vmap`, with one image at a time.
        key: of all draws.
        samples: draws an image. Time and memory grow with it: lower the `chunk` of
            attacks in turn.
        average: what is averaged: "probabilities", whose largest is the label most
            likely to be right, or "logits", which have slopes where the model is sure.

    Returns:
        Images float [n, ...] to [n, k]: the mean logits, or the logarithm of the mean
        probabilities.

    Raises:
        TypeError: the key is none.
        ValueError: a setting is out of its range.

    Example:
        >>> noisy = lambda key, x: x @ jnp.eye(3) + jax.random.normal(key, (len(x), 3))
        >>> mean = expectation(noisy, jax.random.key(0), samples=1000, average="logits")
        >>> print(jnp.abs(mean(jnp.ones((2, 3))) - 1).max() < 0.15)
        True
    """
    checks.key(key)
    checks.counts(samples=samples)
    checks.one_of("average", average, ("probabilities", "logits"))

    def answer(key: Key, image: Array) -> Array:
        return losses.as_logits(fn(key, image[None]))[0]

    def of_image(key: Key, image: Array) -> Array:
        draws = jax.random.split(key, samples)
        logits = jax.vmap(answer, (0, None))(draws, image)
        if average == "logits":
            return jnp.mean(logits, axis=0)
        likely = jax.nn.log_softmax(logits, axis=1)
        # The slope of a sum of nothing but masked classes would be NaN.
        masked = jnp.all(jnp.isneginf(likely), axis=0)
        total = jax.nn.logsumexp(jnp.where(masked[None], 0, likely), axis=0)
        mean = total - jnp.log(jnp.asarray(samples, likely.dtype))
        return jnp.where(masked, -jnp.inf, mean)

    def averaged(x: Array) -> Array:
        pixels = jax.lax.stop_gradient(x)
        keys = image_keys(key, pixels, jnp.zeros(len(x), jnp.int32))
        return jax.vmap(of_image)(keys, x)

    return averaged
