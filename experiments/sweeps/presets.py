"""Sweeps of `experiments.sweep`: what each answers, and what it costs."""

from collections.abc import Callable

from .. import command_line
from .definition import Sweep
from .language import choices, product

_ZERO_ONE_METRICS = {
    "train accuracy (share of images)": "accuracy.train.majority",
    "test accuracy (share of images)": "accuracy.test.majority",
}


def smoke() -> Sweep:
    """Whether sweeps work here: 12 runs of a network too small to be good.

    Half of the runs see half of the rows. Costs a minute on two cores: some 10 s a run,
    most of it starting and compiling.
    """
    return Sweep(
        launcher=command_line.module("train_zero_one"),
        preset="cifar10_0v1",
        overrides=product(
            [
                {
                    "solver.votes": 1,
                    "solver.hidden": 2,
                    "solver.iterations": 20,
                    "solver.features": 32,
                    "solver.candidates": 2,
                    "solver.bins": 64,
                }
            ],
            choices("seed", range(6)),
            choices("solver.rows", [0.5, 1.0]),
        ),
        metrics=_ZERO_ONE_METRICS,
    )


def step_size_and_rows() -> Sweep:
    """How far a hidden unit should step, and on how many rows, on CIFAR-10 0v1.

    The default takes its steps of .17 and .08 and its .75 of the rows from the papers.
    Costs about 12 minutes on two CPU cores (an estimate): 60 runs of the default preset
    inside one device, of 11 s each.
    """
    return Sweep(
        launcher=command_line.module("train_zero_one"),
        preset="cifar10_0v1",
        overrides=product(
            choices(
                "solver.hidden_steps", [(0.04,), (0.08,), (0.17,), (0.34,), (0.68,)]
            ),
            choices("solver.rows", [0.125, 0.25, 0.5, 0.75]),
            choices("seed", range(3)),
        ),
        metrics=_ZERO_ONE_METRICS,
        inside="device",
    )


def sense_confidence() -> Sweep:
    """How much natural and robust accuracy hang on SENSE's confidence c, on MNIST.

    Paper B: natural accuracy hardly depends on c. Single runs agree, but robust
    accuracy falls as c grows (docs/results/paper_b.md). Costs two hours on two cores:
    15 runs of the preset `mnist_sense`, of 6 to 20 minutes each on one core.
    """
    return Sweep(
        launcher=command_line.module("train_network"),
        preset="mnist_sense",
        overrides=product(
            choices("objective.confidence", [0.1, 0.3, 0.5, 0.7, 0.9]),
            choices("seed", range(3)),
        ),
        metrics={
            "natural accuracy (share of images)": "accuracy.test",
            "accuracy under attack, worst case (share of images)": (
                "rows.strongest.accuracy"
            ),
        },
    )


SWEEPS: dict[str, Callable[[], Sweep]] = {
    "smoke": smoke,
    "step_size_and_rows": step_size_and_rows,
    "sense_confidence": sense_confidence,
}
"""Every sweep by name, the default first."""
