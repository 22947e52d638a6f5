"""Settings of `experiments.train_network`; its presets are in `network_presets`."""

import dataclasses
from typing import Literal

from zeroone_jax import checks, tagged
from zeroone_jax.training import Config, objectives
from zeroone_jax.training.objectives import Objective


@tagged.register("train_network.data")
@dataclasses.dataclass(frozen=True)
class Data:
    """What to train and to evaluate on.

    Attributes:
        name: a data set of the catalog, or the path of an .npz file of images.
        classes: the labels to keep, in this order; none (an empty tuple) keeps all.
        count: how many of the first training images; 0 takes all.
        noise: standard deviation, on the [0, 1] pixel scale, of Gaussian noise;
            above 0 the training images are doubled by a noisy copy of each.
    """

    name: str = "mnist"
    classes: tuple[int, ...] = ()
    count: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        checks.not_negative(count=self.count, noise=self.noise)


@tagged.register("train_network.evaluation")
@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What the trained network meets, in an Linf ball.

    Attributes:
        plan: "quick" has a few attacks, for a first look. "standard" is PGD-40 with
            restarts and AutoAttack's standard suite. "thorough" has larger steps and
            more restarts, and RayS, which sees labels only. "paper" has all attacks of
            paper B's evaluation, and the suite.
        epsilon: the ball's radius, on the [0,1] pixel scale.
        images: the most images that any attack meets.
        suite_images: the most that the suite meets; 0 leaves it out.
    """

    plan: Literal["quick", "standard", "thorough", "paper"] = "quick"
    epsilon: float = 0.3
    images: int = 10_000
    suite_images: int = 1000

    def __post_init__(self) -> None:
        checks.radius("linf", self.epsilon)
        checks.counts(images=self.images)
        checks.not_negative(suite_images=self.suite_images)


@tagged.register("train_network")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """One training run.

    Attributes:
        data: what to train on.
        network: one of the registry's names.
        dtype: what the network computes in; parameters stay float32.
        objective: what to train for.
        training: how to train.
        evaluation: what the trained network meets.
        seed: of every random draw.
        members: networks trained together, an ensemble.
        combine: whether they average their "probabilities", or "votes" decide.
    """

    data: Data = dataclasses.field(default_factory=Data)
    network: str = "lenet_valid"
    dtype: Literal["float32", "bfloat16"] = "float32"
    objective: Objective = dataclasses.field(default_factory=objectives.natural)
    training: Config = dataclasses.field(default_factory=Config)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    seed: int = 0
    members: int = 1
    combine: Literal["probabilities", "votes"] = "probabilities"

    def __post_init__(self) -> None:
        checks.counts(members=self.members)
