"""Images and their adversaries by model: what a distance in L2 looks like."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zeroone_jax import runs
from zeroone_jax.evaluation import attack_figures

_FILE = "pictures.npz"
_SHOWN = 4


def keep(
    folder: pathlib.Path,
    shape: tuple[int, ...],
    x: np.ndarray,
    found: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Keeps the first images with the study's adversaries and the nearest in L2.

    Args:
        folder: the run directory.
        shape: of an image.
        x: float [n, ...], the common images as the model takes them.
        found: what the attacks gave, by piece.
    """
    count = min(_SHOWN, len(x))
    near = [
        piece
        for piece in found.values()
        if "adversary" in piece and piece["norm"] == "l2"
    ]
    best = np.argmin([piece["distance"][:count] for piece in near], axis=0)
    # Some attacks take images as rows, whatever the model takes.
    nearest = [near[k]["adversary"][n].reshape(shape) for n, k in enumerate(best)]
    arrays = {
        "image": x[:count].reshape(count, *shape),
        "study": found["study"]["adversary"][:count].reshape(count, *shape),
        "nearest": np.stack(nearest),
    }
    with runs.replacing(folder / _FILE) as partial:
        np.savez(partial, allow_pickle=False, **arrays)


def grid(models: Mapping[str, Mapping[str, Any]], runs_dir: pathlib.Path) -> Any:
    """Draws the adversaries of the models trained without noise.

    Args:
        models: the result of each.
        runs_dir: where the run directories lie.

    Returns:
        The figure; None where no run directory is there any more.
    """
    kept = {}
    for name, found in models.items():
        path = runs_dir / found["run"] / _FILE
        if "noise" not in name and path.exists():
            kept[name] = runs.read_npz(path, "remove it to leave these pictures out")
    return _grid(kept) if kept else None


def _grid(kept: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    pictures, titles = [], []
    for name, arrays in kept.items():
        row, texts = [], []
        for place, image in enumerate(arrays["image"]):
            row.append(image)
            texts.append("" if place else name)
            for way in ("study", "nearest"):
                adversary = arrays[way][place]
                row.append(adversary)
                texts.append(f"{way} {np.linalg.norm(adversary - image):.2f}")
        pictures.append(row)
        titles.append(texts)
    return attack_figures.picture_grid(pictures, titles)
