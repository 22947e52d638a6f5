"""How large what is measured is: on a large GPU, and in a test on a CPU."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from experiments.configs.network import Evaluation
from zeroone_jax import coordinate_descent
from zeroone_jax.models import preact_resnet
from zeroone_jax.training import Config, CyclicSgd

Figures = dict[str, Any]
"""What a measurement finds, for a JSON file."""

EPSILON = 8 / 255


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """How large everything is.

    Attributes:
        shape: of the images.
        side: of the square matrices that are multiplied.
        wide: the network whose update is timed, here and in PyTorch.
        batch: its images an update.
        updates: how many of them are timed.
        descent: settings of coordinate descent.
        rows: its training images.
        images: that HopSkipJump and the suite attack, each.
        steps: of HopSkipJump.
        residual: the network that the suite attacks and that is trained.
        training: how it is trained.
        evaluation: what it then meets.
    """

    shape: tuple[int, int, int]
    side: int
    wide: preact_resnet.Wide
    batch: int
    updates: int
    descent: coordinate_descent.Config
    rows: int
    images: int
    steps: int
    residual: str
    training: Config
    evaluation: Evaluation


FULL = Size(
    shape=(32, 32, 3),
    side=8192,
    wide=preact_resnet.Wide(depth=34, width=10),
    batch=128,
    updates=20,
    descent=coordinate_descent.Config(votes=100),
    rows=10_000,
    images=1000,
    steps=40,
    residual="preact_resnet18",
    training=Config(
        epochs=30,
        optimizer=CyclicSgd(learning_rate=0.2, weight_decay=5e-4),
        augment=True,
    ),
    evaluation=Evaluation(plan="standard", epsilon=EPSILON),
)
"""For one large GPU."""

SMOKE = Size(
    shape=(4, 4, 3),
    side=64,
    wide=preact_resnet.Wide(depth=10, width=1),
    batch=8,
    updates=2,
    descent=coordinate_descent.Config(votes=2, iterations=2, features=10, candidates=3),
    rows=40,
    images=4,
    steps=1,
    residual="mlp_sigmoid20",
    training=Config(epochs=2, batch_size=16),
    evaluation=Evaluation(epsilon=EPSILON, images=8),
)
"""Seconds on a CPU."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a measurement is given.

    Attributes:
        size: how large it is.
        data: the images to train on: a data set's name, or an .npz file.
        folder: where runs lie.
        known: what was measured on this hardware before, by name.
    """

    size: Size
    data: str
    folder: pathlib.Path
    known: Mapping[str, Figures]
