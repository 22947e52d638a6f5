"""The settings of the coordinate descent solver and the presets of the papers."""

import dataclasses
import math
from collections.abc import Callable

from zeroone_jax import tagged

_CHOICES = {
    "search": ("screened", "blind"),
    "loss": ("zero_one", "cross_entropy"),
    "objective": ("plain", "balanced", "schedule"),
    "weights": ("real", "binary"),
    "acceptance": ("better", "not_worse"),
    "start": ("gaussian", "uniform", "single"),
    "hidden_values": ("01", "pm"),
    "ball": ("l2", "linf"),
    "basis": ("pixels", "principal", "dct"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choices:
    """The counts and names of a search.

    Attributes:
        votes: independently trained networks in the ensemble, per class if the
            problem has more than two.
        hidden: units in the hidden layer; 0 trains linear classifiers.
        search: "blind" evaluates every drawn coordinate, "screened" ranks the drawn
            ones to first order and evaluates only the best `candidates`.
        features: coordinates drawn an iteration, at most d.
        candidates: coordinates evaluated exactly under "screened".
        output_candidates: of the 2h moves of the output unit (h if binary), how many
            an iteration tries; 0 means all.
        window: thresholds tried for a candidate: the 2 * window + 1 positions around
            the best one before the move; 0 means all.
        bins: resolution of a sweep over all thresholds, as equal intervals of the
            projections' range; 0 means every threshold.
        loss: "zero_one", or "cross_entropy" of the sigmoid of the score (SCDCE).
        objective: what 01 loss maximises: "plain" accuracy, "balanced" accuracy, or
            the paper's "schedule": balanced at first, then balanced plus plain.
        weights: "real", or "binary" weights in {-1, +1} where a move flips a sign.
        acceptance: take a candidate if it is "better", or also if "not_worse".
        pocket_every: iterations between comparisons with the best network so far.
        tries: most coordinate moves of one unit in an iteration; beyond 1, the search
            repeats on the same unit and rows until nothing improves.
        start: distribution of the first weights, "gaussian" or "uniform" in [-1, 1]; or
            "single", where each hidden unit sees one coordinate at first, drawn at
            random. In Linf any other start has too long an L1 norm.
        centred_start: first biases from the data (True) or zero (False).
        hidden_values: what the trained parameters' hidden units put out.
        ball: the norm of the certified 01 loss, "l2" or "linf".
        basis: the directions that the search moves along, each of unit length:
            "pixels", the training rows' first "principal" components, or the lowest
            frequencies of a two-dimensional "dct" of each colour. The networks found
            are ordinary ones, on pixels.
        components: how many directions a basis other than "pixels" has.
    """

    votes: int = 8
    hidden: int = 20
    search: str = "screened"
    features: int = 307
    candidates: int = 8
    output_candidates: int = 8
    window: int = 0
    bins: int = 2048
    loss: str = "zero_one"
    objective: str = "schedule"
    weights: str = "real"
    acceptance: str = "not_worse"
    pocket_every: int = 1
    tries: int = 1
    start: str = "gaussian"
    centred_start: bool = True
    hidden_values: str = "01"
    ball: str = "l2"
    basis: str = "pixels"
    components: int = 256


@tagged.register("coordinate_descent")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Choices):
    """Settings of one run; the defaults are our best trade of time for accuracy.

    The defaults search with a first-order screen. The papers draw `features`
    coordinates blindly and evaluate each: see `PRESETS["paper_2020"]`. Counts and names
    are those of `Choices` and are compiled in; the numbers are below.

    Attributes:
        iterations: steps of coordinate descent, each visiting the output unit and
            one hidden unit.
        rows: share of each class's rows that one iteration sees, in (0, 1].
        hidden_steps: step sizes tried on a hidden unit, relative to its norm.
        output_step: step size on the output unit, relative to its norm.
        balanced_share: share of the iterations that "schedule" keeps balanced.
        adversarial_step: s of linear adversarial training; 0 trains on clean rows.
        epsilon: the radius of the certified 01 loss, at least 0, on the [0,1] pixel
            scale: rows count as right only if they are so in the whole ball. 0 trains
            on the ordinary 01 loss.
        ramp: the share of the iterations over which the radius grows from 0, in [0, 1).
            With the full radius from the start nearly every unit could be on or off for
            every row, and no move would change the loss.
    """

    iterations: int = 1000
    rows: float = 0.75
    hidden_steps: tuple[float, ...] = (0.17, 0.08)
    output_step: float = 0.2
    balanced_share: float = 0.2
    adversarial_step: float = 0.0
    epsilon: float = 0.0
    ramp: float = 0.4

    def __post_init__(self) -> None:
        for field, allowed in _CHOICES.items():
            if getattr(self, field) not in allowed:
                raise ValueError(
                    f"{field}={getattr(self, field)!r}: expected one of {allowed}"
                )
        for field in (
            "votes",
            "iterations",
            "features",
            "candidates",
            "pocket_every",
            "tries",
            "components",
        ):
            self._require(field, "at least 1", getattr(self, field) >= 1)
        for field in ("hidden", "output_candidates", "window", "bins"):
            self._require(field, "at least 0", getattr(self, field) >= 0)
        self._require("rows", "in (0, 1]", 0 < self.rows <= 1)
        self._require("balanced_share", "in [0, 1]", 0 <= self.balanced_share <= 1)
        self._require(
            "output_step", "above 0 and finite", 0 < self.output_step < math.inf
        )
        self._require("bins", "0 or at least 2", self.bins != 1)
        self._require(
            "adversarial_step",
            "at least 0 and finite",
            0 <= self.adversarial_step < math.inf,
        )
        self._require("epsilon", "at least 0 and finite", 0 <= self.epsilon < math.inf)
        self._require("ramp", "in [0, 1)", 0 <= self.ramp < 1)
        self._require(
            "hidden_steps",
            "a tuple of finite numbers above 0",
            isinstance(self.hidden_steps, tuple)
            and len(self.hidden_steps) > 0
            and all(0 < size < math.inf for size in self.hidden_steps),
        )
        self._require(
            "candidates",
            f"at most features={self.features}",
            self.search == "blind" or self.candidates <= self.features,
        )
        self._check_together()

    def _check_together(self) -> None:
        """Refuses settings that do not go together."""
        if self.adversarial_step > 0 and self.hidden > 0:
            raise ValueError(
                "adversarial_step needs a linear model: "
                f"hidden=0, not hidden={self.hidden}"
            )
        if self.start == "single" and self.weights == "binary":
            raise ValueError("start='single' needs weights='real', not 'binary'")
        if self.loss == "cross_entropy" and self.hidden == 0:
            raise ValueError("loss='cross_entropy' needs hidden units: hidden >= 1")
        if self.weights == "binary" and (self.epsilon > 0 or self.basis != "pixels"):
            raise ValueError(
                f"weights='binary' needs epsilon=0 and basis='pixels', not epsilon="
                f"{self.epsilon} and basis={self.basis!r}: use weights='real'"
            )
        if self.epsilon > 0 and self.loss != "zero_one":
            raise ValueError(
                f"epsilon={self.epsilon} certifies the 01 loss: loss='zero_one', not "
                f"{self.loss!r}"
            )
        if self.adversarial_step > 0 and (self.epsilon > 0 or self.basis != "pixels"):
            raise ValueError(
                "adversarial_step needs epsilon=0 and basis='pixels', not "
                f"epsilon={self.epsilon} and basis={self.basis!r}"
            )
        if self.ball == "linf" and self.basis != "pixels":
            raise ValueError(
                "ball='linf' needs basis='pixels': the norm of a unit's weights is "
                f"another in basis={self.basis!r}"
            )
        if self.basis != "pixels" and self.features > self.components:
            raise ValueError(
                f"features={self.features}: must be at most components="
                f"{self.components}, which is all that basis={self.basis!r} has"
            )

    def _require(self, field: str, allowed: str, holds: bool) -> None:
        if not holds:
            raise ValueError(f"{field}={getattr(self, field)!r}: must be {allowed}")


def paper_2020() -> Config:
    """Xue, Xie, Roshan 2020 (2008.09148) as its programs ran it, CIFAR-10 0v1."""
    return Config(
        search="blind",
        features=128,
        hidden_steps=(0.17,),
        output_candidates=0,
        window=20,
        bins=0,
        acceptance="better",
    )


def paper_2021() -> Config:
    """The authors' 2021 programs: plain 01 error, equal moves are taken."""
    return dataclasses.replace(
        paper_2020(),
        objective="plain",
        output_step=0.17,
        window=10,
        acceptance="not_worse",
        pocket_every=50,
        centred_start=False,
        hidden_values="pm",
    )


def paper_2002_03444() -> Config:
    """The first MLP01 (2002.03444): a unit's moves repeat until none improves."""
    return dataclasses.replace(
        paper_2020(), objective="balanced", window=10, tries=100, start="uniform"
    )


def paper_2002_03444_linear() -> Config:
    """SCD01, the linear model of 2002.03444."""
    return dataclasses.replace(paper_2002_03444(), hidden=0, window=20)


def adversarial_linear() -> Config:
    """Adversarially trained SCD01 of 2002.03444: 100 votes, a tenth of the rows."""
    return dataclasses.replace(
        paper_2002_03444_linear(), votes=100, rows=0.1, tries=1, adversarial_step=1.0
    )


def scdce() -> Config:
    """SCDCE: the 2020 search on the cross-entropy of the output's sigmoid."""
    return dataclasses.replace(paper_2020(), loss="cross_entropy")


def binary_01() -> Config:
    """01bnn: binary weights, 01 loss, ten times the iterations."""
    return dataclasses.replace(paper_2020(), weights="binary", iterations=10_000)


def binary_cross_entropy() -> Config:
    """Binary weights under cross-entropy (cebnn)."""
    return dataclasses.replace(binary_01(), loss="cross_entropy")


def thorough() -> Config:
    """Our search at four times the iterations, on fewer rows and by smaller steps."""
    return Config(iterations=4000, rows=0.5, hidden_steps=(0.12, 0.06))


def certified() -> Config:
    """Our search on the certified 01 loss, in a ball of L2 of radius .5."""
    return Config(
        iterations=2000, rows=0.5, epsilon=0.5, basis="principal", features=256
    )


def certified_clean() -> Config:
    """As `certified`, in half the radius and twice the time: fewer errors."""
    return dataclasses.replace(certified(), iterations=4000, epsilon=0.25, features=128)


def certified_linf() -> Config:
    """Our search on the certified 01 loss, in a ball of Linf of radius 8/255."""
    return Config(
        iterations=2000, rows=0.5, epsilon=8 / 255, ball="linf", start="single"
    )


PRESETS: dict[str, Callable[[], Config]] = {
    "default": Config,
    "thorough": thorough,
    "certified": certified,
    "certified_clean": certified_clean,
    "certified_linf": certified_linf,
    "paper_2020": paper_2020,
    "paper_2021": paper_2021,
    "paper_2002_03444": paper_2002_03444,
    "paper_2002_03444_linear": paper_2002_03444_linear,
    "adversarial_linear": adversarial_linear,
    "scdce": scdce,
    "01bnn": binary_01,
    "cebnn": binary_cross_entropy,
}
"""Every preset by name; each call builds a `Config`."""
