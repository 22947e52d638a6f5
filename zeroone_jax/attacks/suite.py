"""Suites: AutoAttack's plan, others for targets and for labels, and the two papers'.

`report = standard("linf", 8 / 255)(key, logits_fn, x, y)` runs attacks one after
another; see `suite_run.Suite` for what becomes of the images, and `SuiteReport` for
what is told.
"""

from typing import Any, Literal

from zeroone_jax.attacks.apgd import AutoPGD
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.boundary import Boundary
from zeroone_jax.attacks.deep_fool import DeepFool
from zeroone_jax.attacks.fab import FastAdaptiveBoundary
from zeroone_jax.attacks.hop_skip_jump import HopSkipJump
from zeroone_jax.attacks.pgd import (
    PAPERS,
    ProjectedGradientDescent,
    fast_gradient_sign_method,
)
from zeroone_jax.attacks.ray_s import RayS
from zeroone_jax.attacks.spsa import SimultaneousPerturbation
from zeroone_jax.attacks.square import Square
from zeroone_jax.attacks.suite_run import Stage, Suite
from zeroone_jax.attacks.tally import StageReport, SuiteReport

__all__ = [
    "Stage",
    "StageReport",
    "Suite",
    "SuiteReport",
    "decision",
    "paper_a",
    "paper_b",
    "standard",
    "targeted",
]


def standard(
    norm: Literal["linf", "l2"],
    epsilon: float,
    *,
    every: bool = False,
    levels: int | None = None,
) -> Suite:
    """AutoAttack's standard plan (Croce and Hein 2020), for functions of logits.

    AutoPGD on the cross-entropy, AutoPGD on the targeted DLR and FAB after the nine
    likeliest other classes each, 100 iterations all; Square with 5,000 queries. A model
    of two classes has one other class, and its DLR is the margin.

    Args:
        norm: "linf" or "l2".
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        every: whether every attack meets every image.
        levels: of the grid that adversaries must lie on, 255 for images of eight bits;
            None for any numbers.

    Returns:
        The `Suite`.

    Raises:
        ValueError: a setting is out of its range.
    """
    return Suite(
        stages=(
            Stage(
                name="apgd_ce",
                attack=AutoPGD(
                    norm=norm, epsilon=epsilon, loss="cross_entropy", fit_box=False
                ),
            ),
            Stage(
                name="apgd_targeted",
                attack=AutoPGD(
                    norm=norm, epsilon=epsilon, loss="targeted_dlr", fit_box=False
                ),
            ),
            Stage(
                name="fab_targeted",
                attack=FastAdaptiveBoundary(
                    norm=norm, epsilon=epsilon, target_classes=9
                ),
            ),
            Stage(
                name="square",
                attack=Square(
                    norm=norm,
                    epsilon=epsilon,
                    max_queries=5000,
                    schedule_queries=10_000,
                ),
                black_box=True,
            ),
        ),
        norm=norm,
        epsilon=epsilon,
        every=every,
        levels=levels,
    )


def targeted(
    norm: Literal["linf", "l2"],
    epsilon: float,
    *,
    every_class: bool = False,
    levels: int | None = None,
) -> Suite:
    """What reaches a given class, for functions of logits.

    AutoPGD on the margin, AutoPGD on the cross-entropy, FAB and Square, each targeted.
    The settings are those of `standard`, but for AutoPGD's starts and steps, which fit
    the box.

    Args:
        norm: "linf" or "l2".
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        every_class: whether the suite is given labels, and goes after every other class
            in turn until one is reached; otherwise it is given targets.
        levels: as for `standard`.

    Returns:
        The `Suite`.

    Raises:
        ValueError: a setting is out of its range.
    """
    goal: dict[str, Any] = {"norm": norm, "epsilon": epsilon, "targeted": True}
    square = Square(max_queries=5000, schedule_queries=10_000, **goal)
    return Suite(
        stages=(
            Stage(name="apgd_margin", attack=AutoPGD(loss="margin", **goal)),
            Stage(name="apgd_ce", attack=AutoPGD(loss="cross_entropy", **goal)),
            Stage(name="fab", attack=FastAdaptiveBoundary(**goal)),
            Stage(name="square", attack=square, black_box=True),
        ),
        norm=norm,
        epsilon=epsilon,
        every_class=every_class,
        levels=levels,
    )


