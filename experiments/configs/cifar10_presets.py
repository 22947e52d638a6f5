"""CIFAR-10 in an Linf ball of 8/255: every method by a recipe for two cores.

What we measured is in docs/results/paper_b.md; B3 is a section of docs/papers.md.
"""

import dataclasses
from typing import Any

from zeroone_jax.training import Config, CyclicSgd, objectives
from zeroone_jax.training.objectives import Objective

from .network import Data, Evaluation, Experiment

_EPSILON = 8 / 255
_BALL: dict[str, Any] = {"epsilon": _EPSILON, "step_size": 4 / 255, "steps": 3}

METHODS: dict[str, Objective] = {
    "natural": objectives.natural(),
    "pgd": objectives.projected_gradient(**_BALL),
    "trades": objectives.trades(**_BALL),
    # Its authors have 10 steps, and a second look more near the end.
    "friendly": objectives.friendly(**_BALL, patience=((12, 1),)),
    "sense": objectives.sense(**_BALL, warm_up=1),
}
"""At equal epochs: 3 steps of 4/255, where PGD training elsewhere has 10 of 2/255."""


def cifar10(method: str, epochs: int = 30, **settings: float) -> Experiment:
    """A method on CIFAR-10, in an hour or two of a processor's core.

    Args:
        method: one of `METHODS`.
        epochs: of all 50,000 images, shifted and flipped.
        **settings: of the objective, such as sense's confidence.

    Returns:
        The run: a ResNet-8 on patches of pixels, batches of 64, which stay in a core's
        cache, a cyclic rate, averaged weights.
    """
    # Every objective is a dataclass of its settings.
    objective: Any = METHODS[method]
    return Experiment(
        data=Data(name="cifar10"),
        network="patch_resnet8",
        objective=dataclasses.replace(objective, **settings),
        training=Config(
            epochs=epochs,
            batch_size=64,
            optimizer=CyclicSgd(learning_rate=0.1, peak=0.3, weight_decay=5e-4),
            augment=True,
            average=0.999,
        ),
        evaluation=Evaluation(plan="thorough", epsilon=_EPSILON),
    )
