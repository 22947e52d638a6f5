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


def jobs(
    launcher: str,
    together: Together | None,
    planned: Sequence[Planned],
    folder: pathlib.Path,
    data: Sequence[str],
) -> list[process.Job]:
    """Gives each run its own process, or all that can share one the same.

    Args:
        launcher: the module that `python -m` runs.
        together: how its runs share a process; None if they do not.
        planned: the runs.
        folder: where run directories and logs go.
        data: flags for every process.

    Returns:
        A job for each run; those of one process have its command, and the log of the
        first of them.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, run in enumerate(planned):
        key = place if together is None else together.shared(run.settings)
        groups.setdefault(key, []).append(place)
    found = {}
    for group in groups.values():
        paths = {place: folder / planned[place].name for place in group}
        if together is None:
            (place,) = group
            words = [launcher, *planned[place].words]
            words += [f"--run_dir={paths[place]}", "--resume"]
        else:
            members = ([str(paths[place]), *planned[place].words] for place in group)
            words = [together.launcher, *(f"--run={shlex.join(m)}" for m in members)]
        command = (sys.executable, "-m", *words, *data)
        log = folder / "logs" / f"{planned[group[0]].name}.log"
        for place, path in paths.items():
            found[place] = process.job(planned[place].name, command, path, log)
    return [found[place] for place in range(len(planned))]
