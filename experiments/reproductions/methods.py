"""Reproductions that train several methods and compare them under attack."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.configs import network_presets as presets
from experiments.configs.network import Data, Evaluation, Experiment
from experiments.published import CIFAR10_LINF, MNIST_LINF, Published
from experiments.reproductions.plan import (
    NetworkRun,
    Reproduction,
    Results,
    Scale,
    write_table,
)
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import figures, robust_figures, tables
from zeroone_jax.evaluation.plans import PAPER, STRONGEST
from zeroone_jax.training import Config, Sgd, objectives
from zeroone_jax.training.objectives import Objective

_CONFIDENCES = (0.1, 0.3, 0.5, 0.7, 0.9)
_SEEDED = ("natural", "pgd", "trades", "sense_0.5")
_PUBLISHED = {"pgd": "PGD", "trades": "TRADES", "max_margin": "MMA", "friendly": "FAT"}


def mnist_runs(scale: Scale) -> list[NetworkRun]:
    """Every method on MNIST at equal epochs, and SENSE over its confidence."""
    methods = {
        "natural": presets.mnist("natural"),
        "pgd": presets.mnist("pgd"),
        "trades": presets.mnist("trades"),
        "sense_0.5": presets.mnist("sense", confidence=0.5),
        "mart": presets.mnist("mart"),
        "friendly": presets.mnist("friendly"),
        "instance_adaptive": presets.mnist("instance_adaptive"),
        "max_margin": presets.mnist("max_margin"),
        **{
            f"sense_{confidence}": presets.mnist("sense", confidence=confidence)
            for confidence in _CONFIDENCES
            if confidence != 0.5
        },
    }
    if scale == "paper":
        methods = {
            name: dataclasses.replace(
                experiment, network="small_cnn", training=_trades_schedule()
            )
            for name, experiment in methods.items()
        }
    runs = _runs(methods, scale)
    return runs + _more_seeds(runs) if scale == "laptop" else runs


def _trades_schedule() -> Config:
    return Config(
        epochs=100, optimizer=Sgd(learning_rate=0.01, milestones=(55, 75, 90))
    )


def comparison_runs(scale: Scale) -> list[NetworkRun]:
    """The methods on CIFAR-10: the small CNN, or WRN-34-10 at the paper's scale."""
    if scale == "paper":
        rows = {
            "pgd": presets.PRESETS["pgd"](),
            "trades": presets.PRESETS["trades"](),
            "mart": presets.PRESETS["mart"](),
            "max_margin": presets.PRESETS["mma_12"](),
            "instance_adaptive": presets.PRESETS["iaat"](),
            "friendly": presets.PRESETS["fat"](),
            "sense_0.5": presets.main(),
            "sense_0.7": presets.main(0.7, 250),
        }
        return _runs(rows, scale)
    trained: dict[str, Objective] = {
        "natural": objectives.natural(),
        # From the whole ball at once, PGD was at a constant still after 590 updates.
        "pgd": objectives.projected_gradient(ramp=1.0),
        "trades": objectives.trades(epsilon=8 / 255, step_size=2 / 255, ramp=1.0),
        "sense_0.5": objectives.sense(step_size=2 / 255, warm_up=1),
        "sense_0.7": objectives.sense(confidence=0.7, step_size=2 / 255, warm_up=1),
    }
    sgd = Sgd(learning_rate=0.02, milestones=(5,), weight_decay=2e-4)
    methods = {
        name: Experiment(
            data=Data(name="cifar10"),
            objective=objective,
            training=Config(epochs=6, optimizer=sgd, augment=True),
            evaluation=Evaluation(plan="standard", epsilon=8 / 255),
        )
        for name, objective in trained.items()
    }
    return _runs(methods, scale)


def capacity_runs(scale: Scale) -> list[NetworkRun]:
    """SENSE, c = .7, for networks of growing size."""
    if scale == "paper":
        rows = {
            f"resnet{depth}": presets.capacity(f"resnet{depth}")
            for depth in (20, 32, 44, 56)
        }
        return _runs(rows, scale)
    sense = next(run for run in comparison_runs(scale) if run.method == "sense_0.7")
    rows = {
        network: dataclasses.replace(sense.experiment, network=network)
        for network in ("lenet_narrow", "lenet_valid", "simple_net")
    }
    return _runs(rows, scale)


def sensitivity_runs(scale: Scale) -> list[NetworkRun]:
    """SENSE over its confidence; on CIFAR-10 and as long for each at paper scale."""
    if scale != "paper":
        found = [run for run in mnist_runs(scale) if run.method.startswith("sense_")]
        return [run for run in found if run.experiment.seed == 0]
    rows = {f"sense_{c}": presets.main(c) for c in _CONFIDENCES}
    return _runs(rows, scale)


def _runs(methods: Mapping[str, Experiment], scale: Scale) -> list[NetworkRun]:
    """One run of each method, cut down for a smoke test."""
    if scale == "smoke":
        methods = {name: smoke(experiment) for name, experiment in methods.items()}
    return [NetworkRun(name, experiment) for name, experiment in methods.items()]


def _more_seeds(first: list[NetworkRun]) -> list[NetworkRun]:
    """Two more seeds of the methods that stand for the rest."""
    return [
        # The suite meets one seed: that of others would show the same.
        NetworkRun(
            run.method,
            dataclasses.replace(
                run.experiment,
                seed=seed,
                evaluation=dataclasses.replace(
                    run.experiment.evaluation, suite_images=0
                ),
            ),
        )
        for seed in (1, 2)
        for run in first
        if run.method in _SEEDED
    ]


