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
the same settings, and ends with the very same network on the same hardware.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags, logging

from experiments import command_line, network_report, run_directory
from experiments.configs import network_presets
from experiments.configs.network import Experiment
from experiments.progress import Progress
from zeroone_jax import data, models, runs, training


def define_flags(argv: Sequence[str]) -> Callable[[], Experiment]:
    """Defines the flags of this launcher.

    Args:
        argv: the command line.

    Returns:
        A function that gives the settings once flags are parsed.
    """
    run_directory.define_flags("runs/PRESET-seedSEED")
    flags.DEFINE_integer(
        "checkpoint_every", 1, "Epochs between checkpoints.", lower_bound=1
    )
    flags.DEFINE_integer(
        "devices",
        None,
        "Devices to split batches over. Default: every accelerator, or the processor.",
        lower_bound=1,
    )
    command_line.define_data_dir()
    return command_line.define_settings(network_presets.PRESETS, argv)


def main(settings: Callable[[], Experiment]) -> None:
    """Runs the launcher.

    Args:
        settings: what `define_flags` returned.
    """
    options = flags.FLAGS
    experiment = settings()
    default = f"{options.preset}-seed{experiment.seed}"
    with run_directory.opened(default, as_json(experiment)) as run:
        if run.summary() is None:
            fill(
                experiment,
                run,
                options.checkpoint_every,
                _devices(options.devices),
                options.data_dir,
            )
        print((run.path / "accuracy.md").read_text())
        print(f"Run directory: {run.path}")


def as_json(experiment: Experiment) -> dict[str, Any]:
    """Gives the settings as JSON's types, with the objective's name."""
    settings = dataclasses.asdict(experiment)
    name = type(experiment.objective).__name__
    return {**settings, "objective": {"name": name, **settings["objective"]}}


def fill(
    experiment: Experiment,
    run: runs.RunDirectory,
    checkpoint_every: int = 1,
    devices: Sequence[jax.Device] | None = None,
    data_dir: str | None = None,
) -> None:
    """Trains, from the last checkpoint if there is one, attacks, and writes it all.

    Args:
        experiment: the settings.
        run: the open run directory.
        checkpoint_every: epochs between checkpoints.
        devices: what to split batches over; the first device if None.
        data_dir: folder of prepared data sets; None for the usual one.

    Raises:
        command_line.UserError: the data cannot be loaded, the settings do not go
            together, or the loss is not finite.
    """
    began = time.monotonic()
    wanted = experiment.data
    split, test = (
        command_line.load(wanted.name, name, wanted.classes, data_dir)
        for name in ("train", "test")
    )
    if wanted.count:
        split = split._replace(
            images=split.images[: wanted.count], labels=split.labels[: wanted.count]
        )
    x, y = network_report.test_images(test)
    try:
        network = build(experiment.network, experiment.dtype, split)
        state = _train(
            experiment, network, run, split, (x, y), checkpoint_every, devices
        )
    except ValueError as error:
        raise command_line.UserError(str(error)) from error
    variables = training.variables(state)
    network_report.save_network(run.path / "network.npz", variables)
    logits_fn = network.logits_fn(variables)
    planned = network_report.plan(experiment.evaluation, len(x))
    progress = Progress("attacking", len(planned.attacks))
    rows = network_report.evaluate(
        run, experiment.seed, planned, logits_fn, (x, y), progress.report
    )
    accuracies = {
        "train": network_report.accuracy(logits_fn, split.images, split.labels),
        "test": network_report.accuracy(logits_fn, x, y),
    }
    seconds = time.monotonic() - began
    network_report.write(run, as_json(experiment), rows, accuracies, seconds)


def build(name: str, dtype: str, split: data.Split) -> models.Network:
    """Makes the network for a data set's images.

    Args:
        name: one of the registry's.
        dtype: "float32" or "bfloat16", what it computes in.
        split: the images, for their shape and classes.

    Raises:
        ValueError: the network is unknown, or the images do not suit it.
    """
    height, width, channels = split.images.shape[1:]
    return models.build(
        name,
        (height, width, channels),
        len(split.class_names),
        jnp.bfloat16 if dtype == "bfloat16" else None,
    )


def _train(
    experiment: Experiment,
    network: models.Network,
    run: runs.RunDirectory,
    split: data.Split,
    test: tuple[jax.Array, jax.Array],
    checkpoint_every: int,
    devices: Sequence[jax.Device] | None,
) -> training.State:
    """Trains, and leaves metrics and checkpoints."""
    key = jax.random.key(experiment.seed)
    config, objective = experiment.training, experiment.objective
    count = len(split.labels)
    per_epoch = training.steps_per_epoch(count, config)
    state = training.init(key, network, objective, count, config)
    state = run.restore(state) or state
    start = saved = int(state.step)
    logging.info("%s: from step %d", run.path, start)
    progress = Progress("training", config.epochs * per_epoch, start)

    def on_segment(state: training.State, told: training.Progress) -> None:
        nonlocal saved
        record = {"step": told.step, "epoch": round(told.epoch, 4)}
        record |= {name: round(value, 6) for name, value in told.metrics.items()}
        note = ", ".join(f"{name} {value:.4g}" for name, value in told.metrics.items())
        epoch, inside = divmod(told.step, per_epoch)
        if inside == 0:
            logits_fn = network.logits_fn(training.variables(state))
            record |= network_report.watched(experiment.evaluation, logits_fn, *test)
            note = f"test accuracy {record['test_accuracy']:.4f}"
        run.append_metrics([record])
        if inside == 0 and (epoch % checkpoint_every == 0 or epoch == config.epochs):
            run.save(told.step, state)
            saved = told.step
        progress.report(told.step, note)

    try:
        return training.fit(
            key,
            network,
            objective,
            split.images,
            split.labels,
            config,
            state=state,
            on_segment=on_segment,
            devices=devices,
        )
    except training.DivergedError as error:
        last = f"the checkpoint of step {saved}" if saved else "no checkpoint"
        raise command_line.UserError(
            f"{run.path}: {error}; {last} was written before"
        ) from error


def _devices(count: int | None) -> list[jax.Device]:
    """As many devices as asked for."""
    there = jax.devices()
    if count is None:
        return there if there[0].platform != "cpu" else there[:1]
    if count > len(there):
        raise command_line.UserError(
            f"--devices is {count}, but there are {len(there)} of them"
        )
    return there[:count]


if __name__ == "__main__":
    command_line.run(main, define_flags)
