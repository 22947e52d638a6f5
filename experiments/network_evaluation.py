"""Evaluates a network, while it is trained and afterwards, and writes what came out."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pieces
from experiments.configs.network import Evaluation, Experiment
from zeroone_jax import attacks, data, losses, runs
from zeroone_jax.evaluation import (
    figures,
    plans,
    robust_accuracy,
    robust_figures,
    robust_tables,
    tables,
)
from zeroone_jax.models import network as networks
from zeroone_jax.types import Array, Key, LogitsFn

SUITE = "auto_attack"
_WATCHED, _WATCHING_STEPS = 1000, 10
_CHUNK = 1000


def plan(settings: Evaluation, available: int) -> attacks.suite.Suite:
    """Makes the plan of attacks.

    Args:
        settings: which, and how much of it.
        available: how many test images there are.
    """
    made = {
        "quick": lambda: plans.quick(settings.epsilon),
        "standard": lambda: plans.standard(settings.epsilon, settings.epsilon / 30),
        "paper": lambda: (
            plans.mnist(settings.epsilon)
            if settings.epsilon > 0.1
            else plans.cifar10(settings.epsilon)
        ),
    }[settings.plan]()
    if settings.plan != "quick":
        if settings.suite_images == 0:
            made = made.without(SUITE)
        else:
            limited = tuple(
                dataclasses.replace(stage, first=settings.suite_images)
                if stage.name == SUITE
                else stage
                for stage in made.stages
            )
            made = dataclasses.replace(made, stages=limited)
    return made.limited_to(min(settings.images, available))


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
    chunks = [slice(first, first + _CHUNK) for first in range(0, len(images), _CHUNK)]
    right = [_right(logits_fn, images[chunk], labels[chunk]) for chunk in chunks]
    return float(np.mean(np.concatenate(right)))


@jax.jit
def _right(logits_fn: Any, x: Array, y: Array) -> Array:
    if x.dtype == jnp.uint8:
        x = x.astype(jnp.float32) / 255
    return losses.labels(logits_fn(x)) == y


def watched(
    settings: Evaluation, logits_fn: LogitsFn, climbed: LogitsFn, x: Array, y: Array
) -> dict[str, float]:
    """Looks at a network in training: accuracy on all images, under PGD-10 on 1,000.

    Args:
        settings: with the ball's radius.
        logits_fn: the network.
        climbed: what PGD attacks: the network, or one with slopes that stands for it.
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
    found = attack(jax.random.key(0), climbed, x[:_WATCHED], y[:_WATCHED])
    return {
        "test_accuracy": accuracy(logits_fn, x, y),
        "test_accuracy_pgd_10": float(np.mean(~np.asarray(found.success))),
    }


def evaluate(
    run: runs.RunDirectory,
    seed: int,
    planned: attacks.suite.Suite,
    logits_fn: LogitsFn,
    images: tuple[Array, Array],
    on_attack: Callable[[int, str], None],
) -> list[robust_accuracy.Row]:
    """Attacks by the plan; what an earlier session did is read from its files.

    Args:
        run: the open run directory, which fills with evaluation/ATTACK.json.
        seed: of the attacks.
        planned: the attacks.
        logits_fn: the network.
        images: the test images, float [n, height, width, channels] in [0,1], and their
            labels, i32 [n].
        on_attack: told how many attacks are done, and what the last one left.

    Returns:
        The plan's rows.
    """
    folder = run.path / "evaluation"
    folder.mkdir(exist_ok=True)
    key = jax.random.key(seed)
    outcomes = []
    for index, attack in enumerate(planned.stages):
        make = functools.partial(
            _evaluated, key, logits_fn, images, planned, attack.name
        )
        record = pieces.record(folder / f"{attack.name}.json", make)
        outcome = robust_accuracy.from_json(record)
        outcomes.append(outcome)
        share = float(np.mean(outcome.robust))
        on_attack(index + 1, f"{attack.name} leaves {share:.4f}")
    return robust_accuracy.summarize(outcomes, planned)


def _evaluated(
    key: Key,
    logits_fn: LogitsFn,
    images: tuple[Array, Array],
    planned: attacks.suite.Suite,
    name: str,
) -> dict[str, Any]:
    """Attacks by one attack of the plan, and gives the outcome as JSON's types."""
    outcome = robust_accuracy.evaluate_one(key, logits_fn, *images, planned, name)
    return robust_accuracy.as_json(outcome)


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
    with runs.replacing(run.path / "accuracy.md") as path:
        path.write_text("\n".join([table, "", *lines, "", reasons]).rstrip() + "\n")
    watched = [record for record in run.metrics() if "test_accuracy" in record]
    if watched:
        curve = robust_figures.AccuracyCurve(
            objective,
            np.array([record["epoch"] for record in watched]),
            np.array([record["test_accuracy"] for record in watched]),
            np.array([record["test_accuracy_pgd_10"] for record in watched]),
        )
        with runs.replacing(run.path / "curves.png") as path:
            figures.write(robust_figures.accuracy_curves([curve], "PGD-10"), path)
    run.finish(
        {
            "config": runs.read_settings(run.path),
            "accuracy": dict(accuracies),
            "rows": [row._asdict() for row in rows],
            "seconds": round(seconds, 1),
            "session": run.sessions()[-1],
        }
    )


def save_network(path: pathlib.Path, variables: networks.Variables) -> None:
    """Writes a network's variables, completely or not at all."""
    with runs.replacing(path) as partial:
        networks.save(partial, variables)
