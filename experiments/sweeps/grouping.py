"""The processes of a sweep's runs: one each, or one for all that can share it."""

import pathlib
import shlex
import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from experiments.sweeps import process


class Together(NamedTuple):
    """How runs of a launcher share a process.

    Attributes:
        launcher: the module that `python -m` runs instead; it takes a --run for each,
            the run directory and the flags of its settings.
        shared: what settings must have in common.
    """

    launcher: str
    shared: Callable[[Any], Hashable]


class Planned(NamedTuple):
    """A run whose process is not known yet.

    Attributes:
        name: of the run and its directory.
        words: the flags of its settings.
        settings: what they say.
    """

    name: str
    words: Sequence[str]
    settings: Any


def separate(
    launcher: str, planned: Sequence[Planned], folder: pathlib.Path, data: Sequence[str]
) -> list[process.Job]:
    """Gives each run its own process.

    Args:
        launcher: the module that `python -m` runs.
        planned: the runs.
        folder: where run directories and logs go.
        data: flags for every process.

    Returns:
        Their jobs.
    """
    return [
        process.job(
            run.name,
            (
                *(sys.executable, "-m", launcher, *run.words),
                *(f"--run_dir={folder / run.name}", "--resume", *data),
            ),
            folder / run.name,
            _log(folder, run),
        )
        for run in planned
    ]


def grouped(
    together: Together,
    planned: Sequence[Planned],
    folder: pathlib.Path,
    data: Sequence[str],
) -> list[process.Job]:
    """Gives all runs that can share a process the same one.

    Args:
        together: how the launcher's runs do.
        planned: as for `separate`.
        folder: as for `separate`.
        data: as for `separate`.

    Returns:
        A job for each run; those of one process have its command, and the log of the
        first of them.
    """
    keys = [together.shared(run.settings) for run in planned]
    groups: dict[Hashable, list[Planned]] = {}
    for key, run in zip(keys, planned, strict=True):
        groups.setdefault(key, []).append(run)
    commands = {
        key: (
            *(sys.executable, "-m", together.launcher),
            *(
                f"--run={shlex.join([str(folder / run.name), *run.words])}"
                for run in group
            ),
            *data,
        )
        for key, group in groups.items()
    }
    return [
        process.job(
            run.name, commands[key], folder / run.name, _log(folder, groups[key][0])
        )
        for key, run in zip(keys, planned, strict=True)
    ]


def _log(folder: pathlib.Path, run: Planned) -> pathlib.Path:
    return folder / "logs" / f"{run.name}.log"
