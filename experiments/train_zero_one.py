"""Trains an ensemble of 01-loss networks by coordinate descent.

    python -m experiments.train_zero_one
    python -m experiments.train_zero_one --preset=paper_cifar10_0v1
    python -m experiments.train_zero_one --preset=paper_2021 --config.solver.votes=32
    python -m experiments.train_zero_one --preset=paper_100_votes --resume

Without flags it trains 8 votes on CIFAR-10, class 0 against 1, in minutes on a laptop,
and fetches the images first if they are not there.

--preset picks the settings to start from, --config.FIELD=VALUE changes one of them.
The run directory fills with config.json (the settings), metrics.jsonl (how training
went), checkpoints, networks.npz (for models.zero_one.load), summary.json and
accuracy.md (what came out), curves.png and hidden_units.png. A killed run goes on with
--resume and the same settings, and ends with exactly the same networks.
"""

import dataclasses
import pathlib
import shutil
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags, logging

from zeroone_jax import coordinate_descent, data, hosts, runs
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array

from . import (
    attacked_models,
    command_line,
    cores,
    distributed,
    noise,
    run_directory,
    zero_one_report,
)
from .configs import zero_one as configs
from .progress import Progress

_RUN_DIR = "runs/PRESET-seedSEED"


def define_flags(argv: Sequence[str]) -> Callable[[], configs.Experiment]:
    """Defines the flags of this launcher."""
    define_checkpoint_every()
    cores.define_devices()
    return run_directory.define_flags(_RUN_DIR, configs.PRESETS, argv)


def define_checkpoint_every() -> None:
    """Defines --checkpoint_every."""
    flags.DEFINE_integer(
        "checkpoint_every",
        200,
        "Iterations between checkpoints, rounded up to where the solver stops anyway.",
        lower_bound=1,
    )


def main(settings: Callable[[], configs.Experiment]) -> None:
    """Runs the launcher."""
    options, experiment = flags.FLAGS, settings()
    cores.use_cores(experiment.solver.votes)
    distributed.join()

    def fill(run: runs.RunDirectory) -> None:
        train(experiment, run, options.checkpoint_every)

    run_directory.complete(_RUN_DIR, experiment, fill, "accuracy.md")


def train(
    experiment: configs.Experiment,
    run: runs.RunDirectory,
    checkpoint_every: int,
) -> None:
    """Trains one ensemble; the rest is as for `train_together`."""
    train_together([experiment], [run], checkpoint_every)


def shared(experiment: configs.Experiment) -> Hashable:
    """What experiments must have in common to be trained together."""
    noise_seed = experiment.seed if experiment.data.noise > 0 else None
    data, reference = experiment.data, (experiment.reference, experiment.share)
    program = coordinate_descent.program_of(experiment.solver)
    return program, data, noise_seed, reference


def train_together(
    experiments: Sequence[configs.Experiment],
    opened: Sequence[runs.RunDirectory],
    checkpoint_every: int,
) -> None:
    """Trains ensembles in one program, and fills each run directory as if alone.

    Each goes on from its last checkpoint if there is one.

    Args:
        experiments: the settings of each run, with equal `shared`.
        opened: its open directory.
        checkpoint_every: iterations between checkpoints; they fall on the ends of
            the solver's segments.

    Raises:
        command_line.UserError: the data set cannot be loaded, or does not go with the
            solver's settings.
    """
    began = time.monotonic()
    about = experiments[0].data
    training, test = command_line.load_both(about)
    training = training.take(slice(about.count or None))
    clean_x, clean_y = x, y = tuple(map(jnp.asarray, data.as_features(training)))
    if about.noise > 0:
        x, y = noise.doubled(experiments[0].seed, x, y, about.noise)

    keys = [jax.random.key(experiment.seed) for experiment in experiments]
    solvers = [experiment.solver for experiment in experiments]
    images = x.reshape(len(x), *training.images.shape[1:])
    try:
        # Measuring a reference takes minutes: what cannot be is refused before.
        for solver in solvers:
            coordinate_descent.check(x, y, solver)
        radii = _radii(experiments[0], opened, x, y)
        grid = coordinate_descent.Grid(
            keys, images if solvers[0].basis == "dct" else x, y, solvers, radii=radii
        )
    except ValueError as error:
        raise command_line.UserError(str(error)) from error
    states = grid.init()
    states = [
        run.restore(state) or state for run, state in zip(opened, states, strict=True)
    ]
    done = [int(state.iteration) for state in states]
    for run, iteration in zip(opened, done, strict=True):
        logging.info("%s: from iteration %d", run.path, iteration)
    total = sum(solver.iterations for solver in solvers)
    progress = Progress("training", total, sum(done))
    saved = list(done)

    def on_segment(
        place: int,
        state: coordinate_descent.Search,
        history: coordinate_descent.Info,
    ) -> None:
        iteration = int(state.iteration)
        opened[place].append_metrics(zero_one_report.records(iteration, history))
        is_last = iteration >= solvers[place].iterations
        if iteration - saved[place] >= checkpoint_every or is_last:
            opened[place].save(iteration, state)
            saved[place] = iteration
        done[place] = iteration
        mean = float(np.mean(history.pocket_accuracy[-1]))
        progress.report(sum(done), f"mean train accuracy {mean:.4f}")

    results = grid.fit(states, on_segment)
    # The rest is done by the first process alone.
    if not hosts.is_first():
        return
    for run, result in zip(opened, results, strict=True):
        with runs.replacing(run.path / "networks.npz") as path:
            zero_one.save(path, result.params)
    x_test, y_test = map(jnp.asarray, data.as_features(test))
    splits = {"train": (clean_x, clean_y), "test": (x_test, y_test)}
    seconds = (time.monotonic() - began) / len(opened)
    for run, result in zip(opened, results, strict=True):
        zero_one_report.write(run, result.params, splits, training, seconds)


def _radii(
    experiment: configs.Experiment,
    opened: Sequence[runs.RunDirectory],
    x: Array,
    y: Array,
) -> np.ndarray | None:
    """The radii of sensible training, which run directories keep; None without."""
    if not experiment.reference:
        return None
    if jax.process_count() > 1:
        raise command_line.UserError("--config.reference needs a single host")
    model = attacked_models.load(experiment.reference, double=False)
    source = attacked_models.Source(experiment.data.name, experiment.data.classes)
    if model.networks is None:
        raise command_line.UserError(
            f"{experiment.reference} holds no 01 networks: give --config.reference a "
            "run directory of python -m experiments.train_zero_one, or an .npz file"
        )
    # A file of networks does not say of what they are.
    if pathlib.Path(experiment.reference).is_dir() and model.source != source:
        raise command_line.UserError(
            f"{experiment.reference} is of {model.source}, but this run of {source}: "
            "a reference must be of the same data"
        )
    progress = Progress("measuring the reference", len(y))
    norm: Any = experiment.solver.ball
    kept, *others = (run.path / "radii.npz" for run in opened)
    try:
        radii = coordinate_descent.sensible_radii(
            kept,
            model.networks,
            x,
            y,
            share=experiment.share,
            config=dataclasses.replace(coordinate_descent.CERTIFICATE, norm=norm),
            workers=cores.verifiers(len(y)),
            report=progress.report,
        )
    except ValueError as error:
        raise command_line.UserError(f"{experiment.reference}: {error}") from error
    for path in others:
        with runs.replacing(path) as partial:
            shutil.copy(kept, partial)
    return radii


if __name__ == "__main__":
    command_line.run(main, define_flags)
