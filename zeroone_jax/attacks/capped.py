"""Attacks for the least distance, each as long as a cap of propagations allows.

A propagation is a run of the model over an image, forward or backward: a gradient is
one of each, and the gradients of k classes at a point are one forward and k backward.
AttackBench (Cinà et al. 2025) counts so, and gives every attack the same cap.
"""

from collections.abc import Mapping

from zeroone_jax import checks
from zeroone_jax.attacks import shorten
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.carlini_wagner import CarliniWagner
from zeroone_jax.attacks.ddn import DecoupledDirectionNorm
from zeroone_jax.attacks.deep_fool import DeepFool
from zeroone_jax.attacks.fab import FastAdaptiveBoundary
from zeroone_jax.attacks.fmn import FastMinimumNorm
from zeroone_jax.attacks.minimal_apgd import MinimalAutoPGD
from zeroone_jax.attacks.pdgd import PrimalDualGradient
from zeroone_jax.attacks.pdpgd import PrimalDualProximalGradient
from zeroone_jax.attacks.perturbation import EVERY_NORM, Norm
from zeroone_jax.attacks.sigma_zero import SigmaZero
from zeroone_jax.attacks.super_deep_fool import SuperDeepFool

_ONCE = 2 + 2 + shorten.LOOKS
"""Before and after, the gradient at the image, and the looks along the perturbation."""

_DESCENTS = (
    DecoupledDirectionNorm,
    SigmaZero,
    PrimalDualGradient,
    PrimalDualProximalGradient,
    FastMinimumNorm,
)


def attacks(norm: Norm, cap: int, classes: int = 10) -> Mapping[str, Attack]:
    """Makes every attack of the library for the least distance in a norm.

    Args:
        norm: any of `Norm`.
        cap: the most forward and backward propagations of an image in all.
        classes: how many classes the model has: some attacks take a gradient of each.

    Returns:
        The attacks by their names, with the iterations that the cap allows and their
        other settings as by default.

    Raises:
        ValueError: the norm is unknown, the number of classes is below 2, or the cap is
            too low for one iteration of each attack.
    """
    checks.one_of("norm", norm, EVERY_NORM)
    checks.counts(cap=cap, classes=classes)
    if classes < 2:
        raise ValueError(f"classes is {classes}, but must be at least 2")
    left = cap - _ONCE
    steepest = min(classes, SuperDeepFool.candidates)
    iterations: dict[type[Attack], int] = {
        **dict.fromkeys(_DESCENTS, left // 2),
        # Every climb looks at one point more than it makes moves.
        MinimalAutoPGD: left // (2 * MinimalAutoPGD.trials) - 1,
        CarliniWagner: left // (2 * CarliniWagner.search_steps),
        # At each point a gradient for all classes looked at but the image's own.
        SuperDeepFool: left // steepest,
        # It looks at one point more than it makes moves.
        DeepFool: left // steepest - 1,
        # The same for all classes, and a look at the point that it comes to.
        FastAdaptiveBoundary: left // (classes + 1),
    }
    chosen = {kind: n for kind, n in iterations.items() if norm in kind.norms}
    if min(chosen.values()) < 1:
        short = min(chosen, key=lambda kind: chosen[kind])
        raise ValueError(
            f"cap is {cap} propagations, too few for one iteration of {short.name}"
        )
    return {
        kind.name: kind(norm=norm, iterations=n)  # type: ignore[call-arg]
        for kind, n in chosen.items()
    }
