"""Tables and figure of the study of 2021 on pairs of classes."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments import published
from experiments.reproductions.paper_a import groups
from experiments.reproductions.paper_a.pairs import (
    ADAPTIVE,
    FIRST_PAIR,
    SEARCHES,
    STUDY,
    pair_runs,
    search_runs,
)
from experiments.reproductions.plan import Reproduction, Results, write_table
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import attack_figures, figures, tables

Pairs = Mapping[str, Mapping[str, Any]]
Medians = Mapping[str, Mapping[str, np.ndarray]]

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


def report_searches(
    results: Results, folder: pathlib.Path, runs_dir: pathlib.Path
) -> str:
    """Draws the table of both searches on some pairs.

    Args:
        results: of each pair.
        folder: where to write table.md.
        runs_dir: not looked at.

    Returns:
        The table in markdown.
    """
    del runs_dir
    pairs = {name: found for name, (found,) in results.items()}
    header, rows = _summary(pairs, {way: _medians(pairs, way) for way in _WAYS})
    names = ", ".join(name.removesuffix(f"-{SEARCHES}") for name in pairs)
    title = f"Both searches on {len(pairs)} pairs ({names}): {_measured(pairs)}"
    return write_table(tables.Table(title, header, rows), folder)


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


def _together(pairs: Pairs, medians: Medians) -> tables.Table:
    header, rows = _summary(pairs, medians)
    header.append("study: authors")
    for row in rows:
        row.append(published.HOP_SKIP_JUMP_PAIRS[row[0]].text)
    if FIRST_PAIR in pairs:
        header += [f"{FIRST_PAIR}: {way}" for way in ("study", "authors", "adaptive")]
        where = list(pairs).index(FIRST_PAIR)
        for row in rows:
            row += [
                f"{medians[STUDY][row[0]][where]:.3f}",
                published.HOP_SKIP_JUMP_0V1[row[0]].text,
                f"{medians[ADAPTIVE][row[0]][where]:.3f}",
            ]
    title = f"HopSkipJump on {len(pairs)} pairs of classes: {_measured(pairs)}"
    return tables.Table(title, header, rows)


def _measured(pairs: Pairs) -> str:
    images = len(next(iter(pairs.values()))["indices"])
    return f"mean over pairs, ± standard error, of the median L2 of {images} images"


def _summary(pairs: Pairs, medians: Medians) -> tuple[list[str], list[list[Any]]]:
    """A header, and a row for each model of the pairs."""
    header = ["model", "test"]
    rows: list[list[Any]] = [
        [model, float(np.mean([found["accuracy"][model] for found in pairs.values()]))]
        for model in medians[STUDY]
    ]
    for way, column in ((STUDY, "study"), (ADAPTIVE, "adaptive")):
        header += [f"{column}: mean", f"{column}: largest on"]
        winners = largest(medians[way])
        for place, row in enumerate(rows):
            wins = int(np.sum(winners == place))
            row += [_mean(medians[way][row[0]]), f"{wins} of {len(pairs)}"]
    return header, rows


def _mean(medians: np.ndarray) -> str:
    if len(medians) == 1:
        return f"{medians[0]:.3f}"
    error = np.std(medians, ddof=1) / np.sqrt(len(medians))
    return f"{np.mean(medians):.3f} ± {error:.3f}"


def _every_pair(pairs: Pairs, medians: Medians) -> tables.Table:
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


def _figure(names: list[str], medians: Medians) -> Any:
    """Pairs in the order of the first model's median in the study."""
    order = np.argsort(next(iter(medians[STUDY].values())), kind="stable")
    panels = {
        _WAYS[way]: {model: values[order] for model, values in found.items()}
        for way, found in medians.items()
    }
    ordered = [names[place] for place in order]
    return attack_figures.medians(panels, "L2", ordered, "pair of classes")


PAIRS = Reproduction(pair_runs, report)
SEARCHES_ON_PAIRS = Reproduction(search_runs, report_searches)
