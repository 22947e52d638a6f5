"""PDGD: primal and dual gradient steps for the least L2 perturbation.

Matyasko and Chau 2021, "PDPGD: Primal-dual proximal gradient descent adversarial
attack", the form without proximal steps.
"""

from typing import ClassVar

import jax.numpy as jnp

from zeroone_jax.attacks.minimum_norm import Look
from zeroone_jax.attacks.perturbation import Norm, direction, each
from zeroone_jax.attacks.primal_dual import Own, PrimalDual
from zeroone_jax.types import Array


class PrimalDualGradient(PrimalDual, name="pdgd"):
    """Descends the weighed sum of the L2 norm and of what is missing to success."""

    norm: Norm = "l2"

    norms: ClassVar = ("l2",)

    def _move(self, x: Array, look: Look, own: Own) -> tuple[Array, Own]:
        weight = each(own.weight, x)
        shorter = direction(look.point - x, "l2")
        gradient = weight * shorter + (1 - weight) * self._missing(look)
        moments = own.moments.updated(gradient)
        mean, root = moments.corrected(look.turn)
        point = jnp.clip(look.point - self._rate(look.turn) * mean / root, 0, 1)
        return point, self._weighed(look, own, moments)
