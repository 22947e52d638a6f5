"""MNIST in an Linf ball of .3: every method at equal epochs, and at equal time.

What we measured is in docs/results/paper_b.md; B3 is a section of docs/papers.md.
"""

import dataclasses
from typing import Any

from zeroone_jax.training import Config, CyclicSgd, Sgd, objectives
from zeroone_jax.training.objectives import Objective

from .network import Evaluation, Experiment


def _methods(steps: int, step_size: float) -> dict[str, Objective]:
    """Each method's objective, with so many steps where it takes several.

    Methods that would meet the whole ball at once grow it in the first epoch, MART in
    the first three: without that, their training ends at a constant.
    """
    ball: dict[str, Any] = {"epsilon": 0.3, "step_size": step_size, "steps": steps}
    return {
        "natural": objectives.natural(),
        "pgd": objectives.projected_gradient(**ball, ramp=1.0),
        "fast": objectives.projected_gradient(epsilon=0.3, step_size=0.375, steps=1),
        "noisy_fast": objectives.noisy_fast_gradient(epsilon=0.3),
        "gradient_alignment": objectives.gradient_alignment(epsilon=0.3),
        "weight_perturbation": objectives.weight_perturbation(**ball, ramp=1.0),
        "trades": objectives.trades(**ball, beta=1.0, ramp=1.0),
        "mart": objectives.mart(**ball, beta=1.0, ramp=3.0),
        "friendly": objectives.friendly(**ball, patience=((0, 1),), ramp=1.0),
        "instance_adaptive": objectives.instance_adaptive(
            **ball, radius_step=0.03, warm_up=1, ramp=1.0
        ),
        "max_margin": objectives.max_margin(max_margin=0.45, steps=steps),
        "sense": objectives.sense(**ball, warm_up=1),
        "sense_trade": objectives.sense_trade(**ball, warm_up=1),
    }


METHODS = _methods(10, 0.075)
"""At equal epochs: 10 steps of .075, one of .375 for fast."""


def mnist(method: str, epochs: int = 4, **settings: float) -> Experiment:
    """A method on MNIST at a laptop's size: equal epochs and steps for every method.

    Args:
        method: one of `METHODS`.
        epochs: of all 60,000 images.
        **settings: of the objective, such as sense's confidence.

    Returns:
        The run: the CNN of 5 x 5 convolutions, batch 128, SGD .05, x.1 in the last
        fifth.
    """
    sgd = Sgd(learning_rate=0.05, milestones=(0.8 * epochs,))
    # Every objective is a dataclass of its settings.
    objective: Any = METHODS[method]
    return Experiment(
        objective=dataclasses.replace(objective, **settings),
        training=Config(epochs=epochs, optimizer=sgd),
        evaluation=Evaluation(plan="standard"),
    )


EPOCHS = {
    "natural": 50,
    "pgd": 9,
    "trades": 8,
    "sense": 8,
    "mart": 7,
    "friendly": 8,
    "instance_adaptive": 3,
    "max_margin": 5,
    "fast": 26,
    "noisy_fast": 26,
    "gradient_alignment": 9,
    "weight_perturbation": 7,
}
"""At equal time: what each method does in 4 minutes on one core."""


def speedrun(
    method: str = "pgd", epochs: int | None = None, **settings: float
) -> Experiment:
    """A method on MNIST by a recipe that is robust after minutes on two cores.

    Args:
        method: one of `EPOCHS`.
        epochs: of all 60,000 images; those of `EPOCHS` if None.
        **settings: of the objective, such as sense's confidence.

    Returns:
        The run: the network of strided convolutions, 6 inner steps of .08, a cyclic
        rate, averaged weights.
    """
    objective: Any = _methods(6, 0.08)[method]
    return Experiment(
        network="strided_16",
        objective=dataclasses.replace(objective, **settings),
        training=Config(
            epochs=EPOCHS[method] if epochs is None else epochs,
            optimizer=CyclicSgd(learning_rate=0.05, peak=0.3, weight_decay=5e-4),
            average=0.998,
        ),
        evaluation=Evaluation(plan="standard"),
    )


def contrast(method: str = "pgd", **settings: float) -> Experiment:
    """A method on MNIST by a network that stretches contrast: the most robust one.

    Args:
        method: one of `EPOCHS`.
        **settings: of the objective, such as sense's confidence.

    Returns:
        The run: 28 epochs of images shifted by up to a pixel, 3 inner steps of .15, a
        cyclic rate, averaged weights.
    """
    objective: Any = _methods(3, 0.15)[method]
    before = speedrun(method, epochs=28)
    return dataclasses.replace(
        before,
        network="contrast_32",
        objective=dataclasses.replace(objective, **settings),
        training=dataclasses.replace(
            before.training, augment=True, shift=1, flip=False
        ),
    )


def quick() -> Experiment:
    """SENSE, c = .5, on MNIST for one epoch, watched by a few attacks: a minute."""
    return dataclasses.replace(
        mnist("sense", confidence=0.5, warm_up=0),
        training=Config(optimizer=Sgd(learning_rate=0.05)),
        evaluation=Evaluation(),
    )


def mnist_paper(objective: Objective) -> Experiment:
    """MNIST with TRADES' settings: those of paper B are not known (B3)."""
    sgd = Sgd(learning_rate=0.01, milestones=(55, 75, 90))
    return Experiment(
        network="small_cnn",
        objective=objective,
        training=Config(epochs=100, optimizer=sgd),
        evaluation=Evaluation(plan="paper"),
    )
