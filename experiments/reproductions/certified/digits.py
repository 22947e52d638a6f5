"""MNIST's ten classes, proved through counts of votes."""

import functools
from collections.abc import Sequence
from typing import Any

from ...studies.bench import ModelRun, each
from ...studies.columns import Cell, at, middle, sheet
from ...studies.study import Row, Scale, Study
from .proofs import (
    by_counts,
    fewer,
    share,
)
from .targets import digit_networks

_RADII = {"l2": 1.0, "linf": 0.1}
"""Of the table, by norm."""


def _runs(scale: Scale) -> list[ModelRun]:
    found = []
    for norm, target in digit_networks(scale).items():
        counts: Any = functools.partial(by_counts, norm=norm)
        found += each([target], counts, fewer(scale, 500, seconds=5.0), norm=norm)
    return found


def _within(part: float) -> Cell:
    """The share proved within a part of the radius of the row's norm."""
    return lambda row: share(part * _RADII[row["config"]["norm"]])(row)


def _title(rows: Sequence[Row]) -> str:
    return (
        "MNIST, ten classes, one against all: accuracy, and share proved right within "
        f"1.0 in L2 or .1 in Linf, {len(rows[0]['lower'])} test images"
    )


CERTIFIED_MNIST = Study(
    runs=_runs,
    tables={
        "table.md": sheet(
            _title,
            {
                "model": at("method"),
                "clean": at("clean"),
                "half the radius": _within(0.5),
                "the radius": _within(1.0),
                "median distance": middle("lower"),
                "seconds to prove": lambda row: f"{row['seconds']:.0f}",
            },
        )
    },
)
