"""Every attack for the least distance under one cap, side by side (AttackBench)."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from zeroone_jax.attacks import capped
from zeroone_jax.attacks.perturbation import Norm
from zeroone_jax.evaluation import optimality, propagations, tables
from zeroone_jax.types import Array, Key, LogitsFn


def measure(
    norm: Norm, cap: int, key: Key, model: LogitsFn, x: Array, y: Array
) -> dict[str, np.ndarray]:
    """Attacks images by all, and counts what each attack takes of the model.

    Args:
        norm: any of `Norm`.
        cap: as for `capped.attacks`.
        key: a random key.
        model: images to logits.
        x: float [n, ...] in [0,1].
        y: i32 [n].

    Returns:
        By name: what an `AttackResult` holds of the nearest adversaries, and
        "strongest", i32 [n], the attack that found it, -1 where none was needed or none
        succeeded; "distances", float [n, attacks]; "propagations", i32 [1, attacks, 2],
        forward and backward of the image that took most; "stages", the attacks' names;
        and no "warnings".
    """
    classes = max(jax.eval_shape(model, x).shape[1:], default=2)
    attacks = capped.attacks(norm, cap, max(classes, 2))
    found = [
        propagations.count(attack, key, model, x, y) for attack in attacks.values()
    ]
    distances = np.stack([np.asarray(result.distance) for result, _ in found], axis=1)
    nearest = np.argmin(distances, axis=1)
    rows = np.arange(len(distances))
    adversaries = np.stack([np.asarray(result.adversary) for result, _ in found])
    distance = distances[rows, nearest]
    needed = np.isfinite(distance) & (distance > 0)
    return {
        "adversary": adversaries[nearest, rows],
        "success": np.isfinite(distance),
        "distance": distance,
        "queries": np.sum([np.asarray(one.queries) for one, _ in found], axis=0),
        "strongest": np.where(needed, nearest, -1),
        "distances": distances,
        "propagations": np.array([[counted for _, counted in found]]),
        "stages": np.array(list(attacks)),
        "warnings": np.array([], dtype=str),
    }


def table(arrays: Mapping[str, np.ndarray], norm: str) -> tables.Table:
    """Tabulates what `measure` gave of all images together.

    Raises:
        ValueError: there is nothing to score by.
    """
    most = arrays["propagations"].max(axis=0)
    taken = {
        str(name): propagations.Propagations(*map(int, one))
        for name, one in zip(arrays["stages"], most, strict=True)
    }
    return optimality.table(_by_attack(arrays), norm, taken)


def figure(arrays: Mapping[str, np.ndarray], norm: str) -> Figure:
    """Draws the curves of robust accuracy.

    Raises:
        ValueError: there is nothing to score by.
    """
    return optimality.figure(_by_attack(arrays), norm)


def scores(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The optimality of each attack, or what there is not to score by, for JSON."""
    try:
        return {"optimality": optimality.optimality(_by_attack(arrays))}
    except ValueError as error:
        return {"optimality": str(error)}


def _by_attack(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Distances of the images that the model has a label for."""
    labelled = arrays["distances"][~np.isnan(arrays["distances"]).any(axis=1)]
    return {str(name): labelled[:, i] for i, name in enumerate(arrays["stages"])}
