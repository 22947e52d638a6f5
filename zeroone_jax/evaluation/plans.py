"""Which attacks a robustly trained network meets, and how many images each of them.

Paper B's evaluation (docs/papers.md, B5), what others evaluate with, and
AutoAttack's standard suite, which the paper does not use. No claim should be made
without it: cross-entropy PGD overstates sensible training by far (docs/papers.md, B6).

A plan is a `Suite` in one Linf ball, whose stages each meet all their images. The last
one is the strongest: the worst case over all is taken on the images that it meets.
Attacks that look for the least distance succeed where they end within the ball.
"""

import dataclasses
from collections.abc import Mapping

from zeroone_jax import attacks
from zeroone_jax.attacks.pgd import PAPERS
from zeroone_jax.attacks.suite import Stage, Suite
from zeroone_jax.attacks.suite import standard as auto_attack
from zeroone_jax.attacks.suite_run import PAPER, STRONGEST

__all__ = ["PAPER", "STRONGEST", "cifar10", "mnist", "quick", "standard", "thorough"]


def cifar10(epsilon: float = 8 / 255) -> Suite:
    """The plan for CIFAR-10's 10,000 test images, in Linf.

    Steps are of 2/255 (docs/papers.md, B5). Others evaluate with PGD-20, and with
    CW-20, which is PGD on the margin. The paper's own number is the worst of 5 restarts
    of PGD-100.

    Args:
        epsilon: the ball's radius, > 0, on the [0,1] pixel scale.

    Returns:
        The plan.

    Raises:
        ValueError: the radius is out of its range.
    """
    return _paper_and_standard(epsilon, {20: 2 / 255, 100: 2 / 255})


def mnist(epsilon: float = 0.3) -> Suite:
    """The plan for MNIST's 10,000 test images, in Linf.

    As for CIFAR-10, with PGD-40 in addition. PGD-40 and PGD-100 take steps of .01
    (Madry et al. 2018). Twenty such steps would not cross the ball, so PGD-20 and CW-20
    take steps of epsilon / 8. Argument, result and error are those of `cifar10`.
    """
    return _paper_and_standard(epsilon, {20: epsilon / 8, 40: 0.01, 100: 0.01})


def quick(epsilon: float) -> Suite:
    """A quick plan to watch training by; its figures do not prove robustness.

    FGSM and PGD-20 on 1,000 images, and AutoPGD on both losses, with 20 iterations
    each, on the first 100. PGD-20 stands for the paper's own attack. Argument, result
    and error are those of `cifar10`.
    """
    climbs = (
        Stage(
            name=f"apgd_{loss}",
            attack=attacks.apgd(
                epsilon=epsilon, iterations=20, loss=loss, fit_box=False
            ),
        )
        for loss in ("cross_entropy", "dlr")
    )
    short = Suite(stages=tuple(climbs), norm="linf", epsilon=epsilon)
    pgd = attacks.pgd(epsilon=epsilon, iterations=20, **PAPERS)
    return _plan(
        epsilon,
        "pgd_20",
        (attacks.fgsm(epsilon=epsilon), "fgsm", 1000),
        (pgd, "pgd_20", 1000),
        (short, "apgd", 100),
    )


def standard(epsilon: float, step_size: float, restarts: int = 3) -> Suite:
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
    return _compared(epsilon, step_size, restarts)


def thorough(epsilon: float, step_size: float) -> Suite:
    """As `standard`, with five restarts, and an attack that no gradient can mislead.

    RayS sees labels only, of 200 images, with 1,000 queries each. Arguments, result and
    error are those of `standard`.
    """
    rays = (attacks.ray_s(max_queries=1000), "ray_s", 200)
    return _compared(epsilon, step_size, 5, rays)


def _compared(
    epsilon: float,
    step_size: float,
    restarts: int,
    *more: tuple[attacks.Attack, str, int],
) -> Suite:
    """The plan of PGD-40, further attacks, and the standard suite."""
    pgd = attacks.pgd(
        epsilon=epsilon,
        step_size=step_size,
        iterations=40,
        restarts=restarts,
        **PAPERS,
    )
    name = f"pgd_40_worst_of_{restarts}"
    return _plan(
        epsilon,
        name,
        (pgd, name, 10_000),
        *more,
        (auto_attack("linf", epsilon), "auto_attack", 1000),
    )


def _paper_and_standard(epsilon: float, steps: Mapping[int, float]) -> Suite:
    """The plan of a radius and of PGD's step sizes by its numbers of steps."""
    pgd = {
        count: attacks.pgd(epsilon=epsilon, step_size=size, iterations=count, **PAPERS)
        for count, size in steps.items()
    }
    worst = dataclasses.replace(pgd[100], restarts=5)
    margin = dataclasses.replace(pgd[20], loss="margin")
    return _plan(
        epsilon,
        "pgd_100_worst_of_5",
        (attacks.fgsm(epsilon=epsilon), "fgsm", 10_000),
        *((attack, f"pgd_{count}", 10_000) for count, attack in pgd.items()),
        (worst, "pgd_100_worst_of_5", 10_000),
        (margin, "cw_20", 10_000),
        (attacks.deep_fool(norm="linf"), "deep_fool", 10_000),
        (attacks.fab(norm="linf", epsilon=epsilon), "fab", 1000),
        (attacks.spsa(epsilon=epsilon), "spsa", 100),
        (auto_attack("linf", epsilon), "auto_attack", 1000),
    )


def _plan(
    epsilon: float, paper: str, *stages: tuple[attacks.Attack | Suite, str, int]
) -> Suite:
    """The plan of attacks, their names and how many images each meets."""
    return Suite(
        stages=tuple(
            Stage(name=name, attack=attack, first=first)
            for attack, name, first in stages
        ),
        norm="linf",
        epsilon=epsilon,
        every=True,
        paper=paper,
    )
