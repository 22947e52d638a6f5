"""The runs of studies that compare methods of training under attack."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from zeroone_jax.training import Config, Sgd, objectives
from zeroone_jax.training.objectives import Objective

from ...configs import cifar10_presets, mnist_presets
from ...configs import network_presets as presets
from ...configs.network import Data, Evaluation, Experiment
from ...published import CIFAR10_LINF, MNIST_LINF
from ...studies.columns import Columns, spread
from ...studies.study import SCALES, Scale
from ...studies.training_run import TrainingRun
from .method_tables import SENSE, study

NetworkRun: TypeAlias = TrainingRun[Experiment]

_CONFIDENCES = (0.1, 0.3, 0.5, 0.7, 0.9)
_SEEDED = ("natural", "pgd", "trades", "sense_0.5")
_OTHERS = ("mart", "friendly", "instance_adaptive", "max_margin")
_SENSES = tuple(f"{SENSE}{c}" for c in _CONFIDENCES if c != 0.5)
_OVERNIGHT = (
    "natural",
    "pgd",
    "sense_0.5",
    "trades",
    "sense_0.7",
    "sense_0.3",
    "friendly",
)
_LATER = ("fast", "noisy_fast", "gradient_alignment", "weight_perturbation")
_PRESETS = {
    "pgd": "pgd",
    "trades": "trades",
    "mart": "mart",
    "max_margin": "mma_12",
    "instance_adaptive": "iaat",
    "friendly": "fat",
}
_TRADES_SCHEDULE = Config(
    epochs=100, optimizer=Sgd(learning_rate=0.01, milestones=(55, 75, 90))
)


def mnist_runs(scale: Scale) -> list[NetworkRun]:
    """Every method on MNIST at equal epochs, and SENSE over its confidence."""
    methods = _made(mnist_presets.mnist, (*_SEEDED, *_OTHERS, *_SENSES))
    if scale == "paper":
        methods = {
            name: dataclasses.replace(
                experiment, network="small_cnn", training=_TRADES_SCHEDULE
            )
            for name, experiment in methods.items()
        }
    runs = _runs(methods, scale)
    return runs + _more_seeds(methods) if scale == "laptop" else runs


def speedrun_runs(scale: Scale) -> list[NetworkRun]:
    """Every method on MNIST in equal time, and one run that goes on for longer."""
    names = (*_SEEDED, *_SENSES, *_OTHERS, *_LATER)
    methods = _made(mnist_presets.speedrun, names)
    longer = {"pgd_longer": presets.PRESETS["mnist_speedrun"]()}
    runs = _runs(longer | methods, scale)
    return runs if scale == "smoke" else runs + _more_seeds(methods)


def contrast_runs(scale: Scale) -> list[NetworkRun]:
    """The main methods, on a network that stretches contrast."""
    names = ("pgd", "sense_0.5", "trades", "natural")
    return _runs(_made(mnist_presets.contrast, names), scale)


def _made(
    make: Callable[..., Experiment], names: Sequence[str]
) -> dict[str, Experiment]:
    """A run of each method; of SENSE by the confidence in its name."""
    return {
        name: make("sense", confidence=float(name.removeprefix(SENSE)))
        if name.startswith(SENSE)
        else make(name)
        for name in names
    }


def comparison_runs(scale: Scale) -> list[NetworkRun]:
    """The methods on CIFAR-10, by networks of three sizes.

    They are a small CNN on a laptop, a ResNet-8 overnight, and the paper's WRN-34-10.
    """
    if scale == "overnight":
        return _runs(_made(cifar10_presets.cifar10, _OVERNIGHT), scale)
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


def sensitivity_runs(scale: Scale) -> list[NetworkRun]:
    """SENSE over its confidence; on CIFAR-10 and as long for each at paper scale."""
    if scale != "paper":
        found = [run for run in mnist_runs(scale) if run.method.startswith(SENSE)]
        return [run for run in found if run.seed == 0]
    return _runs({f"{SENSE}{c}": presets.main(c) for c in _CONFIDENCES}, scale)


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


_COST: Columns = {
    "epochs": lambda row: row["seeds"][0]["config"]["training"]["epochs"],
    "training (min)": lambda row: spread(
        np.array([seed["training_seconds"] / 60 for seed in row["seeds"]]), 1
    ),
}

SPEEDRUN = study(
    speedrun_runs, "MNIST, Linf .3, equal time for every method", MNIST_LINF, _COST
)
CONTRAST = study(
    contrast_runs,
    "MNIST, Linf .3, a network that stretches contrast, equal epochs",
    MNIST_LINF,
    _COST,
)
MNIST = study(mnist_runs, "MNIST, Linf .3, equal epochs for every method", MNIST_LINF)
SENSITIVITY = study(sensitivity_runs, "SENSE over its confidence c")
COMPARISON = study(
    comparison_runs,
    "CIFAR-10, Linf 8/255, equal epochs below paper scale",
    CIFAR10_LINF,
    scales=SCALES,
)
