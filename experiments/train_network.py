"""Trains a network by gradients, by any method of robust training, and attacks it.

    python -m experiments.train_network
    python -m experiments.train_network --preset=mnist_sense --config.seed=1
    python -m experiments.train_network --config.objective.confidence=.7
    python -m experiments.train_network --run_dir=runs/mine --resume

Without flags it trains a small convolutional network on MNIST for one epoch by sensible
adversarial training, and looks at it with a few attacks, in minutes on a laptop.

--preset picks the settings to start from, --config.FIELD=VALUE changes one of them.
The run directory fills with config.json (the settings), metrics.jsonl (how training
went), checkpoints, network.npz (for experiments.attack), evaluation (what each attack
did), accuracy.md, curves.png and summary.json. A killed run goes on with --resume and
the same settings, and ends with exactly the same network on the same hardware.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags, logging

from zeroone_jax import data, hosts, models, runs, training
from zeroone_jax import devices as device_mesh
from zeroone_jax.models import network as networks

from . import (
    command_line,
    distributed,
    network_evaluation,
    noise,
    run_directory,
)
from .configs import network_presets
from .configs.network import Data, Experiment
from .progress import Progress

_RUN_DIR = "runs/PRESET-seedSEED"

# Of the training images, where they are on disk: their accuracy is that of the first.
_LOOKED_AT = 10_000

Model: TypeAlias = models.Network | models.Ensemble


def define_flags(argv: Sequence[str]) -> Callable[[], Experiment]:
    """Defines the flags of this launcher."""
    flags.DEFINE_integer(
        "checkpoint_every",
        1,
        "Epochs between checkpoints, and between looks at the test images.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "devices",
        None,
        "Devices to split batches over. Default: every accelerator, or the processor.",
        lower_bound=1,
    )
    flags.DEFINE_bool(
        "on_disk",
        False,
        "Leave training images on the disk, and read them ahead of each segment: for "
        "prepared sets that do not fit into memory. The network is the same.",
    )
    return run_directory.define_flags(_RUN_DIR, network_presets.PRESETS, argv)


def main(settings: Callable[[], Experiment]) -> None:
    """Runs the launcher."""
    options, experiment = flags.FLAGS, settings()
    distributed.join()

    def complete(run: runs.RunDirectory) -> None:
        devices = _devices(options.devices)
        fill(experiment, run, options.checkpoint_every, devices, options.on_disk)

    run_directory.complete(_RUN_DIR, experiment, complete, "accuracy.md")


def fill(
    experiment: Experiment,
    run: runs.RunDirectory,
    checkpoint_every: int = 1,
    devices: Sequence[jax.Device] | None = None,
    on_disk: bool = False,
) -> None:
    """Trains, from the last checkpoint if there is one, attacks, and writes it all.

    Args:
        experiment: the settings.
        run: the open run directory.
        checkpoint_every: epochs between checkpoints and looks at the test images.
        devices: what to split batches over; the first device if None.
        on_disk: whether training images are read while training.

    Raises:
        command_line.UserError: the data cannot be loaded, the settings do not go
            together, or the loss is not finite.
    """
    began = time.monotonic()
    split, test = splits = _load(experiment.data, on_disk)
    model, variables = _trained(experiment, run, splits, checkpoint_every, devices)
    if not hosts.is_first():
        return
    x, y = network_evaluation.test_images(test)
    logits_fn = model.bind(variables)
    rows = network_evaluation.evaluate(run, experiment, logits_fn, x, y)
    images, labels = _wanted(experiment.data, split)
    if on_disk:
        images, labels = np.asarray(images[:_LOOKED_AT]), labels[:_LOOKED_AT]
    accuracies = {
        "train": network_evaluation.accuracy(logits_fn, images, labels),
        "test": network_evaluation.accuracy(logits_fn, x, y),
    }
    seconds = time.monotonic() - began
    network_evaluation.write(run, experiment, rows, accuracies, seconds)


def trained(
    experiment: Experiment, run: runs.RunDirectory, checkpoint_every: int = 1
) -> tuple[Model, models.Variables]:
    """Trains, and writes network.npz; the rest is as for `fill`.

    Returns:
        The network or the ensemble, and its variables.
    """
    splits = _load(experiment.data, on_disk=False)
    return _trained(experiment, run, splits, checkpoint_every, None)


def _trained(
    experiment: Experiment,
    run: runs.RunDirectory,
    splits: tuple[data.Split, data.Split],
    checkpoint_every: int,
    devices: Sequence[jax.Device] | None,
) -> tuple[Model, models.Variables]:
    split, test = splits
    try:
        model = build(experiment, split)
        path = run.path / "network.npz"
        # A run killed while it was attacked comes here again, with the same network.
        if hosts.from_first(path.exists, command_line.UserError):
            return model, networks.load(path, model)
        state = _train(experiment, run, split, test, checkpoint_every, devices)
    except runs.DamagedError as error:
        raise command_line.UserError(f"{error}: remove it and --resume") from error
    except ValueError as error:
        raise command_line.UserError(str(error)) from error
    # From here on each process computes for itself.
    variables = device_mesh.own(training.variables(state))
    if hosts.is_first():
        with runs.replacing(path) as partial:
            networks.save(partial, variables)
    return model, variables


def build(experiment: Experiment, split: data.Split) -> Model:
    """Makes the network, or the ensemble, for a data set's images.

    Args:
        experiment: the settings.
        split: the images, for their shape and classes.

    Raises:
        ValueError: the network is unknown, or the images do not suit it.
    """
    height, width, channels = split.images.shape[1:]
    network = models.build(
        experiment.network,
        (height, width, channels),
        len(split.class_names),
        jnp.bfloat16 if experiment.dtype == "bfloat16" else None,
    )
    if experiment.members == 1:
        return network
    return models.Ensemble(network, experiment.members, experiment.combine)


def _train(
    experiment: Experiment,
    run: runs.RunDirectory,
    split: data.Split,
    test: data.Split,
    checkpoint_every: int,
    devices: Sequence[jax.Device] | None,
) -> training.State:
    """Trains, and leaves metrics and checkpoints."""
    key = jax.random.key(experiment.seed)
    config, objective = experiment.training, experiment.objective
    model = build(experiment, split)
    network = model.network if isinstance(model, models.Ensemble) else model
    images, labels = _training_images(experiment, split)
    x_test, y_test = network_evaluation.test_images(test)
    count, members = len(labels), experiment.members
    per_epoch = training.steps_per_epoch(count, config)
    state = training.init(key, network, objective, count, config, members)
    devices = devices or jax.devices()[:1]
    state = device_mesh.everywhere(state, device_mesh.mesh("batch", devices))
    state = run.restore(state) or state
    start = saved = int(np.max(state.step))
    logging.info("%s: from step %d", run.path, start)
    progress = Progress("training", config.epochs * per_epoch, start)
    began = time.monotonic()

    def on_segment(state: training.State, told: training.Progress) -> None:
        nonlocal saved, began
        seconds = time.monotonic() - began
        record = {"step": told.step, "epoch": round(told.epoch, 4)}
        record["seconds"] = round(seconds, 3)
        record |= {name: round(value, 6) for name, value in told.metrics.items()}
        note = ", ".join(f"{name} {value:.4g}" for name, value in told.metrics.items())
        epoch, inside = divmod(told.step, per_epoch)
        is_last = epoch == config.epochs
        is_due = inside == 0 and (epoch % checkpoint_every == 0 or is_last)
        if is_due and hosts.is_first():
            variables = device_mesh.own(training.variables(state))
            record |= network_evaluation.watched(
                experiment.evaluation,
                model.bind(variables),
                x_test,
                y_test,
            )
            note = f"test accuracy {record['test_accuracy']:.4f}"
        run.append_metrics([record])
        if is_due:
            run.save(told.step, state)
            saved = told.step
        progress.report(told.step, note)
        began = time.monotonic()

    try:
        return training.fit(
            key,
            network,
            objective,
            images,
            labels,
            config,
            state=state,
            on_segment=on_segment,
            devices=devices,
            members=members,
        )
    except training.DivergedError as error:
        last = f"the checkpoint of step {saved}" if saved else "no checkpoint"
        raise command_line.UserError(
            f"{run.path}: {error}; {last} was written before"
        ) from error


def _training_images(
    experiment: Experiment, split: data.Split
) -> tuple[jax.Array | np.ndarray, jax.Array | np.ndarray]:
    """As many as wanted, as they are stored; doubled by noise, as floats."""
    images, labels = _wanted(experiment.data, split)
    if experiment.data.noise > 0:
        clean = images.astype(np.float32) / 255
        return noise.doubled(experiment.seed, clean, labels, experiment.data.noise)
    return images, labels


def _load(wanted: Data, on_disk: bool) -> tuple[data.Split, data.Split]:
    """Loads what is trained on, or opens it where it is to stay on disk; and the test.

    Raises:
        command_line.UserError: it cannot be had, or does not go with `on_disk`.
    """
    if not on_disk:
        split, test = command_line.load_both(wanted)
        return split, test
    if wanted.noise > 0 or wanted.classes or wanted.name.endswith(".npz"):
        raise command_line.UserError(
            "--on_disk goes with prepared data sets, all of their classes, and no noise"
        )
    test = command_line.load(wanted, "test")
    try:
        return data.open_split(wanted.name, "train"), test
    except (ImportError, ValueError, data.DamagedError) as error:
        raise command_line.UserError(str(error)) from error


def _wanted(wanted: Data, split: data.Split) -> tuple[np.ndarray, np.ndarray]:
    count = wanted.count or len(split.labels)
    return split.images[:count], split.labels[:count]


def _devices(count: int | None) -> list[jax.Device]:
    """As many devices as asked for; of many hosts all."""
    there = jax.devices()
    if jax.process_count() > 1:
        if count is not None:
            raise command_line.UserError(
                "--devices does not go with --distributed, which takes all of them"
            )
        return there
    if count is None:
        return there if there[0].platform != "cpu" else there[:1]
    if count > len(there):
        raise command_line.UserError(
            f"--devices is {count}, but there are {len(there)} of them"
        )
    return there[:count]


if __name__ == "__main__":
    command_line.run(main, define_flags)
