"""The tables and figures of studies that compare methods under attack."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroone_jax.evaluation import robust_figures, tables
from zeroone_jax.evaluation.plans import PAPER, STRONGEST

from ...published import Published
from ...studies.columns import Columns, at, spread, table
from ...studies.study import Drawn, Row, Scale, Study

SENSE = "sense_"
"""What names of SENSE's runs begin with; the confidence follows."""

_PUBLISHED = {"pgd": "PGD", "trades": "TRADES", "max_margin": "MMA", "friendly": "FAT"}


def study(
    runs: Any,
    title: str,
    published: Mapping[str, Any] | None = None,
    cost: Columns | None = None,
    scales: tuple[Scale, ...] = Study.scales,
) -> Study:
    """Makes a study of methods.

    Args:
        runs: makes the runs of a scale.
        title: of the table.
        published: what others measured, by the method's name there.
        cost: columns that tell what each method cost.
        scales: those that there are runs for.
    """
    made = functools.partial(_table, title, published or {}, cost or {})
    return Study(
        runs=runs,
        tables={"table.md": made},
        figures={"confidence.png": _confidence, "freezing.png": _freezing},
        scales=scales,
    )


def _table(
    title: str, published: Mapping[str, Any], cost: Columns, rows: Sequence[Row]
) -> list[tables.Table]:
    """A row a method: means over seeds, and deviations where there are several."""
    methods: dict[str, list[Row]] = {}
    for row in rows:
        methods.setdefault(row["method"], []).append(row)
    # Attacks in the plan's order, each on its number of images.
    attacks = dict.fromkeys(
        (found["attack"], found["images"])
        for of_seeds in methods.values()
        for row in of_seeds
        for found in row["rows"]
        if found["attack"] not in (PAPER, STRONGEST)
    )
    columns: Columns = {
        "method": at("method"),
        "seeds": lambda row: len(row["seeds"]),
        **cost,
        "natural": lambda row: _mean(
            [seed["accuracy"]["test"] for seed in row["seeds"]]
        ),
        **{
            f"{attack} ({images})": functools.partial(_under, attack, images)
            for attack, images in attacks
        },
        "strongest": lambda row: _mean(_shares(_with_suite(row), STRONGEST)),
        "gap to the paper's own": _gap,
        "others: natural / AutoAttack": functools.partial(_others, published),
    }
    grouped = [{"method": name, "seeds": seeds} for name, seeds in methods.items()]
    return [table(title, grouped, columns)]


def _shares(
    seeds: Sequence[Row], attack: str, images: int | None = None
) -> list[float]:
    return [
        found["accuracy"]
        for seed in seeds
        for found in seed["rows"]
        if found["attack"] == attack and images in (None, found["images"])
    ]


def _under(attack: str, images: int, row: Row) -> str | None:
    return _mean(_shares(row["seeds"], attack, images))


def _with_suite(row: Row) -> Sequence[Row]:
    """Only seeds that met the suite have a strongest number worth the name."""
    met = [seed for seed in row["seeds"] if _shares([seed], "auto_attack")]
    return met or row["seeds"]


def _gap(row: Row) -> float:
    own, strongest = (
        np.mean(_shares(_with_suite(row), attack)) for attack in (PAPER, STRONGEST)
    )
    return float(own - strongest)


def _others(published: Mapping[str, Any], row: Row) -> str:
    method = row["method"]
    # Others evaluated one network of the paper, that of its main run.
    name = "SENSE" if method == f"{SENSE}0.5" else _PUBLISHED.get(method, "")
    known: Mapping[str, Published] = published.get(name, {})
    return f"{known['natural'].text} / {known[STRONGEST].text}" if known else "-"


def _mean(shares: Sequence[float]) -> str | None:
    return spread(np.array(shares), 4)


def _confidence(rows: Sequence[Row]) -> Drawn:
    """Draws SENSE over its confidence, where there are several."""
    sweep: dict[float, Row] = {}
    for row in rows:
        confidence = row["method"].removeprefix(SENSE)
        if confidence[0].isdigit():
            sweep.setdefault(float(confidence), row)
    if len(sweep) < 2:
        return None
    drawn = []
    for attack in (PAPER, STRONGEST):
        found = [
            next(found for found in row["rows"] if found["attack"] == attack)
            for _, row in sorted(sweep.items())
        ]
        values = (
            np.array([one[name] for one in found])
            for name in ("natural_accuracy", "accuracy", "standard_error")
        )
        drawn.append(robust_figures.Sweep(attack, np.array(sorted(sweep)), *values))
    return robust_figures.confidence_sweep(drawn)


def _freezing(rows: Sequence[Row]) -> Drawn:
    """Draws how SENSE trained, where the runs have told epoch by epoch."""
    courses = []
    for row in rows:
        confidence = row["method"].removeprefix(SENSE)
        if confidence == row["method"] or row["config"]["seed"] != 0:
            continue
        if epochs := row.get("epochs"):
            values = (
                np.array([epoch[name] for epoch in epochs])
                for name in ("epoch", "frozen", "loss")
            )
            courses.append(robust_figures.Freezing(float(confidence), *values))
    return robust_figures.freezing(courses) if courses else None