def smoke(experiment: Experiment) -> Experiment:
    """The same run in seconds: few images, one short epoch, few attacks."""
    config = dataclasses.replace(
        experiment.training,
        epochs=1,
        batch_size=64,
        optimizer=_replaced(experiment.training.optimizer, {"milestones": ()}),
    )
    changes: dict[str, Any] = {}
    if hasattr(experiment.objective, "steps"):
        changes["steps"] = 2
    if hasattr(experiment.objective, "warm_up"):
        changes["warm_up"] = 0
    return dataclasses.replace(
        experiment,
        network="lenet_narrow",
        dtype="float32",
        data=dataclasses.replace(experiment.data, count=256),
        objective=_replaced(experiment.objective, changes),
        training=config,
        evaluation=dataclasses.replace(
            experiment.evaluation, plan="quick", images=64, suite_images=64
        ),
    )


def _replaced(settings: Any, changes: Mapping[str, Any]) -> Any:
    return dataclasses.replace(settings, **changes)


def report(
    title: str,
    published: Mapping[str, Any],
    results: Results,
    folder: pathlib.Path,
    runs_dir: pathlib.Path,
) -> str:
    """Draws the table of methods, and SENSE's figure over its confidence.

    Args:
        title: of the table.
        published: others' results by method.
        results: of each method and seed.
        folder: where to write.
        runs_dir: not looked at.

    Returns:
        The table in markdown.
    """
    del runs_dir
    text = write_table(_table(title, published, results), folder)
    sweep = {
        float(name.removeprefix("sense_")): found
        for name, found in results.items()
        if name.startswith("sense_") and name.removeprefix("sense_")[0].isdigit()
    }
    if len(sweep) > 1:
        drawn = [_sweep(name, sweep) for name in (PAPER, STRONGEST)]
        with run_files.replacing(folder / "confidence.png") as path:
            figures.write(robust_figures.confidence_sweep(drawn), path)
    return text


def _table(title: str, published: Mapping[str, Any], results: Results) -> tables.Table:
    """One row a method: means over seeds, and deviations where there are several."""
    attacks = _common_attacks(results)
    header = [
        "method",
        "seeds",
        "natural",
        *(f"{name} ({images})" for name, images in attacks),
        "strongest",
        "gap to the paper's own",
        "others: natural / AutoAttack",
    ]
    cells = []
    for method, found in results.items():
        natural = [result["accuracy"]["test"] for result in found]
        row: list[Any] = [method, len(found), _mean(natural)]
        for name, images in attacks:
            row.append(_mean(_shares(found, name, images)))
        # Only seeds that met the suite have a strongest number worth the name.
        suite = [result for result in found if _shares([result], "auto_attack")]
        strongest = _shares(suite or found, STRONGEST)
        own = _shares(suite or found, PAPER)
        gap = float(np.mean(own) - np.mean(strongest))
        row += [_mean(strongest), gap, _others(published, method)]
        cells.append(row)
    return tables.Table(title, header, cells)


def _others(published: Mapping[str, Any], method: str) -> str:
    name = "SENSE" if method.startswith("sense_") else _PUBLISHED.get(method, "")
    known: Mapping[str, Published] = published.get(name, {})
    if not known:
        return "-"
    return f"{known['natural'].text} / {known[STRONGEST].text}"


def _common_attacks(results: Results) -> list[tuple[str, int]]:
    """Names and images of the attacks, in the plan's order."""
    return list(
        dict.fromkeys(
            (row["attack"], row["images"])
            for found in results.values()
            for result in found
            for row in result["rows"]
            if row["attack"] not in (PAPER, STRONGEST)
        )
    )


def _shares(
    found: Sequence[Mapping[str, Any]], attack: str, images: int | None = None
) -> list[float]:
    return [
        row["accuracy"]
        for result in found
        for row in result["rows"]
        if row["attack"] == attack and images in (None, row["images"])
    ]


def _mean(shares: Sequence[float]) -> str | None:
    if not shares:
        return None
    if len(shares) == 1:
        return f"{shares[0]:.4f}"
    return f"{np.mean(shares):.4f} ± {np.std(shares, ddof=1):.4f}"


def _sweep(
    attack: str, sweep: Mapping[float, Sequence[Mapping[str, Any]]]
) -> robust_figures.Sweep:
    rows = {
        confidence: next(row for row in found[0]["rows"] if row["attack"] == attack)
        for confidence, found in sorted(sweep.items())
    }
    return robust_figures.Sweep(
        attack,
        np.array(list(rows)),
        np.array([row["natural_accuracy"] for row in rows.values()]),
        np.array([row["accuracy"] for row in rows.values()]),
        np.array([row["standard_error"] for row in rows.values()]),
    )


def _reproduction(
    runs: Any, title: str, published: Mapping[str, Any] | None = None
) -> Reproduction:
    return Reproduction(runs, functools.partial(report, title, published or {}))


MNIST = _reproduction(
    mnist_runs, "MNIST, Linf .3, equal epochs for every method", MNIST_LINF
)
SENSITIVITY = _reproduction(sensitivity_runs, "SENSE over its confidence c")
CAPACITY = _reproduction(capacity_runs, "CIFAR-10, Linf 8/255, SENSE c = .7")
COMPARISON = _reproduction(
    comparison_runs,
    "CIFAR-10, Linf 8/255, equal epochs below paper scale",
    CIFAR10_LINF,
)
