"""Tables and figure of the study of 2021 on pairs of classes."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.reproductions.paper_a import groups
from experiments.reproductions.paper_a.pairs import (
    ADAPTIVE,
    FIRST_PAIR,
    STUDY,
    pair_runs,
)
from experiments.reproductions.plan import Reproduction, Results, write_table
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import attack_figures, figures, published, tables

Pairs = Mapping[str, Mapping[str, Any]]

_WAYS = {
    STUDY: "HopSkipJump, radius .01 as in the study",
    ADAPTIVE: "HopSkipJump, radius adaptive",
}


def report(results: Results, folder: pathlib.Path, runs_dir: pathlib.Path) -> str:
    """Draws the table of all pairs together, that of each, and the figure.

    Args:
        results: of each pair.
        folder: where to write table.md, pairs.md and pairs.png.
        runs_dir: not looked at.

    Returns:
        The first table in markdown.
    """
    del runs_dir
    pairs = {name: found for name, (found,) in results.items()}
    medians = {way: _medians(pairs, way) for way in _WAYS}
    with run_files.replacing(folder / "pairs.md") as path:
        text = tables.markdown(_every_pair(pairs, medians))
        path.write_text(text + "\n", encoding="utf-8")
    with run_files.replacing(folder / "pairs.png") as path:
        figures.write(_figure(list(pairs), medians), path)
    return write_table(_together(pairs, medians), folder)


def largest(medians: Mapping[str, np.ndarray]) -> np.ndarray:
    """Tells which model's median is the largest, by its place, i [m].

    Args:
        medians: by model, float [m], of every pair.
    """
    return np.argmax(list(medians.values()), axis=0)


def _medians(pairs: Pairs, way: str) -> dict[str, np.ndarray]:
    """Medians by model, float [pairs]."""
    models = next(iter(pairs.values()))["pieces"]
    return {
        model: np.array(
            [
                np.median(groups.distances(found["pieces"][model], way))
                for found in pairs.values()
            ]
        )
        for model in models
    }


def _together(
    pairs: Pairs, medians: Mapping[str, Mapping[str, np.ndarray]]
) -> tables.Table:
    first = next(iter(pairs.values()))
    rows = []
    for place, model in enumerate(first["pieces"]):
        row: list[Any] = [
            model,
            float(np.mean([found["accuracy"][model] for found in pairs.values()])),
        ]
        for way, known in (
            (STUDY, published.HOP_SKIP_JUMP_PAIRS),
            (ADAPTIVE, None),
        ):
            wins = int(np.sum(largest(medians[way]) == place))
            row += [_mean(medians[way][model]), f"{wins} of {len(pairs)}"]
            if known is not None:
                row.append(known[model].text)
        if FIRST_PAIR in pairs:
            where = list(pairs).index(FIRST_PAIR)
            row += [
                f"{medians[STUDY][model][where]:.3f}",
                published.HOP_SKIP_JUMP_0V1[model].text,
                f"{medians[ADAPTIVE][model][where]:.3f}",
            ]
        rows.append(row)
    header = [
        "model",
        "test",
        "study: mean",
        "study: largest on",
        "authors",
        "adaptive: mean",
        "adaptive: largest on",
    ]
    if FIRST_PAIR in pairs:
        header += [f"{FIRST_PAIR}: {way}" for way in ("study", "authors", "adaptive")]
    title = (
        f"HopSkipJump on {len(pairs)} pairs of classes: mean over pairs, ± standard "
        f"error, of the median L2 of {len(first['indices'])} images"
    )
    return tables.Table(title, header, rows)


def _mean(medians: np.ndarray) -> str:
    if len(medians) == 1:
        return f"{medians[0]:.3f}"
    error = np.std(medians, ddof=1) / np.sqrt(len(medians))
    return f"{np.mean(medians):.3f} ± {error:.3f}"


def _every_pair(
    pairs: Pairs, medians: Mapping[str, Mapping[str, np.ndarray]]
) -> tables.Table:
    models = list(medians[STUDY])
    rows = []
    for place, (name, found) in enumerate(pairs.items()):
        row: list[Any] = [f"{name}, {' / '.join(found['class_names'])}"]
        row += [f"{found['accuracy'][model]:.3f}" for model in models]
        for way in _WAYS:
            row += [f"{medians[way][model][place]:.3f}" for model in models]
            row.append(models[largest(medians[way])[place]])
        rows.append(row)
    header = ["pair", *(f"{model}: test" for model in models)]
    for way in _WAYS:
        header += [f"{model}: {way}" for model in models] + ["largest"]
    return tables.Table("Median L2 of HopSkipJump, pair by pair", header, rows)


def _figure(names: list[str], medians: Mapping[str, Mapping[str, np.ndarray]]) -> Any:
    """Pairs in the order of the first model's median in the study."""
    order = np.argsort(next(iter(medians[STUDY].values())), kind="stable")
    panels = {
        _WAYS[way]: {model: values[order] for model, values in found.items()}
        for way, found in medians.items()
    }
    ordered = [names[place] for place in order]
    return attack_figures.medians(panels, "L2", ordered, "pair of classes")


PAIRS = Reproduction(pair_runs, report)
