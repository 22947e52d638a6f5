"""Paper B's abstract on capacity: what do methods keep on small networks?

"Does not collapse even with a small model capacity": natural accuracy and AutoAttack
against the number of parameters. Below the paper's scale it is one architecture at five
widths on MNIST, by several methods, with the whole ball from the first update and with
a ball that grows; at the paper's, SENSE for the four ResNets of B3.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from zeroone_jax import models
from zeroone_jax.evaluation import robust_figures, tables
from zeroone_jax.evaluation.plans import STRONGEST

from ...configs import mnist_presets, network_presets
from ...configs.network import Evaluation, Experiment
from ...studies.columns import Columns, at, spread, table
from ...studies.study import Drawn, Row, Scale, Study
from ...studies.training_run import TrainingRun
from . import methods

_WIDTHS = (1, 2, 4, 8, 16)
# These two have three seeds: the claim is about small networks.
_SMALL = _WIDTHS[:2]
_EPOCHS, _GROWING_EPOCHS = 8, 3.0
_TRAINED: Mapping[str, dict[str, Any]] = {
    "pgd": {"method": "pgd"},
    "trades": {"method": "trades"},
    "sense_0.5": {"method": "sense", "confidence": 0.5, "warm_up": 0},
    "sense_0.7": {"method": "sense", "confidence": 0.7, "warm_up": 0},
}
_GROWING = "_growing"


def runs(scale: Scale) -> list[methods.NetworkRun]:
    """Every method at every width, the smallest widths first; or the paper's."""
    if scale == "paper":
        return [
            TrainingRun(
                f"sense_0.7_{depth}", network_presets.capacity(f"resnet{depth}")
            )
            for depth in (20, 32, 44, 56)
        ]
    made: list[methods.NetworkRun] = []
    for width in _WIDTHS:
        seeds = (0, 1, 2) if width in _SMALL and scale != "smoke" else (0,)
        made += [
            TrainingRun(f"{name}_{width}", dataclasses.replace(experiment, seed=seed))
            for seed in seeds
            for name, experiment in _of_width(width).items()
        ]
    if scale != "smoke":
        return made
    return [
        dataclasses.replace(run, experiment=methods.smoke(run.experiment))
        for run in made[: len(_of_width(1))]
    ]


def _of_width(width: int) -> dict[str, Experiment]:
    """The methods at one width, with the whole ball and with a growing one."""
    made = {"natural": mnist_presets.speedrun("natural", _EPOCHS)}
    for (name, settings), (suffix, ramp) in itertools.product(
        _TRAINED.items(), (("", 0.0), (_GROWING, _GROWING_EPOCHS))
    ):
        made[name + suffix] = mnist_presets.speedrun(
            epochs=_EPOCHS, ramp=ramp, **settings
        )
    evaluation = Evaluation(plan="standard", images=1000, suite_images=500)
    return {
        name: dataclasses.replace(
            experiment, network=f"strided_{width}", evaluation=evaluation
        )
        for name, experiment in made.items()
    }


def _grouped(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The seeds of each method at each width, with what table and figure show."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["method"], []).append(row)
    made = []
    for name, seeds in groups.items():
        made.append(
            {
                "method": name.rpartition("_")[0],
                "parameters": _parameters(seeds[0]["config"]),
                "epochs": seeds[0]["config"]["training"]["epochs"],
                "seeds": len(seeds),
                "natural": np.array([one["accuracy"]["test"] for one in seeds]),
                "robust": np.array(
                    [
                        found["accuracy"]
                        for one in seeds
                        for found in one["rows"]
                        if found["attack"] == STRONGEST
                    ]
                ),
            }
        )
    return made


def _parameters(config: Mapping[str, Any]) -> int:
    shape = (28, 28, 1) if config["data"]["name"] == "mnist" else (32, 32, 3)
    network = models.build(config["network"], shape, 10)
    shapes = jax.eval_shape(network.init, jax.random.key(0)).params
    return sum(array.size for array in jax.tree.leaves(shapes))


def _tables(rows: Sequence[Row]) -> list[tables.Table]:
    columns: Columns = {
        "method": at("method"),
        "parameters": at("parameters"),
        "seeds": at("seeds"),
        "epochs": at("epochs"),
        "natural": lambda row: spread(row["natural"], 4),
        "strongest": lambda row: spread(row["robust"], 4),
    }
    return [table("Methods on networks of growing size", _grouped(rows), columns)]


def _figure(rows: Sequence[Row]) -> Drawn:
    """Draws a line for each method, dashed where the ball grows."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for group in _grouped(rows):
        lines.setdefault(group["method"], []).append(group)
    return robust_figures.capacity(
        [
            robust_figures.Ladder(
                name.removesuffix(_GROWING),
                name.endswith(_GROWING),
                [group["parameters"] for group in groups],
                [group["natural"] for group in groups],
                [group["robust"] for group in groups],
            )
            for name, groups in lines.items()
        ],
        "the strongest attack",
    )


CAPACITY = Study(
    runs=runs, tables={"table.md": _tables}, figures={"capacity.png": _figure}
)
