"""Evaluates a network, while it is trained and afterwards, and writes what came out."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, data, runs
from zeroone_jax.evaluation import (
    plans,
    robust_accuracy,
    robust_figures,
    robust_tables,
    tables,
)
from zeroone_jax.types import Array, LogitsFn

from . import pieces
from .configs.network import Evaluation, Experiment
from .progress import Progress

SUITE = "auto_attack"
_WATCHED, _WATCHING_STEPS = 1000, 10
_CHUNK = 1000


def plan(settings: Evaluation, available: int) -> attacks.suite.Suite:
    """Makes the plan of attacks.

    Args:
        settings: which, and how much of it.
        available: how many test images there are.
    """
    if settings.plan == "quick":
        made = plans.quick(settings.epsilon)
    elif settings.plan == "standard":
        made = plans.standard(settings.epsilon, _step(settings.epsilon))
    elif settings.plan == "thorough":
        made = plans.thorough(settings.epsilon, settings.epsilon / 4)
    else:
        kind = plans.mnist if _is_wide(settings.epsilon) else plans.cifar10
        made = kind(settings.epsilon)
    if settings.plan != "quick" and settings.suite_images == 0:
        made = made.without(SUITE)
    stages = tuple(
        dataclasses.replace(stage, first=settings.suite_images)
        if stage.name == SUITE
        else stage
        for stage in made.stages
    )
    made = dataclasses.replace(made, stages=stages)
    return made.limited_to(min(settings.images, available))


def _is_wide(epsilon: float) -> bool:
    """Whether a ball is of the size that is usual on MNIST, not on CIFAR-10."""
    return epsilon > 0.1


def _step(epsilon: float) -> float:
    """PGD's step as papers have it (B5): .01 of .3 on MNIST, 2/255 of 8/255."""
    return epsilon / 30 if _is_wide(epsilon) else epsilon / 4


def test_images(split: data.Split) -> tuple[Array, Array]:
    """Images float32 [n, height, width, channels] in [0,1], and labels i32 [n]."""
    return jnp.asarray(split.images, jnp.float32) / 255, jnp.asarray(split.labels)


def accuracy(
    logits_fn: LogitsFn, images: Array | np.ndarray, labels: Array | np.ndarray
) -> float:
    """The share of images labelled right, counted exactly, a chunk at a time.

    Args:
        logits_fn: the network.
        images: uint8 [n, height, width, channels], or float in [0,1].
        labels: i32 [n].
    """

    def outputs(x: Array) -> Array:
        return logits_fn(x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x)

    found = attacks.predict(outputs, jnp.asarray(images), _CHUNK)
    return float(np.mean(np.asarray(found) == np.asarray(labels)))


def watched(
    settings: Evaluation, logits_fn: LogitsFn, x: Array, y: Array
) -> dict[str, float]:
    """Looks at a network in training: accuracy on all images, under PGD-10 on 1,000.

    Args:
        settings: with the ball's radius.
        logits_fn: the network.
        x: float [n, height, width, channels] in [0,1], the test images.
        y: i32 [n].

    Returns:
        "test_accuracy" and "test_accuracy_pgd_10".
    """
    attack = attacks.pgd(
        epsilon=settings.epsilon,
        step_size=settings.epsilon / 4,
        iterations=_WATCHING_STEPS,
        fit_box=False,
        loss="cross_entropy",
    )
    found = attack(jax.random.key(0), logits_fn, x[:_WATCHED], y[:_WATCHED])
    return {
        "test_accuracy": accuracy(logits_fn, x, y),
        "test_accuracy_pgd_10": float(np.mean(~np.asarray(found.success))),
    }


def evaluate(
    run: runs.RunDirectory,
    experiment: Experiment,
    logits_fn: LogitsFn,
    x: Array,
    y: Array,
) -> list[robust_accuracy.Row]:
    """Attacks as planned; what an earlier session did is read from its files.

    Args:
        run: the open run directory, which fills with evaluation/ATTACK.json.
        experiment: the settings.
        logits_fn: the network.
        x: as for `watched`.
        y: as for `watched`.

    Returns:
        The plan's rows.
    """
    folder = run.path / "evaluation"
    folder.mkdir(exist_ok=True)
    key = jax.random.key(experiment.seed)
    planned = plan(experiment.evaluation, len(x))
    progress = Progress("attacking", len(planned.stages))

    def evaluated(name: str) -> dict[str, Any]:
        found = robust_accuracy.evaluate_one(key, logits_fn, x, y, planned, name)
        return robust_accuracy.as_json(found)

    outcomes = []
    for done, attack in enumerate(planned.stages, 1):
        make = functools.partial(evaluated, attack.name)
        record = pieces.record(folder / f"{attack.name}.json", make)
        outcomes.append(robust_accuracy.from_json(record))
        share = float(np.mean(outcomes[-1].robust))
        progress.report(done, f"{attack.name} leaves {share:.4f}")
    return robust_accuracy.summarize(outcomes, planned)


def course(metrics: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """How training went, epoch by epoch.

    Args:
        metrics: the run directory's records: each of the updates since the one before.

    Returns:
        For each epoch the mean of what training told of every update, and what was
        seen of the test images at its end, if anything was.
    """
    epochs: dict[int, list[tuple[float, Mapping[str, float]]]] = {}
    before = 0.0
    for record in metrics:
        updates, before = record["step"] - before, record["step"]
        epochs.setdefault(math.ceil(record["epoch"]), []).append((updates, record))
    return [{"epoch": number, **_means(records)} for number, records in epochs.items()]


def _means(records: Sequence[tuple[float, Mapping[str, float]]]) -> dict[str, float]:
    """Each number's mean over the updates of the records that have it."""
    names = {name for _, record in records for name in record}
    means = {}
    for name in sorted(names - {"step", "epoch", "seconds"}):
        met = [(updates, one[name]) for updates, one in records if name in one]
        total = sum(updates for updates, _ in met)
        means[name] = round(sum(updates * value for updates, value in met) / total, 6)
    return means


def write(
    run: runs.RunDirectory,
    experiment: Experiment,
    rows: Sequence[robust_accuracy.Row],
    accuracies: Mapping[str, float],
    seconds: float,
) -> None:
    """Writes all that the run directory still lacks.

    Args:
        run: the open run directory.
        experiment: the settings.
        rows: the evaluation's.
        accuracies: of the network without attack, by the split's name.
        seconds: what this session took.
    """
    objective = type(experiment.objective).__name__
    title = f"{experiment.network}, {objective}"
    lines = [f"accuracy on {name}: {share:.4f}" for name, share in accuracies.items()]
    table = tables.markdown(robust_tables.one_network(title, rows))
    reasons = robust_tables.warnings({title: rows})
    text = "\n".join([table, "", *lines, "", reasons]).rstrip() + "\n"
    pieces.write(run.path / "accuracy.md", text)
    metrics = run.metrics()
    watched = [record for record in metrics if "test_accuracy" in record]
    if watched:
        columns = (
            np.array([record[name] for record in watched])
            for name in ("epoch", "test_accuracy", "test_accuracy_pgd_10")
        )
        curve = robust_figures.AccuracyCurve(objective, *columns)
        figure = robust_figures.accuracy_curves([curve], "PGD-10")
        pieces.write(run.path / "curves.png", figure)
    run.finish(
        {
            "config": runs.read_settings(run.path),
            "accuracy": dict(accuracies),
            "rows": [row._asdict() for row in rows],
            "seconds": round(seconds, 1),
            "training_seconds": round(sum(one.get("seconds", 0) for one in metrics), 1),
            "epochs": course(metrics),
            "session": run.sessions()[-1],
        }
    )
