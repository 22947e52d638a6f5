"""Runs a sweep: many runs of a launcher, here, on a Ray cluster or on Slurm.

    python -m experiments.sweep --dry_run
    python -m experiments.sweep --sweep=step_size_and_rows
    python -m experiments.sweep --sweep=sense_confidence --launcher=ray --gpus=1
    python -m experiments.sweep --sweep=sense_confidence --launcher=slurm --gpus=1
    python -m experiments.sweep --sweep=step_size_and_rows --retry_failed

Without flags it makes 12 small runs on CIFAR-10, in two minutes on a laptop.

Each run fills a directory below RUNS_DIR/SWEEP, and its output goes to a log in
RUNS_DIR/SWEEP/logs. The same command again skips finished runs, resumes interrupted
ones (by Ctrl-C, for example), and starts the missing ones. Failed runs start again only
with --retry_failed. At the end the folder holds table.md and table.json (mean, standard
error and number of runs over the seeds) and a figure for every swept field.

A sweep that says inside="device" makes runs share a process and a compiled program
where they differ only in step sizes, rows and seeds of coordinate descent. Their
results are the same as those of separate runs.

Sweeps are in experiments/sweeps/presets.py. Ray and Slurm need the extras `ray` and
`slurm`, and the same files under the same paths on every node. A machine with several
GPUs shares them out by --launcher=ray --gpus=1.
"""

import contextlib
import os
import pathlib
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence

import filelock
from absl import flags

from . import command_line
from .sweeps import definition, engines, process, report
from .sweeps import presets as sweeps
from .sweeps.board import Board, Line
from .sweeps.process import State

_SECONDS_BETWEEN_LOOKS = 0.2
_SLURM_WORKERS = 100


def define_flags(argv: Sequence[str]) -> None:
    """Defines the flags of this launcher."""
    del argv
    command_line.define_choice("sweep", sweeps.SWEEPS, "The sweep to run.")
    flags.DEFINE_enum(
        "launcher", "local", ["local", "ray", "slurm"], "Who distributes the runs."
    )
    flags.DEFINE_string("runs_dir", "runs/sweeps", "Where the sweep's folder goes.")
    flags.DEFINE_bool("dry_run", False, "Only print every command.")
    flags.DEFINE_bool("retry_failed", False, "Do again what has failed.")
    flags.DEFINE_integer("cpus", 1, "Processor cores for each run.", lower_bound=1)
    flags.DEFINE_integer("gpus", 0, "GPUs for each run (Ray, Slurm).", lower_bound=0)
    flags.DEFINE_integer(
        "workers",
        None,
        "Runs at once (this machine, Slurm). Default: as many as have --cpus cores "
        "here; 100 on Slurm.",
        lower_bound=1,
    )
    flags.DEFINE_string(
        "ray_address",
        None,
        "The Ray cluster. Default: $RAY_ADDRESS, or else this machine's, which is "
        "started if there is none.",
    )
    flags.DEFINE_string("slurm_partition", None, "Where Slurm queues the runs.")
    flags.DEFINE_integer(
        "slurm_hours",
        24,
        "How long Slurm lets a run go on; then it queues again and resumes.",
        lower_bound=1,
    )
    command_line.define_folders()


def main(_: None) -> None:
    """Runs the launcher."""
    options = flags.FLAGS
    folder = pathlib.Path(options.runs_dir, options.sweep)
    make = sweeps.SWEEPS[options.sweep]
    try:
        sweep = make()
    except (TypeError, ValueError) as error:
        raise command_line.UserError(f"{options.sweep}: {error}") from error
    listed = definition.runs_of(sweep, folder, options.data_dir)
    jobs = [run.job for run in listed]
    if options.dry_run:
        print("\n".join(_commands(jobs)))
        return
    with locked(folder):
        todo = to_do(jobs, options.retry_failed)
        if todo:
            conduct(options.sweep, jobs, todo, _engine(folder))
        written = report.write(options.sweep, sweep, listed, folder)
    print(written)
    print(f"Sweep's folder: {folder}")
    failed = [job for job in jobs if process.state(job, False) is State.FAILED]
    if failed:
        logs = "\n".join(f"  {_failure(job)}" for job in failed)
        sys.exit(
            f"{len(failed)} of {len(jobs)} runs failed:\n{logs}\n"
            "--retry_failed does them again."
        )


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Keeps a second sweep out of a folder, which is made if missing.

    Raises:
        command_line.UserError: a sweep is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise command_line.UserError(
            f"{folder}: another process is running this sweep"
        ) from None
    try:
        yield
    finally:
        lock.release()


