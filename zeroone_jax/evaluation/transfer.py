"""Adversaries made on one network, shown to another.

Paper B's check that a network is robust by itself and does not just hide its gradients
(docs/papers.md, B5): PGD-40 with steps of 2/255, the worst of 10 seeds, between
all pairs of networks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from zeroone_jax import checks
from zeroone_jax.attacks import predict
from zeroone_jax.attacks.pgd import PAPERS, ProjectedGradientDescent
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

    An adversary is the point of the highest cross-entropy over all steps. The first
    point over the source's boundary would hardly be over another network's boundary.
    The source also attacks images that it labels wrongly without an attack.

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
        early_stop=False,
        **PAPERS,
    )
    natural = np.stack([_correct(attack, model, x, y) for model in models])
    robust = np.empty((len(models), len(models), seeds, len(x)), bool)
    for row, source in zip(robust, models, strict=True):
        for seed in range(seeds):
            seed_key = jax.random.fold_in(key, seed)
            # Also of images that are wrong to begin with, which a call leaves.
            watched = attack.watch(seed_key, source, x, y, all_images=True)
            for column, target in enumerate(models):
                adversary = watched.result.adversary
                row[column, seed] = _correct(attack, target, adversary, y)
    robust &= natural[None, :, None]
    return Transfer(
        worst=robust.all(axis=2).mean(axis=-1),
        single=robust.mean(axis=-1),
        natural=natural.mean(axis=-1),
    )


def _correct(
    attack: ProjectedGradientDescent, model: LogitsFn, x: Array, y: Array
) -> np.ndarray:
    return np.asarray(predict(model, x, attack.chunk) == y)
