"""Table and figure of 01 networks beside simple convolutional networks."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from experiments import published
from experiments.reproductions.paper_a import groups
from experiments.reproductions.paper_a.cnn import ADAPTIVE, STUDY, comparison_runs
from experiments.reproductions.plan import Reproduction, Results, write_table
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import attack_figures, figures, tables

Kept = Mapping[str, Any]


def report(results: Results, folder: pathlib.Path, runs_dir: pathlib.Path) -> str:
    """Draws the table and the figure.

    Args:
        results: of each noise.
        folder: where to write table.md and distances.png.
        runs_dir: not looked at.

    Returns:
        The table in markdown.
    """
    del runs_dir
    comparisons = [found for (found,) in results.values()]
    ways: dict[str, dict[str, np.ndarray]] = {
        "HopSkipJump, radius .01": {},
        "radius adaptive": {},
        "nearest of all attacks": {},
    }
    for found in comparisons:
        for label, kept in found["pieces"].items():
            drawn = groups.distances(kept, STUDY), groups.distances(kept, ADAPTIVE)
            every = (*drawn, nearest(kept, kept))
            for way, distances in zip(ways, every, strict=True):
                ways[way][label] = distances
    with run_files.replacing(folder / "distances.png") as path:
        figures.write(attack_figures.distortions(ways, "L2"), path)
    rows = [_row(found, label) for found in comparisons for label in found["pieces"]]
    return write_table(_table(comparisons[0], rows), folder)


def nearest(kept: Kept, pieces: Iterable[str]) -> np.ndarray:
    """How near any of some attacks came to each image, float [n].

    Args:
        kept: a model's results by piece.
        pieces: which of them.
    """
    return np.min([groups.distances(kept, piece) for piece in pieces], axis=0)


def _row(found: Kept, label: str) -> list[Any]:
    kept = found["pieces"][label]
    shares = np.array(
        [record["adversarial_accuracy"][-1] for record in found["records"][label]]
    )
    errors = np.std(shares, axis=0, ddof=1) / np.sqrt(len(shares))
    known = published.SUBSTITUTE_0V1.get(label)
    inside = [piece for piece in kept if piece not in (STUDY, ADAPTIVE)]
    return [
        label,
        _members(found["config"]["models"][label]),
        found["accuracy"][label],
        *(
            f"{mean:.3f} ± {error:.3f}"
            for mean, error in zip(shares.mean(axis=0), errors, strict=True)
        ),
        known.text if known else "-",
        float(np.median(groups.distances(kept, STUDY))),
        float(np.median(groups.distances(kept, ADAPTIVE))),
        f"{np.median(nearest(kept, inside)):.4f} ({', '.join(inside)})",
        float(np.median(nearest(kept, kept))),
    ]


def _members(settings: Kept) -> int:
    """How many networks vote, of either kind of training."""
    solver = settings.get("solver")
    return int(solver["votes"] if solver else settings["members"])


def _table(first: Kept, rows: list[list[Any]]) -> tables.Table:
    protocol = first["config"]["protocol"]["substitute"]
    header = [
        "model",
        "votes",
        "test",
        *(f"substitute {epsilon:.4g}" for epsilon in protocol["settings"]["epsilons"]),
        "authors",
        "L2: study",
        "L2: radius adaptive",
        "L2: white box",
        "L2: nearest of all",
    ]
    title = (
        f"Beside simple CNNs: accuracy, through {protocol['seeds']} substitutes ± "
        f"standard error, and median L2 of the adversaries of "
        f"{len(first['indices'])} images"
    )
    return tables.Table(title, header, rows)


CNN = Reproduction(comparison_runs, report)
