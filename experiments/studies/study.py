"""What a study is, and the one way in which all of them are run, resumed and drawn.

A study is a record: its runs at each scale, and the tables and figures that are drawn
of what the runs leave. `complete` makes the runs that are missing, a small JSON file
each; `Study.report` draws of the files that are there, whoever made them.
"""

import abc
import dataclasses
import hashlib
import importlib.util
import json
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from absl import logging
from matplotlib.figure import Figure

from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import tables

from .. import command_line, pieces, run_directory

Scale = Literal["smoke", "laptop", "overnight", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "laptop", "overnight", "paper")
_USUAL: tuple[Scale, ...] = ("smoke", "laptop", "paper")

Results: TypeAlias = Mapping[str, list[dict[str, Any]]]
"""The results of each method, one for each seed."""

Row: TypeAlias = Mapping[str, Any]
"""A result as tables take it: with its "method", and the "folder" of its run."""

Drawn: TypeAlias = Figure | Callable[[pathlib.Path], None] | None
"""A figure, or what writes a file; None where there is nothing to draw."""


class Place(NamedTuple):
    """Where a study works.

    Attributes:
        runs: the folder of the run directories.
        results: the folder of all results.
    """

    runs: pathlib.Path
    results: pathlib.Path


class Run(abc.ABC):
    """A run of a study; frozen dataclasses implement it.

    Attributes:
        method: what tables call it; runs of one method differ in their seeds.
    """

    method: str

    @property
    def seed(self) -> int:
        """Of every random draw."""
        return 0

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that decides what comes out, as JSON's types."""

    @abc.abstractmethod
    def fill(self, run: run_files.RunDirectory, place: Place) -> None:
        """Makes the run, or goes on with it, up to its summary.

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
        """The run directory's name, the same in every study."""
        return directory_name(self.name, self.settings())


def not_installed(package: str) -> str:
    """Says that a package of the extra "peers", by its name for import, is missing."""
    if importlib.util.find_spec(package) is not None:
        return ""
    name = {"art": "ART", "sklearn": "scikit-learn"}[package]
    return f"{name} is not installed: make peers installs it"


def directory_name(name: str, settings: Mapping[str, Any]) -> str:
    """Makes a name that other settings do not share."""
    text = json.dumps(settings, sort_keys=True)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


class Together(NamedTuple):
    """What is measured of all runs together, once for the same runs and settings.

    Attributes:
        file: what keeps it beside the table, a .json file.
        measure: makes it, of JSON's types, from a row for each run.
        settings: what beside the runs decides what comes out, of JSON's types.
    """

    file: str
    measure: Callable[[Sequence[Row]], Mapping[str, Any]]
    settings: Mapping[str, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """A table or figure of a paper.

    Attributes:
        runs: makes the runs of a scale, the most important first.
        tables: makes the tables of each file from the rows; table.md is also shown.
        figures: draws each file from the rows.
        together: what is measured of the runs together. If given, it is the one row
            that tables and figures take; else they take a row for each result.
        scales: those that there are runs for.
    """

    runs: Callable[[Scale], Sequence[Run]]
    tables: Mapping[str, Callable[[Sequence[Row]], Sequence[tables.Table]]]
    figures: Mapping[str, Callable[[Sequence[Row]], Drawn]] = dataclasses.field(
        default_factory=dict
    )
    together: Together | None = None
    scales: tuple[Scale, ...] = _USUAL

    def report(
        self, results: Results, folder: pathlib.Path, runs_dir: pathlib.Path
    ) -> str:
        """Draws tables and figures into a folder, and gives the tables of table.md.

        Raises:
            command_line.UserError: what is measured together cannot be.
        """
        rows: list[Row] = [
            {**found, "method": method, "folder": runs_dir / found.get("run", "")}
            for method, of_seeds in results.items()
            for found in of_seeds
        ]
        if self.together is not None:
            rows = [_measured(self.together, rows, folder)]
        texts = {
            name: "\n\n".join(map(tables.markdown, make(rows)))
            for name, make in self.tables.items()
        }
        for name, text in texts.items():
            pieces.write(folder / name, text + "\n")
        for name, draw in self.figures.items():
            drawn = draw(rows)
            if isinstance(drawn, Figure):
                pieces.write(folder / name, drawn)
            elif drawn is not None:
                with run_files.replacing(folder / name) as path:
                    drawn(path)
        return texts["table.md"]


def _measured(together: Together, rows: Sequence[Row], folder: pathlib.Path) -> Row:
    """Reads what was measured of these runs, or measures it."""
    runs = {row["method"]: row["run"] for row in rows}
    measured = {"runs": runs, **together.settings}
    kept = pieces.kept(folder / together.file, run_files.read_json)
    if kept is not None and measured.items() <= kept.items():
        return kept
    revision = run_files.git_revision(pathlib.Path(__file__))
    session = run_files.session(revision)
    value = {**measured, **together.measure(rows), "session": session}
    run_files.write_json(folder / together.file, value)
    return value


def complete(runs: Sequence[Run], folder: pathlib.Path, place: Place) -> None:
    """Makes the results that are not in a folder yet, a file for each run.

    What cannot be made here is left out.

    Raises:
        command_line.UserError: a result is of other settings, or cannot be made.
    """
    for number, run in enumerate(runs, 1):
        path = folder / f"{run.name}.json"
        if path.exists():
            if not run.is_same(read_result(path)["config"]):
                raise command_line.UserError(
                    f"{path} was made with other settings: move it away to make it "
                    "again"
                )
        elif why := run.missing():
            logging.warning("%s is left out: %s", run.name, why)
        else:
            logging.info("run %d of %d: %s", number, len(runs), run.name)
            run_files.write_json(path, _made(run, place))


def _made(run: Run, place: Place) -> dict[str, Any]:
    """Makes a run, or goes on with it, and gives its summary."""
    began = time.monotonic()
    folder = place.runs / run.directory
    with run_directory.opened_at(folder, run.settings(), resume=True) as directory:
        if directory.summary() is None:
            run.fill(directory, place)
        summary = directory.summary()
    if summary is None:
        raise AssertionError(f"{folder} has no summary")
    logging.info("%s took %.0f s", run.name, time.monotonic() - began)
    return {"method": run.method, "run": run.directory, **summary}


def stored(folder: pathlib.Path, runs: Sequence[Run]) -> Results:
    """Reads each method's results; methods without any are left out.

    Args:
        folder: where they lie, a file for each run.
        runs: the runs, in the order of the table.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        path = folder / f"{run.name}.json"
        if path.exists():
            results.setdefault(run.method, []).append(read_result(path))
    return results


def read_result(path: pathlib.Path) -> dict[str, Any]:
    """Reads a stored result, of JSON's types.

    Raises:
        runs.DamagedError: the file is damaged.
    """
    return run_files.read_json(path, "move it away to make it again")


def shard_of(runs: Sequence[Run], shard: str) -> Sequence[Run]:
    """Picks the runs of one process of several: "1/2" is the first of two.

    Raises:
        command_line.UserError: the shard is not of that form.
    """
    part, _, parts = shard.partition("/")
    if part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
        return runs[int(part) - 1 :: int(parts)]
    raise command_line.UserError(
        f"shard is {shard!r}, but must be like 1/2, the first of two processes"
    )
