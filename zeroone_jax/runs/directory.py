"""An open run directory."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import filelock
from absl import logging

from zeroone_jax import files, hosts
from zeroone_jax.runs import checkpoints, lines
from zeroone_jax.runs.session import session
from zeroone_jax.runs.settings import CONFIG, REMEDY, differences, read_settings

_LOCK = ".lock"
_SUMMARY = "summary.json"
_OWN = {
    CONFIG,
    _LOCK,
    "sessions.jsonl",
    "metrics.jsonl",
    checkpoints.CHECKSUMS,
    checkpoints.FOLDER,
}


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

        A checkpoint whose files are damaged is removed, which is logged.

        Args:
            path: the directory; made if missing.
            config: the run's settings, of JSON's types.
            resume: go on with what is there, if anything is.
            revision: the code's revision, as `git_revision` gives it.

        Raises:
            RunError: another process fills the directory; it has content and `resume`
                is false; it is no run directory; its settings differ; or a file that
                cannot be done without is damaged.
        """
        self.path = path
        self._lock = filelock.FileLock(path / _LOCK)
        _from_first(lambda: self._enter(config, resume))
        try:
            # Whoever only reads runs does not wait for orbax.
            from zeroone_jax.runs.store import Store

            self._checkpoints = Store(path / checkpoints.FOLDER)
            if hosts.is_first():
                last = self._checkpoints.latest_step() or 0
                record = {**session(revision), "from_step": last}
                lines.append(path / "sessions.jsonl", [record])
        except BaseException:
            self._lock.release()
            raise

    def _enter(self, config: Mapping[str, Any], resume: bool) -> None:
        """Locks the directory, and checks what it holds."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            message = f"{self.path}: another process is filling this run"
            raise RunError(message) from None
        try:
            self._adopt(config, resume)
            lines.cut(self.path / "sessions.jsonl", lambda _: True)
            checkpoints.remove_unfinished(self.path)
        except BaseException:
            self._lock.release()
            raise

    def _adopt(self, config: Mapping[str, Any], resume: bool) -> None:
        """Checks what the directory holds; a new one gets its settings."""
        settings = self.path / CONFIG
        if settings.exists():
            self._check_old(config, resume)
            return
        # A kill between making the directory and writing the settings leaves these.
        strangers = {
            entry.name
            for entry in self.path.iterdir()
            if entry.name != _LOCK and not files.is_partial(entry)
        }
        if strangers & _OWN:
            raise files.damaged(settings, "it is missing", REMEDY)
        if strangers:
            content = ", ".join(sorted(strangers))
            raise RunError(
                f"{self.path} is no run directory but holds {content}: choose another"
            )
        files.write_json(settings, config)

    def _check_old(self, config: Mapping[str, Any], resume: bool) -> None:
        """Refuses other settings on resume; otherwise all but a run that never ran."""
        if resume:
            changed = differences(read_settings(self.path), config)
            if changed:
                other = "; ".join(changed)
                raise RunError(f"{self.path} was started with other settings: {other}")
            if not (self.path / _SUMMARY).exists():
                checkpoints.remove_damaged(self.path)
        elif self._has_begun():
            raise RunError(
                f"{self.path} holds a run already: resume it, or choose another "
                "directory"
            )
        else:
            # Say, one that failed for want of data: it may be started differently.
            files.write_json(self.path / CONFIG, config)

    def _has_begun(self) -> bool:
        """Whether anything but the settings and empty folders is there."""
        measured = self.path / "metrics.jsonl"
        if measured.exists() and b"\n" in measured.read_bytes():
            return True
        if any((self.path / checkpoints.FOLDER).glob("[0-9]*")):
            return True
        for entry in self.path.iterdir():
            is_other = entry.name not in _OWN and not files.is_partial(entry)
            if is_other and (not entry.is_dir() or any(entry.iterdir())):
                return True
        return False

    def close(self) -> None:
        """Lets another process in."""
        self._checkpoints.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def restore(self, template: Any) -> Any | None:
        """Goes back to the last checkpoint.

        Later metrics are cut: they will be measured again.

        Args:
            template: a state of the same shapes; what comes back lies on devices as
                it does, whatever devices saved the checkpoint.

        Returns:
            The state, or None if there is no checkpoint.

        Raises:
            RunError: the checkpoint is of another state, or metrics.jsonl is damaged.
        """
        step = self._checkpoints.latest_step()
        _from_first(lambda: self._cut_metrics(step or 0))
        if step is None:
            return None
        try:
            return self._checkpoints.restore(step, template)
        except (KeyError, OSError, TypeError, ValueError) as error:
            told = str(error).partition("\n")[0]
            checkpoint = self.path / checkpoints.FOLDER / str(step)
            raise RunError(
                f"{checkpoint} cannot be read ({told}): go on with the code of the "
                "revision in sessions.jsonl, or remove this checkpoint, and the run "
                "goes on from the one before"
            ) from error

    def _cut_metrics(self, last: int) -> None:
        """Cuts what was measured after a step, and says if anything before is lost."""
        path = self.path / "metrics.jsonl"
        lines.cut(path, lambda record: record["step"] <= last)
        measured = max((record["step"] for record in self.metrics()), default=0)
        if measured < last:
            logging.warning(
                "%s ends at step %d, but the checkpoint is of step %d: what was "
                "measured between them is lost",
                path,
                measured,
                last,
            )

    def save(self, step: int, state: Any) -> None:
        """Writes a checkpoint of a pytree, all or nothing; the last two are kept.

        A step saved already is left as it is.
        """
        if step != self._checkpoints.latest_step():
            self._checkpoints.save(step, state)
            if hosts.is_first():
                checkpoints.record(self.path, step)

    def append_metrics(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Appends measurements of JSON's types, each with its "step".

        Call it before the `save` of the same step.
        """
        if hosts.is_first():
            lines.append(self.path / "metrics.jsonl", records)

    def metrics(self) -> list[dict[str, Any]]:
        """Reads every measurement so far, from the first session on."""
        return lines.read(self.path / "metrics.jsonl")

    def sessions(self) -> list[dict[str, Any]]:
        """Reads what is known of each start and resume; the last is this one."""
        return lines.read(self.path / "sessions.jsonl")

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Writes the summary, of JSON's types, the last file of a run."""
        if hosts.is_first():
            files.write_json(self.path / _SUMMARY, summary)

    def summary(self) -> dict[str, Any] | None:
        """Reads the summary; None if the run is not finished.

        Of many hosts the first reads it for all.

        Raises:
            RunError: it is damaged.
        """
        summary: dict[str, Any] | None = _from_first(lambda: read_summary(self.path))
        return summary


def read_summary(directory: pathlib.Path) -> dict[str, Any] | None:
    """Reads the summary of a run, which need not be open; None if it is not finished.

    Raises:
        files.DamagedError: it is damaged.
    """
    path = directory / _SUMMARY
    if not path.exists():
        return None
    return files.read_json(path, "remove it and resume the run, which writes it again")


def _from_first(make: Callable[[], Any]) -> Any:
    """Does something in the first process; a damaged file is the run's error."""

    def made() -> Any:
        try:
            return make()
        except files.DamagedError as error:
            raise RunError(str(error)) from error

    return hosts.from_first(made, RunError)
