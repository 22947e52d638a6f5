"""What every reproduction is: runs to make, and a report to draw of their results."""

import abc
import dataclasses
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from experiments import pieces, train_network
from experiments.configs.network import Experiment
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import tables

Scale = Literal["smoke", "laptop", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "laptop", "paper")

Results = Mapping[str, list[dict[str, Any]]]
"""The results of each method, one for each seed."""


class Place(NamedTuple):
    """Where a reproduction works.

    Attributes:
        runs: the folder of the run directories.
        results: the folder of all results.
        data_dir: folder of prepared data sets; None for the usual one.
    """

    runs: pathlib.Path
    results: pathlib.Path
    data_dir: str | None


class Run(abc.ABC):
    """A run of a reproduction; frozen dataclasses implement it.

    Attributes:
        method: what tables call it; runs of one method differ in their seeds.
    """

    method: str

    @property
    @abc.abstractmethod
    def seed(self) -> int:
        """Of every random draw."""

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that decides what comes out, as JSON's types."""

    @abc.abstractmethod
    def fill(self, run: run_files.RunDirectory, place: Place) -> None:
        """Makes the run, or goes on with it, up to its summary.

        Args:
            run: the open run directory.
            place: where else to look.

        Raises:
            command_line.UserError: it cannot be made.
        """

    def missing(self) -> str:
        """Says what is not here that the run needs; nothing if all is."""
        return ""

    def is_same(self, kept: Mapping[str, Any]) -> bool:
        """Whether the settings of a stored result are these."""
        return bool(kept == json.loads(json.dumps(self.settings())))

    @property
    def name(self) -> str:
        """Method and seed, as files are called."""
        return f"{self.method}-seed{self.seed}"

    @property
    def directory(self) -> str:
        """The run directory's name, the same in every reproduction."""
        return directory_name(self.name, self.settings())


def directory_name(name: str, settings: Mapping[str, Any]) -> str:
    """Makes a name that other settings do not share."""
    text = json.dumps(settings, sort_keys=True)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


@dataclasses.dataclass(frozen=True)
class NetworkRun(Run):
    """Training of a network, with its evaluation.

    Attributes:
        method: what tables call it.
        experiment: its settings.
    """

    method: str
    experiment: Experiment

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.experiment.seed

    def settings(self) -> dict[str, Any]:
        """The experiment's."""
        return network_settings(self.experiment)

    def fill(self, run: run_files.RunDirectory, place: Place) -> None:
        """Trains and evaluates."""
        train_network.fill(self.experiment, run, data_dir=place.data_dir)

    def is_same(self, kept: Mapping[str, Any]) -> bool:
        """Whether they are; the result may be older than some of them."""
        return bool(run_files.from_json(kept, Experiment) == self.experiment)


def network_settings(experiment: Experiment) -> dict[str, Any]:
    """Settings as stored results and the names of run directories have them."""
    settings = dataclasses.asdict(experiment)
    name = type(experiment.objective).__name__
    return {**settings, "objective": {"name": name, **settings["objective"]}}


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """A table or figure of a paper.

    Attributes:
        runs: makes the runs of a scale, the most important first.
        report: writes tables and figures of the results into a folder, and gives the
            text to show; takes the results, that folder and the one of the run
            directories, where the trained networks lie.
    """

    runs: Callable[[Scale], Sequence[Run]]
    report: Callable[[Results, pathlib.Path, pathlib.Path], str]


def arrays_once(
    path: pathlib.Path, make: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Reads the arrays of a piece of a run, which are made first if not there.

    Args:
        path: the .npz file.
        make: makes them.

    Returns:
        The arrays, and the "seconds" that it took to make them.
    """

    def timed() -> dict[str, np.ndarray]:
        began = time.monotonic()
        made = dict(make())
        return {**made, "seconds": np.array(time.monotonic() - began)}

    return pieces.arrays(path, timed)


def write_table(table: tables.Table, folder: pathlib.Path) -> str:
    """Writes table.md, and gives its text."""
    text = tables.markdown(table)
    with run_files.replacing(folder / "table.md") as path:
        path.write_text(text + "\n")
    return text


def stored(
    folder: pathlib.Path, runs: Sequence[Run]
) -> dict[str, list[dict[str, Any]]]:
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
            results.setdefault(run.method, []).append(read_result(path))
    return results


def read_result(path: pathlib.Path) -> dict[str, Any]:
    """Reads a stored result.

    Args:
        path: its file.

    Returns:
        The result, of JSON's types.

    Raises:
        runs.DamagedError: the file is damaged.
    """
    return run_files.read_json(path, "move it away to make it again")


def shard_of(runs: Sequence[Run], shard: str) -> Iterator[Run]:
    """Picks the runs of one process of several.

    Args:
        runs: all of them.
        shard: "1/2" is the first of two processes.

    Raises:
        ValueError: the shard is not of that form.
    """
    try:
        part, parts = map(int, shard.split("/"))
        if not 1 <= part <= parts:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"shard is {shard!r}, but must be like 1/2, the first of two processes"
        ) from None
    yield from runs[part - 1 :: parts]