def to_do(jobs: Sequence[process.Job], retry_failed: bool) -> list[process.Job]:
    """Picks the runs that are not finished, and those that have failed if asked."""
    skipped = {State.FINISHED} if retry_failed else {State.FINISHED, State.FAILED}
    return [job for job in jobs if process.state(job, False) not in skipped]


def conduct(
    name: str,
    jobs: Sequence[process.Job],
    todo: Sequence[process.Job],
    engine: engines.Engine,
    board: Board | None = None,
) -> None:
    """Has an engine run jobs, and shows how far they are.

    Args:
        name: the sweep's.
        jobs: all runs of the sweep.
        todo: those to run.
        engine: who runs them; it is stopped at the end.
        board: where to show it.

    Raises:
        command_line.UserError: the engine cannot run them.
        SystemExit: the user stopped the sweep; everything can be resumed.
    """
    board = board or Board(name)
    for job in todo:
        process.forget(job)
    try:
        # Of the jobs that share a process, and so its log, the engine gets one.
        shared = {job.log: job for job in todo}
        started = dict(zip(shared, engine.start([*shared.values()]), strict=True))
        live = {job.name: started[job.log] for job in todo}
        board.show([_line(job, job.name in live) for job in jobs])
        while live:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            for job in todo:
                if job.name in live and live[job.name].done():
                    _conclude(job, live.pop(job.name))
            board.show([_line(job, job.name in live) for job in jobs], not live)
    except engines.EngineError as error:
        raise command_line.UserError(str(error)) from error
    except KeyboardInterrupt:
        sys.exit("\nStopped. The same command again goes on.")
    finally:
        engine.stop()


def _conclude(job: process.Job, task: engines.Task) -> None:
    """Records what the job itself could not: that its engine gave it up."""
    try:
        error = task.exception()
    except Exception as raised:
        error = raised
    if error is not None and "exit" not in process.record(job):
        process.lose(job, f"{type(error).__name__}: {error}")


def _line(job: process.Job, is_live: bool) -> Line:
    state = process.state(job, is_live)
    record = process.record(job)
    began = record.get("began", time.time())
    note = _failure(job) if state is State.FAILED else process.last_line(job)
    return Line(job.name, state, record.get("seconds", time.time() - began), note)


def _failure(job: process.Job) -> str:
    """Says how a run failed, and where to read about it."""
    record = process.record(job)
    if record["exit"] is None:
        return f"{record['reason'].strip().splitlines()[-1]} {job.log}"
    if record["exit"] < 0:
        return f"killed by {signal.Signals(-record['exit']).name}, {job.log}"
    return f"exit status {record['exit']}, {job.log}"


def _commands(jobs: Sequence[process.Job]) -> list[str]:
    """Lists the command of every process, those that have nothing to do as comments."""
    todo = {job.command for job in to_do(jobs, retry_failed=True)}
    return [
        shlex.join(command) if command in todo else f"# finished: {shlex.join(command)}"
        for command in dict.fromkeys(job.command for job in jobs)
    ]


def _engine(folder: pathlib.Path) -> engines.Engine:
    """Makes the engine that the flags name."""
    options = flags.FLAGS
    needs = engines.Needs(options.cpus, options.gpus)
    try:
        if options.launcher == "ray":
            return engines.Ray(options.ray_address, needs)
        if options.launcher == "slurm":
            return engines.Slurm(
                folder / "logs" / "slurm",
                needs,
                workers=options.workers or _SLURM_WORKERS,
                hours=options.slurm_hours,
                partition=options.slurm_partition,
            )
    except engines.EngineError as error:
        raise command_line.UserError(str(error)) from error
    if options.gpus:
        raise command_line.UserError(
            "--gpus: this launcher does not share out GPUs, --launcher=ray does"
        )
    room = max(1, (os.cpu_count() or 1) // options.cpus)
    return engines.Local(options.workers or room)


if __name__ == "__main__":
    command_line.run(main, define_flags)
