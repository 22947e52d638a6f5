"""Adversaries made on one network, shown to another.

Paper B's check that a network is robust by itself and does not just hide its gradients
(section B5 of our notes): PGD-40 with steps of 2/255, the worst of 10 seeds, between
all pairs of networks.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import losses
from zeroone_jax.attacks import checks
from zeroone_jax.attacks.pgd import ProjectedGradientDescent
from zeroone_jax.types import Array, Key, LogitsFn


class Transfer(NamedTuple):
    """Accuracies on one another's adversaries.

    Attributes:
        worst: f64 [sources, targets], the target's accuracy on the source's
            adversaries: share of images that it labels rightly, themselves and as
            the adversaries of all seeds. The diagonal is the white-box attack.
        single: f64 [sources, targets, seeds], with the adversaries of one seed.
        natural: f64 [targets], accuracy on the images themselves.
    """

    worst: np.ndarray
    single: np.ndarray
    natural: np.ndarray


def transfer(
    key: Key,
    models: Sequence[LogitsFn],
    x: Array,
    y: Array,
    *,
    epsilon: float,
    step_size: float = 2 / 255,
    iterations: int = 40,
    seeds: int = 10,
) -> Transfer:
    """Attacks every network in the Linf ball, and asks all networks.

    An adversary is the point of the highest cross-entropy over all steps, not the
    first one over the source's boundary, which would hardly lie over another's. The
    source's adversaries include those of images that it labels wrongly by itself.

    Args:
        key: a random key; the seeds' keys are `fold_in(key, 0)`, `fold_in(key, 1)`, …
        models: the networks, of any structures.
        x: f32 [n, ...] in [0,1].
        y: int [n], the labels.
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        step_size: PGD's.
        iterations: PGD's.
        seeds: how many random starts each image gets, at least 1.

    Returns:
        The `Transfer`.

    Raises:
        ValueError: there are no models, or a setting is out of its range.
    """
    if not models:
        raise ValueError("models is empty, but must hold at least 1")
    checks.counts(seeds=seeds)
    attack = ProjectedGradientDescent(
        epsilon=epsilon,
        step_size=step_size,
        iterations=iterations,
        fit_box=False,
        loss="cross_entropy",
        early_stop=False,
    )
    captured = [attack.model(model, x) for model in models]
    natural = np.stack([_correct(attack.chunk, model, x, y) for model in captured])
    robust = np.empty((len(models), len(models), seeds, len(x)), bool)
    for row, source in zip(robust, captured, strict=True):
        for seed in range(seeds):
            seed_key = jax.random.fold_in(key, seed)
            adversary = _adversaries(attack, seed_key, source, x, y)
            for column, target in enumerate(captured):
                row[column, seed] = _correct(attack.chunk, target, adversary, y)
    robust &= natural[None, :, None]
    return Transfer(
        worst=robust.all(axis=2).mean(axis=-1),
        single=robust.mean(axis=-1),
        natural=natural.mean(axis=-1),
    )


@functools.partial(jax.jit, static_argnums=0)
def _adversaries(
    attack: ProjectedGradientDescent,
    key: Key,
    fn: LogitsFn,
    x: Array,
    y: Array,
) -> Array:
    """The points of highest loss, also for images that are wrong to begin with.

    Calling the attack would leave those as they are.
    """

    def climb(x: Array, y: Array) -> Array:
        state = jax.lax.fori_loop(
            0,
            attack.iterations + 1,
            lambda _, state: attack.step(key, fn, state)[0],
            attack.init(key, fn, x, y),
        )
        return state.adversary

    return _in_chunks(climb, attack.chunk, x, y.astype(jnp.int32))


@functools.partial(jax.jit, static_argnums=0)
def _correct(chunk: int, fn: LogitsFn, x: Array, y: Array) -> Array:
    return _in_chunks(lambda x, y: losses.labels(fn(x)) == y, chunk, x, y)


def _in_chunks(
    function: Callable[[Array, Array], Array], chunk: int, x: Array, y: Array
) -> Array:
    """Maps a function of images [m, ...] and labels [m] over n of them."""
    count = len(x)
    chunks = -(-count // chunk)
    # As even as can be; the last one is filled up with the first image.
    size = -(-count // chunks)

    def divide(array: Array) -> Array:
        fill = jnp.repeat(array[:1], size * chunks - count, axis=0)
        filled = jnp.concatenate([array, fill])
        return filled.reshape(chunks, size, *array.shape[1:])

    out = jax.lax.map(lambda part: function(*part), (divide(x), divide(y)))
    return out.reshape(-1, *out.shape[2:])[:count]
