"""How near attacks for the least distance come to the best of all: AttackBench's score.

Cinà et al. 2025, "AttackBench: Evaluating gradient-based attacks for adversarial
examples", section 3. The robust accuracy curve of an attack is the share of images that
it does not break within a radius (`certified_accuracy.shares`); its area up to a radius
r is the mean of `min(distance, r)`. The best curve is that of the nearest adversary of
all attacks, image by image.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from zeroone_jax.evaluation.certified_accuracy import shares
from zeroone_jax.evaluation.drawing import COLOURS, plain
from zeroone_jax.evaluation.propagations import Propagations
from zeroone_jax.evaluation.tables import Table

_TEXT_SIZE = 12
_DASHES = ("-", "--", ":")


def nearest(distances: Mapping[str, np.ndarray]) -> np.ndarray:
    """The distance of each image's nearest adversary of all attacks.

    Args:
        distances: float [n] by attack, as `AttackResult.distance`: 0 for images that
            are wrong already, infinite where nothing was found.

    Returns:
        float [n].

    Raises:
        ValueError: there is no attack, a distance is negative or not a number, or
            attacks have different numbers of images.
    """
    if not distances:
        raise ValueError("distances are those of no attack, but one at least is needed")
    shapes = {name: np.shape(one) for name, one in distances.items()}
    if len(set(shapes.values())) > 1 or any(len(one) != 1 for one in shapes.values()):
        raise ValueError(f"distances have shapes {shapes}, but must be [n], the same n")
    for name, one in distances.items():
        if not (np.asarray(one) >= 0).all():
            wrong = np.asarray(one)[~(np.asarray(one) >= 0)][0]
            raise ValueError(f"a distance of {name} is {wrong}, but must be at least 0")
    return np.min([np.asarray(one, np.float64) for one in distances.values()], axis=0)


def optimality(distances: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Scores attacks: 1 where none finds less, 0 for one that finds nothing.

    `1 - (area - best area) / (area of the clean accuracy - best area)`, areas under
    the curves of robust accuracy up to the farthest image's best distance.

    Args:
        distances: as for `nearest`, of the same images in the same norm, with the same
            cap of propagations.

    Returns:
        The score of each attack, in [0,1].

    Raises:
        ValueError: as `nearest`; or no attack broke an image that was right, or all
            those that were broken have one best distance.

    Example:
        >>> near, far = np.array([1.0, 3.0]), np.array([2.0, 3.0])
        >>> optimality({"near": near, "far": far, "never": near + np.inf})
        {'near': 1.0, 'far': 0.5, 'never': 0.0}
    """
    best = nearest(distances)
    broken = best[np.isfinite(best) & (best > 0)]
    if not len(broken):
        raise ValueError("no attack broke an image that was right: nothing to score by")
    radius = float(broken.max())

    def area(distance: np.ndarray) -> float:
        return float(np.mean(np.minimum(distance, radius)))

    least = area(best)
    clean = float(np.mean(best > 0)) * radius
    if clean == least:
        raise ValueError(
            f"the nearest adversary of every image is {radius} away: no curve falls "
            "before the others"
        )
    return {
        name: 1 - (area(np.asarray(one, np.float64)) - least) / (clean - least)
        for name, one in distances.items()
    }


def table(
    distances: Mapping[str, np.ndarray],
    norm: str,
    taken: Mapping[str, Propagations] | None = None,
) -> Table:
    """Tabulates attacks, the best one first.

    Args:
        distances: as for `optimality`.
        norm: in which they are.
        taken: how often each attack ran the model; None if that was not counted.

    Returns:
        A table with a row for each attack.

    Raises:
        ValueError: as `optimality`.
    """
    best = nearest(distances)
    scores = optimality(distances)
    rows = []
    for name in sorted(scores, key=lambda name: -scores[name]):
        one = np.asarray(distances[name])
        counted = [] if taken is None else [str(count) for count in taken[name]]
        rows.append(
            [
                name,
                scores[name],
                float(np.median(one)),
                float(np.mean(np.isfinite(one))),
                *counted,
                float(np.mean(one <= best)),
            ]
        )
    counts = [] if taken is None else ["forward", "backward"]
    header = [
        norm,
        "optimality",
        "median distance",
        "success",
        *counts,
        "nearest of all",
    ]
    return Table("Attacks for the least distance", header, rows)


def figure(distances: Mapping[str, np.ndarray], norm: str) -> Figure:
    """Draws robust accuracy against epsilon, of each attack and of all together.

    Args:
        distances: as for `optimality`.
        norm: in which they are, for the axis.

    Returns:
        The figure, up to 1.1 times the farthest image's best distance; the best attack
        first in its legend, each with its optimality.

    Raises:
        ValueError: as `optimality`.
    """
    best, scores = nearest(distances), optimality(distances)
    radii = np.linspace(0, 1.1 * best[np.isfinite(best)].max(), 400)
    drawn = Figure(figsize=(8, 5), layout="constrained")
    axes = drawn.subplots()
    axes.plot(radii, shares(best, radii), color="0.8", lw=6, label="nearest of all")
    for place, name in enumerate(sorted(scores, key=lambda name: -scores[name])):
        axes.plot(
            radii,
            shares(np.asarray(distances[name]), radii),
            color=COLOURS[place % len(COLOURS)],
            ls=_DASHES[place // len(COLOURS) % len(_DASHES)],
            lw=1.5,
            label=f"{name} ({scores[name]:.3f})",
        )
    axes.set_xlim(0, radii[-1])
    axes.set_ylim(0, 1.02)
    plain(axes, _TEXT_SIZE, f"epsilon ({norm})", "robust accuracy")
    axes.legend(fontsize=_TEXT_SIZE - 2, frameon=False, title="attack (optimality)")
    return drawn
