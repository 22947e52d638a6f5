"""Settings of `experiments.attack`: presets of each attack and suite, and the papers'.

Each preset of a paper says what it reproduces, what its authors got, and what we
measured on which hardware in what time.
"""

import abc
import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, Literal

from zeroone_jax import attacks, checks, tagged, verification
from zeroone_jax.attacks import capped

_EPSILON = {"linf": 8 / 255, "l2": 0.5, "l1": 12.0}
_MANY_AT_A_TIME = 100
_PAPER_A_IMAGES = (0, 288, 5, 9, 6, 800, 1991, 1000, 1500, 1800)


@tagged.register("attack.images")
@dataclasses.dataclass(frozen=True)
class Images:
    """What to attack.

    Attributes:
        name: a data set of the catalog, or the path of an .npz file of images; "" is
            what the run was trained on (for an .npz of networks CIFAR-10, class 0
            against 1).
        classes: the labels to keep, in this order; none (an empty tuple) keeps all.
            Not looked at where the name is "".
        split: "test" or "train".
        indices: which images, counted among those of the classes kept; none takes the
            first ones.
        count: how many of the first ones, where there are no indices.
        only_correct: whether images that the model labels wrongly are left out. If
            there are no indices, the next images take their place. Robust accuracy
            counts them; presets of attacks in a ball therefore keep them.
    """

    name: str = ""
    classes: tuple[int, ...] = ()
    split: Literal["test", "train"] = "test"
    indices: tuple[int, ...] = ()
    count: int = 20
    only_correct: bool = True

    def __post_init__(self) -> None:
        checks.counts(**{"images.count": self.count})


class Suite(abc.ABC):
    """The settings of a suite: those of the function that makes it."""

    @abc.abstractmethod
    def build(self) -> attacks.suite.Suite:
        """Makes the suite.

        Raises:
            ValueError: a setting is out of its range.
        """


