"""Attacks on image classifiers: each a callable of one convention, whole under jit.

`attack = hop_skip_jump(norm="l2")` makes an attack of its settings, and
`attack(key, fn, x, y, start=None)` attacks images x with labels y of the model fn and
gives an `AttackResult`. See `attack.Attack`.
"""

from zeroone_jax.attacks.attack import Attack, AttackResult, State, as_label_fn
from zeroone_jax.attacks.pgd import ProjectedGradientDescent as pgd  # noqa: N813
from zeroone_jax.attacks.pgd import fast_gradient_sign_method as fgsm
from zeroone_jax.attacks.sign_network import (
    HyperplaneCrossing as hyperplane_crossing,  # noqa: N813
)
from zeroone_jax.attacks.sign_network import (
    SurrogateGradient as surrogate_gradient,  # noqa: N813
)
from zeroone_jax.attacks.spsa import SimultaneousPerturbation as spsa  # noqa: N813
from zeroone_jax.attacks.square import Square as square  # noqa: N813
from zeroone_jax.attacks.substitute import Substitute
from zeroone_jax.attacks.transfer import substitute_attack

__all__ = [
    "Attack",
    "AttackResult",
    "State",
    "Substitute",
    "as_label_fn",
    "fgsm",
    "hyperplane_crossing",
    "pgd",
    "spsa",
    "square",
    "substitute_attack",
    "surrogate_gradient",
]
