"""Which attacks a robustly trained network meets, and how many images each of them.

Paper B's evaluation (section B5 of our notes), what others evaluate with, and
AutoAttack's standard suite, which the paper does not have and no claim should be
without: cross-entropy PGD overstates sensible training badly (section B6).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

from zeroone_jax import attacks, checks
from zeroone_jax.attacks import suite

PAPER = "paper's own"
"""What rows of results call the paper's attack on the images of the last one."""

STRONGEST = "strongest"
"""What rows of results call the worst case over all attacks."""


Stage: TypeAlias = suite.Stage[attacks.Attack | suite.Suite]
"""A stage of an evaluation."""

_PAPERS_PGD: dict[str, Any] = {"loss": "cross_entropy", "fit_box": False}
"""What the papers' PGD climbs, and that it clips its starts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A plan of attacks in one ball, from the first to the strongest.

    Attributes:
        name: what the plan is called.
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale. Attacks that look
            for the least distance succeed where they end within it.
        stages: attacks, or suites of them, in the order of the results; each meets all
            its images. The last one is the strongest: the worst case over all is taken
            on the images that it meets.
        paper: the name of the attack that stands for the paper's own evaluation.
    """

    name: str
    epsilon: float
    stages: tuple[Stage, ...]
    paper: str

    def __post_init__(self) -> None:
        """Checks the plan.

        Raises:
            ValueError: the radius or a number of images is not positive, names are
                missing, repeated or reserved, an attack is targeted, or it has another
                radius or norm than the rest.
        """
        checks.positive(epsilon=self.epsilon)
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"attacks are {names}, but must be some, of unlike names")
        for name in {PAPER, STRONGEST}.intersection(names):
            raise ValueError(f"an attack is called {name!r}, which names a result")
        norms = sorted({stage.attack.norm for stage in self.stages})
        if len(norms) > 1:
            raise ValueError(f"attacks have the norms {norms}, but must have one")
        for stage in self.stages:
            _check(stage, self.epsilon)
        self.stage(self.paper)

    def stage(self, name: str) -> Stage:
        """Finds an attack by its name.

        Raises:
            ValueError: the plan has none of that name.
        """
        names = tuple(stage.name for stage in self.stages)
        checks.one_of("attack", name, names)
        return self.stages[names.index(name)]

    def without(self, name: str) -> Self:
        """The same plan without an attack, which is not the only or the paper's own."""
        self.stage(name)
        left = tuple(stage for stage in self.stages if stage.name != name)
        return dataclasses.replace(self, stages=left)

    def limited_to(self, images: int) -> Self:
        """The same plan where no attack meets more images than so many."""
        limited = tuple(
            dataclasses.replace(stage, first=min(stage.first or images, images))
            for stage in self.stages
        )
        return dataclasses.replace(self, stages=limited)


def cifar10(epsilon: float = 8 / 255) -> Evaluation:
    """The plan for CIFAR-10's 10,000 test images, in Linf.

    Steps are of 2/255 (section B5); PGD-20 and CW-20, PGD on the margin, are what
    others evaluate with. Of the paper's PGD-100 the worst of 5 restarts is its own
    number.

    Args:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.

    Returns:
        The plan.

    Raises:
        ValueError: the radius is out of its range.
    """
    return _paper_and_standard("cifar10", epsilon, {20: 2 / 255, 100: 2 / 255})


def mnist(epsilon: float = 0.3) -> Evaluation:
    """The plan for MNIST's 10,000 test images, in Linf.

    As for CIFAR-10, and PGD-40 with it, with steps of .01 (Madry et al. 2018). Twenty
    such steps would not cross the ball: those of PGD-20 and CW-20 are epsilon / 8.

    Args:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.

    Returns:
        The plan.

    Raises:
        ValueError: the radius is out of its range.
    """
    steps = {20: epsilon / 8, 40: 0.01, 100: 0.01}
    return _paper_and_standard("mnist", epsilon, steps)


