"""Studies that train several methods and compare them under attack."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from zeroone_jax.evaluation import robust_figures, tables
from zeroone_jax.evaluation.plans import PAPER, STRONGEST
from zeroone_jax.training import Config, Sgd, objectives
from zeroone_jax.training.objectives import Objective

from ...configs import network_presets as presets
from ...configs.network import Data, Evaluation, Experiment
from ...published import CIFAR10_LINF, MNIST_LINF, Published
from ...studies.columns import Columns, at, spread, table
from ...studies.study import Drawn, Row, Scale, Study
from ...studies.training_run import TrainingRun

NetworkRun: TypeAlias = TrainingRun[Experiment]

_SENSE = "sense_"
_CONFIDENCES = (0.1, 0.3, 0.5, 0.7, 0.9)
_SEEDED = ("natural", "pgd", "trades", "sense_0.5")
_MNIST = (
    *_SEEDED,
    *("mart", "friendly", "instance_adaptive", "max_margin"),
    *(f"{_SENSE}{confidence}" for confidence in _CONFIDENCES if confidence != 0.5),
)
_PRESETS = {
    "pgd": "pgd",
    "trades": "trades",
    "mart": "mart",
    "max_margin": "mma_12",
    "instance_adaptive": "iaat",
    "friendly": "fat",
}
_PUBLISHED = {"pgd": "PGD", "trades": "TRADES", "max_margin": "MMA", "friendly": "FAT"}
_TRADES_SCHEDULE = Config(
    epochs=100, optimizer=Sgd(learning_rate=0.01, milestones=(55, 75, 90))
)


def mnist_runs(scale: Scale) -> list[NetworkRun]:
    """Every method on MNIST at equal epochs, and SENSE over its confidence."""
    methods = {
        name: presets.mnist("sense", confidence=float(name.removeprefix(_SENSE)))
        if name.startswith(_SENSE)
        else presets.mnist(name)
        for name in _MNIST
    }
    if scale == "paper":
        methods = {
            name: dataclasses.replace(
                experiment, network="small_cnn", training=_TRADES_SCHEDULE
            )
            for name, experiment in methods.items()
        }
    runs = _runs(methods, scale)
    return runs + _more_seeds(methods) if scale == "laptop" else runs


def comparison_runs(scale: Scale) -> list[NetworkRun]:
    """The methods on CIFAR-10: the small CNN, or WRN-34-10 at the paper's scale."""
    if scale == "paper":
        rows = {name: presets.PRESETS[preset]() for name, preset in _PRESETS.items()}
        sense = {"sense_0.5": presets.main(), "sense_0.7": presets.main(0.7, 250)}
        return _runs(rows | sense, scale)
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
        names = [f"resnet{depth}" for depth in (20, 32, 44, 56)]
        return _runs({name: presets.capacity(name) for name in names}, scale)
    sense = next(run for run in comparison_runs(scale) if run.method == "sense_0.7")
    rows = {
        network: dataclasses.replace(sense.experiment, network=network)
        for network in ("lenet_narrow", "lenet_valid", "simple_net")
    }
    return _runs(rows, scale)


def sensitivity_runs(scale: Scale) -> list[NetworkRun]:
    """SENSE over its confidence; on CIFAR-10 and as long for each at paper scale."""
    if scale != "paper":
        found = [run for run in mnist_runs(scale) if run.method.startswith(_SENSE)]
        return [run for run in found if run.seed == 0]
    return _runs({f"{_SENSE}{c}": presets.main(c) for c in _CONFIDENCES}, scale)


def _runs(methods: Mapping[str, Experiment], scale: Scale) -> list[NetworkRun]:
    """One run of each method, cut down for a smoke test."""
    if scale == "smoke":
        methods = {name: smoke(experiment) for name, experiment in methods.items()}
    return [TrainingRun(name, experiment) for name, experiment in methods.items()]


def _more_seeds(methods: Mapping[str, Experiment]) -> list[NetworkRun]:
    """Two more seeds of the methods that stand for the rest."""
    # The suite meets one seed: that of others would show the same.
    without = {
        name: dataclasses.replace(methods[name].evaluation, suite_images=0)
        for name in _SEEDED
    }
    return [
        TrainingRun(
            name, dataclasses.replace(methods[name], seed=seed, evaluation=evaluation)
        )
        for seed in (1, 2)
        for name, evaluation in without.items()
    ]


