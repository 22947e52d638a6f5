"""Paper A's sensitivity of training (A5): rows, features, iterations and step."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zeroone_jax import coordinate_descent

from ...configs.zero_one import Data, Experiment
from ...published import SENSITIVITY_0V1
from ...studies.columns import Columns, at, sheet, spread
from ...studies.study import Row, Scale, Study
from ...studies.training_run import TrainingRun

SEARCHES = {"blind": "paper_2020", "fastest": "default"}
VALUES: dict[str, tuple[float, ...]] = {
    "rows": (0.05, 0.25, 0.5, 0.75, 0.9),
    "features": (64, 128, 256),
    "iterations": (1000, 2000, 4000, 8000),
    "step": (0.05, 0.1, 0.2, 0.3, 0.5),
}
"""What is varied, one at a time; the rest is as each search's preset has it."""

_VOTES: dict[Scale, int] = {"smoke": 1, "laptop": 4, "paper": 32}
_SMOKE = {"rows": (0.05,)}


def votes_runs(scale: Scale) -> list[TrainingRun[Experiment]]:
    """Lists every value of every setting, for both searches."""
    varied: Mapping[str, tuple[float, ...]] = _SMOKE if scale == "smoke" else VALUES
    return [
        TrainingRun(
            _name(search, setting, value),
            Experiment(
                data=Data(count=1000 if scale == "smoke" else 0),
                solver=_solver(preset, setting, value, scale),
            ),
        )
        # Two shards get as many of the slower search's runs.
        for search, preset in SEARCHES.items()
        for setting, values in varied.items()
        for value in values
    ]


def _name(search: str, setting: str, value: float) -> str:
    return f"{search}-{setting}-{value}"


def _solver(
    preset: str, setting: str, value: float, scale: Scale
) -> coordinate_descent.Config:
    changes: dict[str, Any] = {setting: value}
    solver = coordinate_descent.PRESETS[preset]()
    if setting == "step":
        # The fastest search tries two steps, in the same ratio whatever the first is.
        first = solver.hidden_steps[0]
        steps = tuple(value * step / first for step in solver.hidden_steps)
        changes = {"hidden_steps": steps}
    changes["votes"] = _VOTES[scale]
    if scale == "smoke":
        changes["iterations"] = 4
    return dataclasses.replace(solver, **changes)


def _varied(rows: Sequence[Row]) -> Iterator[Row]:
    """A row for each value that some search has."""
    found = {row["method"]: row for row in rows}
    for setting, values in VALUES.items():
        for value in values:
            names = {search: _name(search, setting, value) for search in SEARCHES}
            if not found.keys().isdisjoint(names.values()):
                searched = {search: found.get(name) for search, name in names.items()}
                yield {"varied": (setting, value), **searched}


def _votes(search: str, split: str, row: Row) -> str | None:
    return spread(np.array(at(search, "accuracy", split, "votes")(row) or []))


_COLUMNS: Columns = {
    "setting": lambda row: "{} {}".format(*row["varied"]),
    **{
        f"{search}: {split}": functools.partial(_votes, search, split)
        for search in SEARCHES
        for split in ("train", "test")
    },
    "authors' blind: train / test": lambda row: SENSITIVITY_0V1[row["varied"]].text,
}
_TITLE = "A vote's accuracy on CIFAR-10, class 0 against 1: mean ± deviation"
SENSITIVITY = Study(
    runs=votes_runs, tables={"table.md": sheet(_TITLE, _COLUMNS, _varied)}
)
