"""What every reproduction is: runs to make, and a report to draw of their results."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from experiments import train_network
from experiments.configs.network import Experiment
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import tables

Scale = Literal["smoke", "laptop", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "laptop", "paper")

Results = Mapping[str, list[dict[str, Any]]]
"""The results of each method, one for each seed."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of a reproduction.

    Attributes:
        method: what tables call it; runs of one method differ in their seeds.
        experiment: its settings.
    """

    method: str
    experiment: Experiment

    @property
    def name(self) -> str:
        """Method and seed, as files are called."""
        return f"{self.method}-seed{self.experiment.seed}"

    @property
    def directory(self) -> str:
        """The run directory's name, the same in every reproduction."""
        settings = json.dumps(train_network.as_json(self.experiment), sort_keys=True)
        digest = hashlib.sha256(settings.encode()).hexdigest()[:10]
        return f"{self.name}-{digest}"


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """A table or figure of a paper.

    Attributes:
        runs: makes the runs of a scale, the most important first.
        report: writes tables and figures of the results into a folder, and gives the
            text to show; takes the results, that folder and the one of the run
            directories, where the trained networks lie.
    """

    runs: Callable[[Scale], list[Run]]
    report: Callable[[Results, pathlib.Path, pathlib.Path], str]


def write_table(table: tables.Table, folder: pathlib.Path) -> str:
    """Writes table.md, and gives its text."""
    text = tables.markdown(table)
    with run_files.replacing(folder / "table.md") as path:
        path.write_text(text + "\n")
    return text


def stored(folder: pathlib.Path, runs: list[Run]) -> dict[str, list[dict[str, Any]]]:
    """Reads the results that there are.

    Args:
        folder: where they lie, a file for each run.
        runs: the runs, in the order of the table.

    Returns:
        Each method's results; methods without any are left out.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        path = folder / f"{run.name}.json"
        if path.exists():
            results.setdefault(run.method, []).append(json.loads(path.read_text()))
    return results


def shared(runs: list[Run], share: str) -> Iterator[Run]:
    """Picks the runs of one process of several.

    Args:
        runs: all of them.
        share: "1/2" is the first of two processes.

    Raises:
        ValueError: the share is not of that form.
    """
    try:
        part, parts = map(int, share.split("/"))
        if not 1 <= part <= parts:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"share is {share!r}, but must be like 1/2, the first of two processes"
        ) from None
    yield from runs[part - 1 :: parts]