def smoke(experiment: Experiment) -> Experiment:
    """The same run in seconds: few images, one short epoch, few attacks."""
    short = {"steps": 2, "warm_up": 0}
    return dataclasses.replace(
        experiment,
        network="lenet_narrow",
        dtype="float32",
        data=dataclasses.replace(experiment.data, count=256),
        objective=_changed(experiment.objective, **short),
        training=dataclasses.replace(
            experiment.training,
            epochs=1,
            batch_size=64,
            optimizer=_changed(experiment.training.optimizer, milestones=()),
        ),
        evaluation=dataclasses.replace(
            experiment.evaluation, plan="quick", images=64, suite_images=64
        ),
    )


def _changed(settings: Any, **changes: Any) -> Any:
    """The same settings with those of the changes that they have."""
    known = {name: value for name, value in changes.items() if hasattr(settings, name)}
    return dataclasses.replace(settings, **known)


def _table(
    title: str, published: Mapping[str, Any], rows: Sequence[Row]
) -> list[tables.Table]:
    """A row a method: means over seeds, and deviations where there are several."""
    methods: dict[str, list[Row]] = {}
    for row in rows:
        methods.setdefault(row["method"], []).append(row)
    # Attacks in the plan's order, each on its number of images.
    attacks = dict.fromkeys(
        (found["attack"], found["images"])
        for of_seeds in methods.values()
        for row in of_seeds
        for found in row["rows"]
        if found["attack"] not in (PAPER, STRONGEST)
    )
    columns: Columns = {
        "method": at("method"),
        "seeds": lambda row: len(row["seeds"]),
        "natural": lambda row: _mean(
            [seed["accuracy"]["test"] for seed in row["seeds"]]
        ),
        **{
            f"{attack} ({images})": functools.partial(_under, attack, images)
            for attack, images in attacks
        },
        "strongest": lambda row: _mean(_shares(_with_suite(row), STRONGEST)),
        "gap to the paper's own": _gap,
        "others: natural / AutoAttack": functools.partial(_others, published),
    }
    grouped = [{"method": name, "seeds": seeds} for name, seeds in methods.items()]
    return [table(title, grouped, columns)]


def _shares(
    seeds: Sequence[Row], attack: str, images: int | None = None
) -> list[float]:
    return [
        found["accuracy"]
        for seed in seeds
        for found in seed["rows"]
        if found["attack"] == attack and images in (None, found["images"])
    ]


def _under(attack: str, images: int, row: Row) -> str | None:
    return _mean(_shares(row["seeds"], attack, images))


def _with_suite(row: Row) -> Sequence[Row]:
    """Only seeds that met the suite have a strongest number worth the name."""
    met = [seed for seed in row["seeds"] if _shares([seed], "auto_attack")]
    return met or row["seeds"]


def _gap(row: Row) -> float:
    own, strongest = (
        np.mean(_shares(_with_suite(row), attack)) for attack in (PAPER, STRONGEST)
    )
    return float(own - strongest)


def _others(published: Mapping[str, Any], row: Row) -> str:
    method = row["method"]
    name = "SENSE" if method.startswith(_SENSE) else _PUBLISHED.get(method, "")
    known: Mapping[str, Published] = published.get(name, {})
    return f"{known['natural'].text} / {known[STRONGEST].text}" if known else "-"


def _mean(shares: Sequence[float]) -> str | None:
    return spread(np.array(shares), 4)


def _confidence(rows: Sequence[Row]) -> Drawn:
    """Draws SENSE over its confidence, where there are several."""
    sweep: dict[float, Row] = {}
    for row in rows:
        confidence = row["method"].removeprefix(_SENSE)
        if confidence[0].isdigit():
            sweep.setdefault(float(confidence), row)
    if len(sweep) < 2:
        return None
    drawn = []
    for attack in (PAPER, STRONGEST):
        found = [
            next(found for found in row["rows"] if found["attack"] == attack)
            for _, row in sorted(sweep.items())
        ]
        values = (
            np.array([one[name] for one in found])
            for name in ("natural_accuracy", "accuracy", "standard_error")
        )
        drawn.append(robust_figures.Sweep(attack, np.array(sorted(sweep)), *values))
    return robust_figures.confidence_sweep(drawn)


def _study(runs: Any, title: str, published: Mapping[str, Any] | None = None) -> Study:
    return Study(
        runs=runs,
        tables={"table.md": functools.partial(_table, title, published or {})},
        figures={"confidence.png": _confidence},
    )


MNIST = _study(mnist_runs, "MNIST, Linf .3, equal epochs for every method", MNIST_LINF)
SENSITIVITY = _study(sensitivity_runs, "SENSE over its confidence c")
CAPACITY = _study(capacity_runs, "CIFAR-10, Linf 8/255, SENSE c = .7")
COMPARISON = _study(
    comparison_runs,
    "CIFAR-10, Linf 8/255, equal epochs below paper scale",
    CIFAR10_LINF,
)
