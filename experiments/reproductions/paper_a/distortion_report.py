"""Tables and figures of paper A's least distortions."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments import published
from experiments.reproductions.paper_a import distortion_pictures
from experiments.reproductions.paper_a.distortion import distortion_runs
from experiments.reproductions.plan import Reproduction, Results
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import attack_figures, figures, tables

Found = Mapping[str, Any]

_STUDY = "study"
_RADIUS = "radius "


def report(results: Results, folder: pathlib.Path, runs_dir: pathlib.Path) -> str:
    """Draws the three tables, and the figure of what each attack leaves.

    Args:
        results: of each model.
        folder: where to write table.md, distortion.png and, where the run directories
            are there, adversaries.png.
        runs_dir: where they lie.

    Returns:
        The tables in markdown.
    """
    models = {name: found for name, (found,) in results.items()}
    parts = [paper_table(models), tuned_table(models), exact_table(models)]
    text = "\n\n".join(map(tables.markdown, parts))
    with run_files.replacing(folder / "table.md") as path:
        path.write_text(text + "\n")
    with run_files.replacing(folder / "distortion.png") as path:
        figures.write(_figure(models), path)
    pictures = distortion_pictures.grid(models, runs_dir)
    if pictures is not None:
        with run_files.replacing(folder / "adversaries.png") as path:
            figures.write(pictures, path)
    return text


def paper_table(models: Mapping[str, Found]) -> tables.Table:
    """The attacks as the paper and its authors ran them.

    Args:
        models: the result of each.
    """
    rows = []
    for name, found in models.items():
        row: list[Any] = [_named(name, models)]
        for piece in ("boundary", "hop_skip_jump", "hop_skip_jump linf"):
            row.append(_repeated(_numbers(found["pieces"][piece]["distance"])))
        known = published.HOP_SKIP_JUMP_0V1.get(name)
        row += [_median(found, _STUDY), known.text if known else "-"]
        rows.append(row)
    repeats, images = np.shape(_first(models)["pieces"]["boundary"]["distance"])
    header = [
        "model",
        "Boundary L2: mean / median / mean of least",
        "HopSkipJump L2",
        "HopSkipJump Linf",
        "study of 2021: median L2",
        "authors",
    ]
    title = (
        f"As the paper: {images} images, {repeats} times from noise; as the study, "
        f"{len(_first(models)['indices'])} images from the other class (means are of "
        "the images for which noise found a start)"
    )
    return tables.Table(title, header, rows)


def tuned_table(models: Mapping[str, Found]) -> tables.Table:
    """The same attack at every radius, and the nearest that any attack came.

    Args:
        models: the result of each.
    """
    radii = [name for name in _first(models)["pieces"] if name.startswith(_RADIUS)]
    rows = []
    for name, found in models.items():
        medians = {radius: _median(found, radius) for radius in radii}
        others = {
            piece: _median(found, piece)
            for piece in found["pieces"]
            if piece in ("fab l2", "deep_fool l2", "polished")
        }
        rows.append(
            [
                _named(name, models),
                _median(found, _STUDY),
                *medians.values(),
                _listed(others),
                float(np.median(nearest(found))),
                _median(found, "linf radius adaptive"),
            ]
        )
    header = [
        "model",
        "default .01",
        *radii,
        "other attacks",
        "nearest of all",
        "Linf, adaptive",
    ]
    count = len(_first(models)["indices"])
    title = f"HopSkipJump's radius tuned, and any attack: median L2, {count} images"
    return tables.Table(title, header, rows)


def exact_table(models: Mapping[str, Found]) -> tables.Table:
    """What is certain of sign networks.

    Args:
        models: the result of each.
    """
    rows, count = [], 0
    for name, found in models.items():
        exact = found["exact"]
        if exact is None:
            continue
        count = len(exact["lower"])
        alone = [
            np.median(_numbers(found)[_numbers(found) > 0])
            for found in (exact["votes_lower"], exact["votes"])
        ]
        lower, infimum = _numbers(exact["lower"]), _numbers(exact["infimum"])
        best = nearest(found)[: len(lower)]
        rows.append(
            [
                name,
                f"{alone[0]:.4f} - {alone[1]:.4f}",
                float(np.median(_numbers(exact["certified"]))),
                float(np.median(lower)),
                float(np.median(np.minimum(infimum, best))),
                f"{exact['closed'][0]:.0%}",
                float(np.median(best)),
                f"{np.median(_numbers(_distances(found, _STUDY))[: len(lower)]):.4f}",
            ]
        )
    header = [
        "model",
        "a vote",
        "majority: certified",
        "lower bound",
        "best found",
        "closed",
        "nearest of all attacks",
        "study of 2021",
    ]
    title = f"Sign networks measured: median L2 of {count} images, bound - best"
    return tables.Table(title, header, rows)


def nearest(found: Found) -> np.ndarray:
    """How near any attack in L2 came to each common image, float [n]."""
    return np.min(
        [
            _numbers(piece["distance"])
            for name, piece in found["pieces"].items()
            if found["norms"][name] == "l2" and np.ndim(piece["distance"]) == 1
        ],
        axis=0,
    )


def _repeated(repeats: np.ndarray) -> str:
    """Mean, median and mean of the least of [repeats, n]; without a start infinite."""
    least = repeats.min(axis=0)
    mean = np.mean(repeats[np.isfinite(repeats)])
    least_mean = np.mean(least[np.isfinite(least)])
    text = f"{mean:.3f} / {np.median(repeats):.3f} / {least_mean:.3f}"
    without = float(np.mean(~np.isfinite(repeats)))
    return f"{text} ({without:.0%} without a start)" if without else text


def _figure(models: Mapping[str, Found]) -> Any:
    bars = {
        "HopSkipJump, default": {
            name: _numbers(_distances(found, _STUDY)) for name, found in models.items()
        },
        "nearest of all attacks": {
            name: nearest(found) for name, found in models.items()
        },
        "of the exact search": {
            name: _numbers(found["exact"]["infimum"])
            for name, found in models.items()
            # Where it closed few, attacks found nearer ones.
            if found["exact"] is not None and found["exact"]["closed"][0] >= 0.5
        },
    }
    return attack_figures.distortions(bars, "L2")


def _named(name: str, models: Mapping[str, Found]) -> str:
    """A model's name, and how much it met if that is less than the first model did."""
    (repeats, count), usual = map(_effort, (models[name], _first(models)))
    if (repeats, count) == usual:
        return name
    return f"{name} (repeats {repeats}, images {count})"


def _effort(found: Found) -> tuple[int, int]:
    return len(_distances(found, "boundary")), len(found["indices"])


def _first(models: Mapping[str, Found]) -> Found:
    return next(iter(models.values()))


def _distances(found: Found, piece: str) -> Any:
    return found["pieces"][piece]["distance"]


def _median(found: Found, piece: str) -> float:
    return float(np.median(_numbers(_distances(found, piece))))


def _numbers(values: Sequence[Any]) -> np.ndarray:
    """An array of what JSON kept; None was infinite."""
    array = np.array(values, dtype=float)
    return np.where(np.isnan(array), np.inf, array)


def _listed(medians: Mapping[str, float]) -> str:
    texts = (
        f"{name.removesuffix(' l2')} {value:.4f}" for name, value in medians.items()
    )
    return ", ".join(texts)


DISTORTION = Reproduction(distortion_runs, report)
