"""Trains many ensembles of 01-loss networks in one program, compiled once.

    python -m experiments.train_zero_one_grid \
        --run="runs/rows-half --config.solver.rows=0.5" \
        --run="runs/rows-all --config.solver.rows=1 --config.seed=1"

Each --run is a run directory and the --preset and --config.FIELD flags that
`experiments.train_zero_one` would get; the settings may differ in the solver's
iterations, ramp, step sizes (as many in each run), rows, balanced_share and epsilon,
and in the seed. The directories end up as those of separate runs do, bit-identical
networks included. The same command again skips what is
finished and goes on with what was interrupted. `experiments.sweep` calls this for
sweeps inside a device.
"""

import contextlib
import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import flags

from zeroone_jax import runs

from . import command_line, cores, run_directory, train_zero_one
from .configs import zero_one as configs


def define_flags(argv: Sequence[str]) -> None:
    """Defines the flags of this launcher."""
    del argv
    flags.DEFINE_multi_string(
        "run", [], "A run directory and, behind it, the flags of the run's settings."
    )
    train_zero_one.define_checkpoint_every()
    command_line.define_folders()
    cores.define_devices()


def main(_: None) -> None:
    """Runs the launcher."""
    options = flags.FLAGS
    listed = members(options.run)
    todo = {
        path: experiment
        for path, experiment in listed.items()
        if runs.read_summary(path) is None
    }
    if todo:
        votes = sum(experiment.solver.votes for experiment in todo.values())
        cores.use_cores(votes)
        train(todo, options.checkpoint_every)
    print(f"{len(todo)} runs trained, {len(listed) - len(todo)} were finished.")


def members(texts: Sequence[str]) -> dict[pathlib.Path, configs.Experiment]:
    """Reads every --run.

    Args:
        texts: each a directory and flags, quoted as for a shell.

    Returns:
        The settings of each run, by its directory.

    Raises:
        command_line.UserError: there are none, one cannot be read, or they cannot be
            trained together.
    """
    listed = dict(map(_member, texts))
    if len(listed) < len(texts) or not listed:
        raise command_line.UserError("--run: at least one, each with its own directory")
    if len(set(map(train_zero_one.shared, listed.values()))) > 1:
        raise command_line.UserError(
            "These runs cannot share a program: they may differ only in iterations, "
            "ramp, step sizes, equally many in each, rows, balanced_share, epsilon, "
            "and, on data without noise, the seed"
        )
    return listed


def _member(text: str) -> tuple[pathlib.Path, configs.Experiment]:
    path, *words = shlex.split(text) or [""]
    if not path or path.startswith("-"):
        raise command_line.UserError(f"--run={text}: begins with no run directory")
    return pathlib.Path(path), command_line.parse_settings(configs.PRESETS, words)


def train(
    experiments: dict[pathlib.Path, configs.Experiment],
    checkpoint_every: int,
) -> None:
    """Opens the run directories, and trains as `train_zero_one.train_together`.

    Args:
        experiments: the settings of each run, by its directory.
        checkpoint_every: iterations between checkpoints.

    Raises:
        command_line.UserError: a directory is in use or holds another run, or the runs
            cannot be trained.
        SystemExit: the user stopped them.
    """
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(
                run_directory.opened_at(path, runs.to_json(experiment), True)
            )
            for path, experiment in experiments.items()
        ]
        try:
            every = [*experiments.values()]
            train_zero_one.train_together(every, opened, checkpoint_every)
        except KeyboardInterrupt:
            sys.exit("\nStopped. The same command again goes on.")


if __name__ == "__main__":
    command_line.run(main, define_flags)
