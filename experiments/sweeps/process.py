"""The processes of a sweep's runs, wherever an engine has put them.

Only the standard library is imported here: engines send this module to every node.

A run leaves beside its log a record, a JSON object of "host" and "began" (seconds since
1970), and once it is over of "seconds" (what it took), "exit" (the exit status), and
"reason" (why its engine gave it up, where there is no exit status). A record without an
"exit" is that of a run that was interrupted, unless it goes on.
"""

import contextlib
import datetime
import enum
import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

_BOUND = pathlib.Path(__file__).with_name("bound.py")
_PASSED_ON = ("JAX_", "TFDS_", "XLA_")
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_TO_END = 5.0
_LAST_BYTES = 2000


class State(enum.Enum):
    """How far a run is."""

    WAITING = "waiting"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    FINISHED = "finished"


class Job(NamedTuple):
    """A run as a process.

    Attributes:
        name: of the run.
        command: the words of the command line.
        run_dir: the directory that it fills; with a summary.json it is finished.
        log: the file to which all it says is appended.
        folder: where the command runs.
        environment: variables to set there, whatever the node has.
    """

    name: str
    command: tuple[str, ...]
    run_dir: str
    log: str
    folder: str
    environment: Mapping[str, str]


class StoppedError(Exception):
    """A run was stopped from outside before its end."""


def job(
    name: str, command: Sequence[str], run_dir: pathlib.Path, log: pathlib.Path
) -> Job:
    """Makes a job that runs in this folder, with this shell's settings of JAX."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PASSED_ON) or name == "PYTHONPATH"
    }
    return Job(
        name,
        tuple(command),
        str(run_dir.absolute()),
        str(log.absolute()),
        os.getcwd(),
        settings,
    )


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
) -> list[Job]:
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
            found[place] = job(planned[place].name, command, path, log)
    return [found[place] for place in range(len(planned))]


def execute(job: Job, stopped: Callable[[], bool] = lambda: False) -> int:
    """Runs a job to its end; if this process is killed, so is the job.

    Args:
        job: what to run.
        stopped: whether it shall end at once, asked now and then.

    Returns:
        The exit status; below 0 the signal that killed it.

    Raises:
        StoppedError: it was stopped.
    """
    log = pathlib.Path(job.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.time()
    record = {"host": socket.gethostname(), "began": began}
    _write_record(job, record)
    with log.open("a") as output:
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        output.write(f"{date} {record['host']}: {shlex.join(job.command)}\n")
        output.flush()
        running = subprocess.Popen(
            [sys.executable, "-IS", str(_BOUND), str(os.getpid()), *job.command],
            cwd=job.folder,
            env={**os.environ, **job.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the sweep, which then ends its runs.
            start_new_session=True,
        )
        try:
            status = _wait(running, stopped)
        finally:
            _end(running)
    _write_record(job, {**record, "seconds": time.time() - began, "exit": status})
    return status


def _wait(running: subprocess.Popen[bytes], stopped: Callable[[], bool]) -> int:
    while True:
        try:
            return running.wait(_SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            if stopped():
                raise StoppedError from None


def _end(running: subprocess.Popen[bytes]) -> None:
    """Ends a process, and what it started, kindly at first."""
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(_SECONDS_TO_END)
    # The leader may be gone and others not.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def state(job: Job, is_live: bool) -> State:
    """Tells how far a run is; an engine has it now if it is live."""
    if (pathlib.Path(job.run_dir) / "summary.json").exists():
        return State.FINISHED
    known = record(job)
    if "exit" in known:
        return State.FAILED
    if is_live:
        return State.RUNNING if known else State.WAITING
    is_begun = (pathlib.Path(job.run_dir) / "config.json").exists()
    return State.INTERRUPTED if known or is_begun else State.WAITING


def record(job: Job) -> dict[str, Any]:
    """Reads what the last attempt left; nothing if there was none, or it is torn.

    Of a torn record nothing is told, since the run itself knows how far it is.
    """
    try:
        known = json.loads(_record_path(job).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def forget(job: Job) -> None:
    """Removes the last attempt's record, so that the next one is told from it."""
    _record_path(job).unlink(missing_ok=True)


def lose(job: Job, reason: str) -> None:
    """Records that an engine gave a run up, and why."""
    _write_record(job, {**record(job), "exit": None, "reason": reason})


def last_line(job: Job) -> str:
    """Reads the last line of a run's log that says anything."""
    path = pathlib.Path(job.log)
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _LAST_BYTES))
        text = log.read().decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _record_path(job: Job) -> pathlib.Path:
    return pathlib.Path(job.log).with_suffix(".json")


def _write_record(job: Job, values: Mapping[str, Any]) -> None:
    # `runs.write_json` would load JAX on every node.
    path = _record_path(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(values))
    partial.replace(path)