def quick(epsilon: float) -> Evaluation:
    """A plan of a few gradients an image, to watch a network by; no evidence.

    FGSM and PGD-20 on 1,000 images, and AutoPGD on both losses, 20 iterations each, on
    the first 100.

    Args:
        epsilon: the Linf ball's radius, > 0, on the [0,1] pixel scale.

    Returns:
        The plan; PGD-20 stands for the paper's own attack.

    Raises:
        ValueError: the radius is out of its range.
    """
    stages = tuple(
        suite.Stage(
            name=f"apgd_{loss}",
            attack=attacks.apgd(
                epsilon=epsilon, iterations=20, loss=loss, fit_box=False
            ),
        )
        for loss in ("cross_entropy", "dlr")
    )
    short = suite.Suite(stages=stages, norm="linf", epsilon=epsilon)
    return Evaluation(
        name="quick",
        epsilon=epsilon,
        stages=(
            suite.Stage(name="fgsm", attack=attacks.fgsm(epsilon=epsilon), first=1000),
            suite.Stage(
                name="pgd_20",
                attack=attacks.pgd(epsilon=epsilon, iterations=20, **_PAPERS_PGD),
                first=1000,
            ),
            suite.Stage(name="apgd", attack=short, first=100),
        ),
        paper="pgd_20",
    )


def standard(epsilon: float, step_size: float, restarts: int = 3) -> Evaluation:
    """A plan for comparing many networks: PGD-40, and the standard suite.

    Args:
        epsilon: the Linf ball's radius, > 0, on the [0,1] pixel scale.
        step_size: PGD's, > 0.
        restarts: of PGD, on 10,000 images; the suite meets 1,000.

    Returns:
        The plan; PGD-40 stands for the paper's own attack.

    Raises:
        ValueError: a setting is out of its range.
    """
    pgd = attacks.pgd(
        epsilon=epsilon,
        step_size=step_size,
        iterations=40,
        restarts=restarts,
        **_PAPERS_PGD,
    )
    name = f"pgd_40_worst_of_{restarts}"
    return Evaluation(
        name="standard",
        epsilon=epsilon,
        stages=(
            suite.Stage(name=name, attack=pgd, first=10_000),
            suite.Stage(
                name="auto_attack",
                attack=suite.standard("linf", epsilon),
                first=1000,
            ),
        ),
        paper=name,
    )


def _paper_and_standard(
    name: str, epsilon: float, steps: Mapping[int, float]
) -> Evaluation:
    """Plans for 10,000 images.

    Args:
        name: the plan's.
        epsilon: its radius.
        steps: the step size of PGD by its number of steps, 20 and 100 among them.
    """
    pgd = {
        f"pgd_{count}": attacks.pgd(
            epsilon=epsilon, step_size=size, iterations=count, **_PAPERS_PGD
        )
        for count, size in steps.items()
    }
    everywhere: dict[str, attacks.Attack] = {
        "fgsm": attacks.fgsm(epsilon=epsilon),
        **pgd,
        "pgd_100_worst_of_5": dataclasses.replace(pgd["pgd_100"], restarts=5),
        "cw_20": dataclasses.replace(pgd["pgd_20"], loss="margin"),
        "deep_fool": attacks.deep_fool(norm="linf"),
    }
    fab = attacks.fab(norm="linf", epsilon=epsilon)
    spsa = attacks.spsa(epsilon=epsilon)
    return Evaluation(
        name=name,
        epsilon=epsilon,
        stages=(
            *(
                suite.Stage(name=name, attack=attack, first=10_000)
                for name, attack in everywhere.items()
            ),
            suite.Stage(name="fab", attack=fab, first=1000),
            suite.Stage(name="spsa", attack=spsa, first=100),
            suite.Stage(
                name="auto_attack",
                attack=suite.standard("linf", epsilon),
                first=1000,
            ),
        ),
        paper="pgd_100_worst_of_5",
    )


def _check(stage: Stage, epsilon: float) -> None:
    if stage.first is not None:
        checks.counts(first=stage.first)
    if isinstance(stage.attack, attacks.Attack) and stage.attack.targeted:
        raise ValueError(f"{stage.name} is targeted, but plans are not")
    own = getattr(stage.attack, "epsilon", None)
    if own is not None and own != epsilon:
        raise ValueError(f"{stage.name} has epsilon {own}, but the plan has {epsilon}")