def decision(
    norm: Literal["l2", "linf"] = "l2",
    epsilon: float | None = None,
    *,
    max_queries: int = 10_000,
    levels: int | None = None,
) -> Suite:
    """What can be done with labels only, for functions of labels.

    HopSkipJump with its usual and with an adaptive radius, and beside them the Boundary
    Attack (L2) or RayS (Linf).

    Args:
        norm: "l2" or "linf".
        epsilon: the radius of a ball that images leave the suite in; None for the
            least distance over all attacks.
        max_queries: how often each attack may ask about an image.
        levels: as for `standard`.

    Returns:
        The `Suite`.

    Raises:
        ValueError: a setting is out of its range.
    """
    other: Attack = RayS(max_queries=max_queries)
    if norm == "l2":
        other = Boundary(max_queries=max_queries)
    return Suite(
        stages=(
            Stage(
                name="hop_skip_jump_adaptive",
                attack=HopSkipJump(
                    norm=norm, radius="adaptive", max_queries=max_queries
                ),
                black_box=True,
            ),
            Stage(
                name="hop_skip_jump",
                attack=HopSkipJump(norm=norm, max_queries=max_queries),
                black_box=True,
            ),
            Stage(name=other.name, attack=other, black_box=True),
        ),
        norm=norm,
        epsilon=epsilon,
        levels=levels,
    )


def paper_a() -> Suite:
    """The attacks of paper A's minimum distortion (section A4 of our notes), in L2.

    The Boundary Attack with steps of .01, 100 iterations of 100 trials and 100 samples;
    HopSkipJump with 100 iterations, 100 directions at first and at most 10,000. Both
    draw directions by the normal law. Beside them, as the strongest evaluation, the
    same HopSkipJump with an adaptive radius: the usual one flatters sign networks
    (section A6).

    Returns:
        The `Suite`, for functions of labels.
    """
    return Suite(
        stages=(
            Stage(
                name="boundary",
                attack=Boundary(
                    iterations=100,
                    samples=100,
                    trials=100,
                    sideways=0.01,
                    forward=0.01,
                    law="gaussian",
                ),
                black_box=True,
            ),
            Stage(
                name="hop_skip_jump",
                attack=HopSkipJump(iterations=100, law="gaussian"),
                black_box=True,
            ),
            Stage(
                name="hop_skip_jump_adaptive",
                attack=HopSkipJump(iterations=100, radius="adaptive"),
                black_box=True,
            ),
        ),
        norm="l2",
    )


def paper_b(
    epsilon: float = 8 / 255,
    step_size: float = 2 / 255,
    *,
    every: bool = False,
    levels: int | None = None,
) -> Suite:
    """Paper B's evaluation (section B5 of our notes) in Linf, and `standard` after it.

    FGSM; PGD with 100 steps, the worst of 5 restarts; DeepFool and FAB (100
    iterations), which count where they end in the ball; SPSA with 128 samples on the
    first 100 images. Then AutoAttack's four, which the paper does not have: the
    robust accuracy after "spsa" is the paper's kind, the last one the honest one. The
    accuracy under each attack alone needs `every`.

    Args:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.
        step_size: PGD's.
        every: whether every attack meets every image.
        levels: as for `standard`.

    Returns:
        The `Suite`, for functions of logits.

    Raises:
        ValueError: a setting is out of its range.
    """
    paper = (
        Stage(name="fgsm", attack=fast_gradient_sign_method(epsilon=epsilon)),
        Stage(
            name="pgd",
            attack=ProjectedGradientDescent(
                epsilon=epsilon,
                step_size=step_size,
                iterations=100,
                restarts=5,
                **PAPERS,
            ),
        ),
        Stage(name="deep_fool", attack=DeepFool(norm="linf")),
        Stage(name="fab", attack=FastAdaptiveBoundary(norm="linf", epsilon=epsilon)),
        Stage(
            name="spsa",
            attack=SimultaneousPerturbation(epsilon=epsilon),
            black_box=True,
            first=100,
        ),
    )
    beside = standard("linf", epsilon).stages
    return Suite(
        stages=paper + beside, norm="linf", epsilon=epsilon, every=every, levels=levels
    )
