"""PDPGD: gradient steps towards success, proximal steps of the norm.

Matyasko and Chau 2021, "PDPGD: Primal-dual proximal gradient descent adversarial
attack"; the proximal step under Adam is that of Melchior et al. 2019, "Proximal Adam".
"""

import math
from typing import ClassVar

import jax.numpy as jnp

from zeroone_jax import loops
from zeroone_jax.attacks import sparse
from zeroone_jax.attacks.minimum_norm import Look
from zeroone_jax.attacks.perturbation import Norm, each, size
from zeroone_jax.attacks.primal_dual import Own, PrimalDual
from zeroone_jax.types import Array

_PROXIMAL_STEPS = 5
_SETTLED = 0.01
"""Proximal steps end where they change less than this share of the perturbation."""


class PrimalDualProximalGradient(PrimalDual, name="pdpgd"):
    """Descends what is missing to success by Adam, then shrinks the perturbation.

    Adam's move has a step size of its own in every value. The proximal step of the
    norm, weighed by `w / (1 - w)`, is taken in that metric by up to five plain proximal
    steps, each clipped to the box: in L1 values shrink by a threshold, in Linf large
    ones are cut (Moreau: what is left of a projection onto an L1 ball), and in L2 all
    shrink alike. For L0 the step is that of the sum of `|d_i|^(2/3)`, by which linear
    models ended at the least count; L0's own, which drops small values and leaves the
    others, ended at up to 4 times that.
    """

    norm: Norm = "linf"

    norms: ClassVar = ("linf", "l2", "l1", "l0")

    def _move(self, x: Array, look: Look, own: Own) -> tuple[Array, Own]:
        moments = own.moments.updated(self._missing(look))
        mean, root = moments.corrected(look.turn)
        rate = self._rate(look.turn)
        ahead = jnp.clip(look.point - rate * mean / root, 0, 1)
        stiffest = size(root, "linf")
        metric = root / each(stiffest, x)
        strength = own.weight / (1 - own.weight) * rate / stiffest

        def shrink(_: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            point, going = carry
            mixed = point + metric * (ahead - point) - x
            shrunk = jnp.clip(x + proximal(mixed, strength, self.norm), 0, 1)
            following = jnp.where(each(going, x), shrunk, point)
            change = size(following - point, "l2")
            going &= change > _SETTLED * size(following - x, "l2")
            return following, going

        every = jnp.ones(x.shape[:1], bool)
        point, _ = loops.fori_loop(0, _PROXIMAL_STEPS, shrink, (ahead, every))
        return point, self._weighed(look, own, moments)


def proximal(perturbation: Array, strength: Array, norm: Norm) -> Array:
    """Finds what makes `|z - d|^2 / 2 + strength |z|` least for a perturbation d.

    Args:
        perturbation: float [n, ...].
        strength: float [n], > 0.
        norm: "linf", "l2", "l1", or "l0", which stands for the sum of
            `|z_i|^(2/3)`.

    Returns:
        float [n, ...], z.
    """
    wide = each(strength, perturbation)
    if norm == "l1":
        return jnp.sign(perturbation) * jnp.maximum(jnp.abs(perturbation) - wide, 0)
    if norm == "linf":
        limit = each(sparse.l1_threshold(perturbation, strength), perturbation)
        return jnp.clip(perturbation, -limit, limit)
    if norm == "l2":
        length = each(size(perturbation, "l2"), perturbation)
        left = jnp.maximum(length - wide, 0)
        return perturbation * (left / jnp.where(length > 0, length, 1))
    return _two_thirds(perturbation, wide)


def _two_thirds(perturbation: Array, strength: Array) -> Array:
    """The same for the sum of `|z_i|^(2/3)` (Cao, Sun and Xu 2013, theorem 1)."""
    amount, double = jnp.abs(perturbation), 2 * strength
    angle = jnp.arccosh(jnp.maximum(27 / 16 * amount**2 * double**-1.5, 1))
    inner = 2 / math.sqrt(3) * double**0.25 * jnp.sqrt(jnp.cosh(angle / 3))
    root = jnp.sqrt(jnp.maximum(2 * amount / inner - inner**2, 0))
    left = jnp.sign(perturbation) * ((inner + root) / 2) ** 3
    return jnp.where(amount > 2 / 3 * (3 * double**3) ** 0.25, left, 0)
