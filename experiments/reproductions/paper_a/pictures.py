"""Images and their adversaries by model: what a distance in L2 looks like."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from zeroone_jax import runs
from zeroone_jax.evaluation import attack_figures

from ... import pieces
from ...studies.attacking import STUDY, Found, nearest_adversaries
from ...studies.study import Drawn, Row

_FILE = "pictures.npz"
_SHOWN = 4


def keep(
    folder: pathlib.Path,
    shape: tuple[int, ...],
    x: np.ndarray,
    found: Mapping[str, Found],
) -> None:
    """Keeps the first images with the study's adversaries and the nearest in L2.

    Args:
        folder: the run directory.
        shape: of an image.
        x: float [n, ...], the common images as the model takes them.
        found: what the attacks gave, by piece.
    """
    arrays = {
        "image": x,
        "study": found[STUDY]["adversary"],
        "nearest": nearest_adversaries(found, "l2"),
    }
    shown = {name: a[:_SHOWN].reshape(-1, *shape) for name, a in arrays.items()}
    pieces.write(folder / _FILE, shown)


def grid(rows: Sequence[Row]) -> Drawn:
    """Draws the adversaries of the models trained without noise, if they are kept."""
    pictures, titles = [], []
    for row in rows:
        path = row["folder"] / _FILE
        if "noise" in row["method"] or not path.exists():
            continue
        kept = runs.read_npz(path, "remove it to leave these pictures out")
        line, texts = [], []
        for place, image in enumerate(kept["image"]):
            line.append(image)
            texts.append("" if place else row["method"])
            for way in ("study", "nearest"):
                adversary = kept[way][place]
                line.append(adversary)
                texts.append(f"{way} {np.linalg.norm(adversary - image):.2f}")
        pictures.append(line)
        titles.append(texts)
    if not pictures:
        return None
    return attack_figures.picture_grid(pictures, titles)
