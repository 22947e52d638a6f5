"""Paper A's sensitivity of training (A5): rows, features, iterations and step."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments import published, train_zero_one
from experiments.configs.zero_one import Experiment
from experiments.reproductions.plan import (
    Place,
    Reproduction,
    Results,
    Run,
    Scale,
    write_table,
)
from zeroone_jax import coordinate_descent
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import tables

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
_CHECKPOINT_EVERY = 500


@dataclasses.dataclass(frozen=True)
class VotesRun(Run):
    """Training of some votes under one setting.

    Attributes:
        method: the search, the setting and its value.
        experiment: how they are trained.
    """

    method: str
    experiment: Experiment

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.experiment.seed

    def settings(self) -> dict[str, Any]:
        """The experiment's."""
        return dataclasses.asdict(self.experiment)

    def fill(self, run: run_files.RunDirectory, place: Place) -> None:
        """Trains, and keeps each vote's accuracies."""
        train_zero_one.train(self.experiment, run, _CHECKPOINT_EVERY, place.data_dir)


def votes_runs(scale: Scale) -> Sequence[VotesRun]:
    """Lists every value of every setting, for both searches."""
    return [
        VotesRun(
            _name(search, setting, value),
            Experiment(solver=_solver(preset, setting, value, scale)),
        )
        # Two shards get as many of the slower search's runs.
        for search, preset in SEARCHES.items()
        for setting, values in _values(scale).items()
        for value in values
    ]


def _values(scale: Scale) -> Mapping[str, tuple[float, ...]]:
    return _SMOKE if scale == "smoke" else VALUES


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


def report(results: Results, folder: pathlib.Path, runs_dir: pathlib.Path) -> str:
    """Draws the table.

    Args:
        results: of each setting.
        folder: where to write.
        runs_dir: not looked at.

    Returns:
        The table in markdown.
    """
    del runs_dir
    rows = []
    for setting, values in VALUES.items():
        for value in values:
            cells = [
                _cell(results.get(_name(search, setting, value), []), split)
                for search in SEARCHES
                for split in ("train", "test")
            ]
            known = published.SENSITIVITY_0V1.get((setting, value))
            if any(cells):
                rows.append(
                    [f"{setting} {value}", *cells, known.text if known else "-"]
                )
    header = ["setting"]
    header += [
        f"{search}: {split}" for search in SEARCHES for split in ("train", "test")
    ]
    return write_table(
        tables.Table(
            "A vote's accuracy on CIFAR-10, class 0 against 1: mean ± deviation",
            [*header, "authors' blind: train / test"],
            rows,
        ),
        folder,
    )


def _cell(found: Sequence[Mapping[str, Any]], split: str) -> str | None:
    if not found:
        return None
    votes = found[0]["accuracy"][split]["votes"]
    if len(votes) == 1:
        return f"{votes[0]:.3f}"
    return f"{np.mean(votes):.3f} ± {np.std(votes, ddof=1):.3f}"


SENSITIVITY = Reproduction(votes_runs, report)