@tagged.register("attack_bench")
@dataclasses.dataclass(frozen=True)
class Bench:
    """Every attack for the least distance in a norm, under one cap.

    Attributes:
        norm: "linf", "l2", "l1", "l0" (values that change) or "l0_pixels".
        cap: the most forward and backward propagations of an image, by each attack.
    """

    norm: attacks.Norm = "l2"
    cap: int = 2000

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            ValueError: the norm is unknown, or the cap is too low.
        """
        capped.attacks(self.norm, self.cap)


@tagged.register("attack")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """An attack on some images.

    Attributes:
        attack: the attack, the suite, all attacks of a norm, or what is to be verified.
            Targeted, it aims at the class after the image's own.
        model: a run directory of experiments.train_zero_one or train_network, an .npz
            of 01 networks, or a name of models.PRETRAINED.
        images: what to attack.
        start: where attacks by labels start: at a "random" one or the "nearest" one of
            1,000 training images that the model labels as wanted, or at "noise" that
            the attack draws.
        polish: whether adversaries of 01 networks are then moved nearer, cell by cell
            (`verification.cell_polishing`).
        at_a_time: images attacked together and saved together.
        double: whether to compute in float64, as the authors' networks need.
        seed: of every random draw.
    """

    attack: attacks.Attack | Suite | Bench | verification.Config
    model: str = "runs/cifar10_0v1-seed0"
    images: Images = dataclasses.field(default_factory=Images)
    start: Literal["random", "nearest", "noise"] = "random"
    polish: bool = False
    at_a_time: int = 10
    double: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        checks.counts(at_a_time=self.at_a_time)


def paper_a_hop_skip_jump() -> Experiment:
    """HopSkipJump as paper A ran it: L2, 100 iterations, ten images of CIFAR-10 0v1.

    Expected: the largest distances of its three models for the 01 network (figures
    not known). Measured: not yet.
    """
    return Experiment(
        attack=attacks.hop_skip_jump(norm="l2", iterations=100, law="gaussian"),
        images=Images(indices=_PAPER_A_IMAGES, only_correct=False),
        start="noise",
    )


def paper_2021_hop_skip_jump() -> Experiment:
    """HopSkipJump of the authors' 2021 study: L2, 40 iterations, 100 correct images.

    Expected: median L2 1.159 (authors' result files, their 8 votes, CIFAR-10 0v1).
    Measured: not yet.
    """
    return Experiment(
        attack=attacks.hop_skip_jump(norm="l2", iterations=40, law="gaussian"),
        images=Images(count=100),
    )


def paper_a_boundary() -> Experiment:
    """The Boundary Attack as paper A ran it: L2, ten images of CIFAR-10 0v1.

    Expected: median L2 2.727 (authors' result files of 2021), not converged. Measured:
    not yet.
    """
    return Experiment(
        attack=attacks.boundary(iterations=100, samples=100),
        images=Images(indices=_PAPER_A_IMAGES, only_correct=False),
        start="noise",
    )


def exact() -> Experiment:
    """Verification: the exact distance of 01 networks, within a minute an image."""
    return Experiment(attack=verification.Config(), at_a_time=_MANY_AT_A_TIME)


def certificate() -> Experiment:
    """Verification: a lower bound from each vote alone, in much less time."""
    settings = verification.Config(joint=False)
    return Experiment(attack=settings, at_a_time=_MANY_AT_A_TIME)


def attack_bench() -> Experiment:
    """Every attack for the least distance in a norm, as AttackBench scores them."""
    return Experiment(
        attack=Bench(), images=Images(count=100), at_a_time=_MANY_AT_A_TIME
    )


def _preset(name: str) -> Callable[[], Experiment]:
    """Makes the preset of an attack: its own defaults, and a radius if it needs one."""
    make = getattr(attacks, name)
    parameters = inspect.signature(make).parameters

    def preset() -> Experiment:
        settings = {}
        if "epsilon" in parameters:
            settings["epsilon"] = _EPSILON[parameters["norm"].default]
        attack = make(**settings)
        return Experiment(attack, images=Images(only_correct=not attack.in_ball))

    preset.__doc__ = (inspect.getdoc(make) or "").partition("\n")[0]
    return preset


def _suite_preset(name: str) -> Callable[[], Experiment]:
    """Makes the preset of a suite, whose settings are its function's parameters."""
    make = getattr(attacks.suite, name)
    fallback = {"norm": "linf", "epsilon": _EPSILON["linf"]}
    fields = [
        (
            one.name,
            one.annotation,
            fallback[one.name] if one.default is one.empty else one.default,
        )
        for one in inspect.signature(make).parameters.values()
    ]

    def build(self: Any) -> attacks.suite.Suite:
        return make(**dataclasses.asdict(self))

    settings: Any = dataclasses.make_dataclass(
        name, fields, bases=(Suite,), namespace={"build": build}, frozen=True
    )
    about, _, described = inspect.cleandoc(make.__doc__).partition("Args:\n")
    described = described.partition("\nReturns:")[0]
    settings.__doc__ = f"{about}Attributes:\n{described}"
    tagged.register(f"suite_{name}")(settings)

    def preset() -> Experiment:
        in_ball = settings().build().epsilon is not None
        return Experiment(
            attack=settings(),
            images=Images(only_correct=not in_ball),
            at_a_time=_MANY_AT_A_TIME,
        )

    preset.__doc__ = "Suite: " + about.partition("\n")[0]
    return preset


def _is_attack(name: str) -> bool:
    value = getattr(attacks, name)
    if inspect.isclass(value):
        return issubclass(value, attacks.Attack) and not inspect.isabstract(value)
    if not inspect.isfunction(value):
        return False
    made = inspect.signature(value).return_annotation
    return inspect.isclass(made) and issubclass(made, attacks.Attack)


_FIRST = "hop_skip_jump"
_NAMES = [name for name in attacks.__all__ if _is_attack(name)]
_SUITES = (
    "standard",
    "targeted",
    "minimum",
    "labels_only",
    "decision",
    "paper_a",
    "paper_b",
)

tagged.register("verification")(verification.Config)

PRESETS: dict[str, Callable[[], Experiment]] = {
    **{name: _preset(name) for name in [_FIRST, *_NAMES]},
    **{f"suite_{name}": _suite_preset(name) for name in _SUITES},
    "attack_bench": attack_bench,
    "exact": exact,
    "certificate": certificate,
    "paper_a_hop_skip_jump": paper_a_hop_skip_jump,
    "paper_2021_hop_skip_jump": paper_2021_hop_skip_jump,
    "paper_a_boundary": paper_a_boundary,
}
"""Every attack and suite by its name, the default first; verification; the papers."""
