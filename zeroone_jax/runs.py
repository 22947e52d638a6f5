"""A run's directory: settings, metrics, checkpoints; one run fills it at a time.

    config.json      the settings; a run resumes only under the same ones
    sessions.jsonl   one line a start or resume: date, git revision, versions, device
    metrics.jsonl    one line a measurement, in the order of its "step"
    checkpoints/     the last two states (orbax), named by their step
    summary.json     what came out; its presence says that the run is finished

Whatever a killed process leaves behind, `RunDirectory.restore` goes back to the last
checkpoint and cuts the metrics there, so that a resumed run's files equal those of an
uninterrupted one (the sessions, which tell the story, apart).

Of a run on many hosts every process opens the directory, which they share, and calls
its methods at the same places; the first process writes, all save and restore together,
and another number of hosts may go on.
"""

import contextlib
import datetime
import json
import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import filelock
import jax
import orbax.checkpoint as ocp

from zeroone_jax import hosts

_CONFIG = "config.json"
_LOCK = ".lock"
_PARTIAL = ".partial-"


class RunError(Exception):
    """A run directory cannot be used as asked; the message says why."""


class RunDirectory:
    """An open run directory, locked until it is closed.

    Use it as a context manager. Steps count whatever the training loop counts
    (iterations, updates) and only grow.

    Attributes:
        path: the directory.
    """

    def __init__(
        self,
        path: pathlib.Path,
        config: Mapping[str, Any],
        *,
        resume: bool,
        revision: str,
    ) -> None:
        """Opens a new directory, or an old one to go on in.

        Args:
            path: the directory; made if missing.
            config: the run's settings, of JSON's types.
            resume: go on with what is there, if anything is.
            revision: the code's revision, as `git_revision` gives it.

        Raises:
            RunError: another process fills the directory; it has content and `resume`
                is false; it is no run directory; or its settings differ.
        """
        self.path = path
        self._lock = filelock.FileLock(path / _LOCK)
        hosts.from_first(lambda: self._enter(config, resume), RunError)
        try:
            self._checkpoints = ocp.CheckpointManager(
                (path / "checkpoints").absolute(),
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=ocp.checkpoint_managers.LatestN(2),
                    cleanup_tmp_directories=True,
                    enable_async_checkpointing=False,
                ),
            )
            if hosts.is_first():
                self._record_session(revision)
        except BaseException:
            self._lock.release()
            raise

    def _enter(self, config: Mapping[str, Any], resume: bool) -> None:
        """Locks the directory, and checks what it holds."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise RunError(
                f"{self.path}: another process is filling this run"
            ) from None
        try:
            self._adopt(config, resume)
        except BaseException:
            self._lock.release()
            raise

    def _adopt(self, config: Mapping[str, Any], resume: bool) -> None:
        """Checks what the directory holds; a new one gets its settings."""
        settings = self.path / _CONFIG
        if settings.exists():
            self._check_old(settings, config, resume)
            return
        # A kill between making the directory and writing the settings leaves these.
        leftovers = {_LOCK, _partial(settings).name}
        strangers = {entry.name for entry in self.path.iterdir()} - leftovers
        if strangers:
            content = ", ".join(sorted(strangers))
            raise RunError(f"{self.path} is no run directory but holds {content}")
        write_json(settings, config)

    def _check_old(
        self, settings: pathlib.Path, config: Mapping[str, Any], resume: bool
    ) -> None:
        """Refuses other settings on resume; otherwise all but a run that never ran."""
        if resume:
            changed = differences(json.loads(settings.read_text()), config)
            if changed:
                raise RunError(
                    f"{self.path} was started with other settings: "
                    + "; ".join(changed)
                )
        elif self._has_begun():
            raise RunError(
                f"{self.path} holds a run already: resume it, or choose another "
                "directory"
            )
        else:
            # Say, one that failed for want of data: it may be started differently.
            write_json(settings, config)

    def _has_begun(self) -> bool:
        """Whether anything but the settings and empty folders is there."""
        if self.metrics() or any((self.path / "checkpoints").glob("[0-9]*")):
            return True
        own = {_CONFIG, _LOCK, "sessions.jsonl", "metrics.jsonl", "checkpoints"}
        for entry in self.path.iterdir():
            is_other = entry.name not in own and not entry.name.startswith(_PARTIAL)
            if is_other and (not entry.is_dir() or any(entry.iterdir())):
                return True
        return False

    def _record_session(self, revision: str) -> None:
        _cut(self.path / "sessions.jsonl", lambda _: True)
        _append(
            self.path / "sessions.jsonl",
            [{**session(revision), "from_step": self._checkpoints.latest_step() or 0}],
        )

    def close(self) -> None:
        """Lets another process in."""
        self._checkpoints.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def restore(self, template: Any) -> Any | None:
        """Goes back to the last checkpoint.

        Later metrics are cut: they will be measured again.

        Args:
            template: a state of the same shapes; what comes back lies on devices as
                it does, whatever devices saved the checkpoint.

        Returns:
            The state, or None if there is no checkpoint.
        """
        step = self._checkpoints.latest_step()
        last = 0 if step is None else step
        if hosts.is_first():
            _cut(self.path / "metrics.jsonl", lambda record: record["step"] <= last)
        if step is None:
            return None
        return self._checkpoints.restore(step, args=ocp.args.StandardRestore(template))

    def save(self, step: int, state: Any) -> None:
        """Writes a checkpoint, complete or not at all; the last two are kept.

        Args:
            step: how far the state is; a step saved already is left as it is.
            state: a pytree of arrays.
        """
        if step != self._checkpoints.latest_step():
            self._checkpoints.save(step, args=ocp.args.StandardSave(state))

    def append_metrics(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Appends measurements; call it before the `save` of the same step.

        Args:
            records: of JSON's types, each with its "step".
        """
        if hosts.is_first():
            _append(self.path / "metrics.jsonl", records)

    def metrics(self) -> list[dict[str, Any]]:
        """Reads every measurement so far, from the first session on."""
        return _read_lines(self.path / "metrics.jsonl")

    def sessions(self) -> list[dict[str, Any]]:
        """Reads what is known of each start and resume; the last is this one."""
        return _read_lines(self.path / "sessions.jsonl")

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Writes the summary, the last file of a run.

        Args:
            summary: of JSON's types.
        """
        if hosts.is_first():
            write_json(self.path / "summary.json", summary)

    def summary(self) -> dict[str, Any] | None:
        """Reads the summary; None if the run is not finished.

        Of many hosts the first reads it for all.
        """
        path = self.path / "summary.json"

        def read() -> dict[str, Any] | None:
            return json.loads(path.read_text()) if path.exists() else None

        summary: dict[str, Any] | None = hosts.from_first(read, RunError)
        return summary


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Writes a file completely or not at all.

    Args:
        path: where the file shall be; an old one is replaced.

    Yields:
        A path beside it, with the same ending, to write to.
    """
    partial = _partial(path)
    yield partial
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file completely or not at all.

    Args:
        path: where.
        value: of JSON's types.
    """
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n")


def session(revision: str) -> dict[str, str]:
    """Says when, by which code and on what a process runs.

    Args:
        revision: the code's revision, as `git_revision` gives it.

    Returns:
        The date (UTC), the revision, JAX's version and the devices.
    """
    device = jax.devices()[0]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "revision": revision,
        "jax": jax.__version__,
        "device": f"{jax.device_count()} x {device.device_kind}",
    }


def git_revision(path: pathlib.Path) -> str:
    """Finds the revision of the code that a file belongs to.

    Args:
        path: a file of the code.

    Returns:
        The commit, with "-dirty" behind it where tracked files have been changed;
        "unknown" if git does not know the file.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(path.parent), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        # An installed copy may lie inside a repository that is not its own.
        git("ls-files", "--error-unmatch", path.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _partial(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{_PARTIAL}{path.name}")


def _append(path: pathlib.Path, records: Sequence[Mapping[str, Any]]) -> None:
    with path.open("a") as lines:
        lines.write("".join(json.dumps(record) + "\n" for record in records))
        lines.flush()
        os.fsync(lines.fileno())


def _read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Reads the records of the complete lines; a kill may have torn the last."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _cut(path: pathlib.Path, keep: Callable[[Mapping[str, Any]], bool]) -> None:
    """Rewrites a file without a torn line and without what `keep` refuses."""
    kept = [record for record in _read_lines(path) if keep(record)]
    with replacing(path) as partial:
        partial.write_text("".join(json.dumps(record) + "\n" for record in kept))


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Says which settings differ, by their dotted names.

    Args:
        old: settings read from a run directory.
        new: settings, of JSON's types or tuples.

    Returns:
        A text for each setting that differs; none if they are the same.
    """
    # Through JSON, so that tuples compare equal to the lists they became.
    before, now = _flatten(old), _flatten(json.loads(json.dumps(new)))
    return [
        f"{name} is {before.get(name)!r} there, {now.get(name)!r} here"
        for name in sorted(before.keys() | now.keys())
        if name not in before or name not in now or before[name] != now[name]
    ]
