"""The share of images that stay right at every radius: proved, and under attack."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from zeroone_jax.evaluation.drawing import COLOURS, plain
from zeroone_jax.evaluation.tables import Table

_TEXT_SIZE = 13
_DASHES = ("-", "--", "-.", ":")
_SHARE = 0.05


def shares(distances: np.ndarray, radii: Sequence[float] | np.ndarray) -> np.ndarray:
    """Counts the images that no adversary within a radius is known of, or can exist.

    Args:
        distances: float [n], of each image: a lower bound for what is proved, the
            nearest adversary's distance for what an attack leaves; 0 for images that
            are wrong, infinite where there is none.
        radii: float [m].

    Returns:
        float [m] in [0,1], the share of distances above each radius.

    Raises:
        ValueError: there are no images, or a distance is negative or not a number.

    Example:
        >>> shares(np.array([0.0, 0.2, np.inf]), [0.0, 0.1, 0.2]).round(2)
        array([0.67, 0.67, 0.33])
    """
    if distances.ndim != 1 or not len(distances):
        raise ValueError(f"distances have shape {distances.shape}, but must be [n]")
    if not (distances >= 0).all():
        wrong = distances[~(distances >= 0)][0]
        raise ValueError(f"a distance is {wrong}, but must be at least 0")
    return np.mean(distances[:, None] > np.asarray(radii)[None, :], axis=0)


def radii(curves: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Chooses radii from 0 to where hardly an image is left.

    Args:
        curves: distances [n] by name.
        count: how many radii.

    Returns:
        float [count], evenly spaced from 0 to the 95th percentile of all finite
        distances; to 1 where none is finite.
    """
    finite = np.concatenate([one[np.isfinite(one)] for one in curves.values()])
    if not len(finite):
        return np.linspace(0, 1, count)
    farthest = max(float(np.quantile(finite, 1 - _SHARE)), 1e-6)
    return np.linspace(0, farthest, count)


def table(
    curves: Mapping[str, np.ndarray], at: Sequence[float] | np.ndarray, norm: str
) -> Table:
    """Tabulates the shares.

    Args:
        curves: distances [n] by name.
        at: the radii.
        norm: how distance is measured.

    Returns:
        A table with a row for each radius.
    """
    columns = [shares(distances, at) for distances in curves.values()]
    rows = [
        [f"{radius:.4g}", *(float(column[place]) for column in columns)]
        for place, radius in enumerate(at)
    ]
    return Table("Share of images right within a radius", [norm, *curves], rows)


def figure(curves: Mapping[str, np.ndarray], norm: str) -> Figure:
    """Draws the shares against the radius.

    Args:
        curves: distances [n] by name; what is proved first, so that it lies under
            what attacks leave.
        norm: how distance is measured, for the axis.

    Returns:
        The figure.
    """
    at = radii(curves, 400)
    drawn = Figure(figsize=(8, 5), layout="constrained")
    axes = drawn.subplots()
    for place, (name, distances) in enumerate(curves.items()):
        axes.plot(
            at,
            shares(distances, at),
            color=COLOURS[place % len(COLOURS)],
            ls=_DASHES[place % len(_DASHES)],
            lw=2,
            label=name,
        )
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, at[-1])
    plain(axes, _TEXT_SIZE, f"radius ({norm})", "share of images right")
    axes.legend(fontsize=_TEXT_SIZE - 1, frameon=False)
    return drawn
