"""Attacks on image classifiers: each a callable of one convention, whole under jit.

`attack = hop_skip_jump(norm="l2")` makes an attack of its settings, and
`attack(key, fn, x, y, start=None)` attacks images x with labels y of the model fn and
gives an `AttackResult`. See `attack.Attack`.
"""

from zeroone_jax.attacks.attack import Attack, AttackResult, State, as_label_fn
from zeroone_jax.attacks.boundary import Boundary as boundary  # noqa: N813
from zeroone_jax.attacks.carlini_wagner import (
    CarliniWagner as carlini_wagner,  # noqa: N813
)
from zeroone_jax.attacks.deep_fool import DeepFool as deep_fool  # noqa: N813
from zeroone_jax.attacks.fab import FastAdaptiveBoundary as fab  # noqa: N813
from zeroone_jax.attacks.hop_skip_jump import HopSkipJump as hop_skip_jump  # noqa: N813
from zeroone_jax.attacks.pgd import ProjectedGradientDescent as pgd  # noqa: N813
from zeroone_jax.attacks.pgd import fast_gradient_sign_method as fgsm

__all__ = [
    "Attack",
    "AttackResult",
    "State",
    "as_label_fn",
    "boundary",
    "carlini_wagner",
    "deep_fool",
    "fab",
    "fgsm",
    "hop_skip_jump",
    "pgd",
]
