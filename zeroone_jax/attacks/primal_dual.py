"""The weights that PDGD and PDPGD learn: of the perturbation's norm and of success.

Matyasko and Chau 2021, "PDPGD: Primal-dual proximal gradient descent adversarial
attack"; settings are those of the authors' program.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks.adam import Moments
from zeroone_jax.attacks.minimum_norm import Look, MinimumNorm
from zeroone_jax.attacks.perturbation import each
from zeroone_jax.types import Array, Number

_LAST_PRIMAL, _LAST_DUAL = 0.01, 0.1
"""The last rates, in units of the first ones."""

_KEPT = 0.9
"""The share of the norm's weight that the running mean keeps in a step."""

_LARGEST_RATIO = 1e6
"""Of the two weights, either way."""


class Own(NamedTuple):
    """What both attacks keep.

    Attributes:
        moments: Adam's, of the perturbation.
        dual: float [n], the logarithm of how much more success weighs than the norm.
        weight: float [n], in (0,1), the running mean of the norm's weight; success has
            the rest.
    """

    moments: Moments
    dual: Array
    weight: Array


class PrimalDual(MinimumNorm):
    """Looks for a saddle point of `w |d| + (1 - w) softplus(max(-margin, 0))`.

    Adam descends over the perturbation d. The logarithm of the odds `(1 - w) / w` rises
    by the dual rate where the point is no adversary, and falls by it where it is one; w
    is a running mean.

    Attributes:
        primal_rate: Adam's first step, on the [0,1] pixel scale. It falls to a
            hundredth of it, by the same factor in every step.
        dual_rate: the first one; it falls to a tenth of it evenly.
        first_ratio: how much the norm weighs at first, in units of success.
    """

    primal_rate: Number = 0.1
    dual_rate: Number = 0.1
    first_ratio: Number = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(
            primal_rate=self.primal_rate,
            dual_rate=self.dual_rate,
            first_ratio=self.first_ratio,
        )

    def _begin(self, x: Array, point: Array) -> Own:
        del point
        first = jnp.full(x.shape[:1], self.first_ratio, x.dtype)
        return Own(Moments.beginning(x), -jnp.log(first), first / (1 + first))

    def _missing(self, look: Look) -> Array:
        """The gradient of `softplus(max(-margin, 0))`, float [n, ...]."""
        rate = jnp.where(look.margin <= 0, jax.nn.sigmoid(-look.margin), 0)
        return -each(rate, look.slope) * look.slope

    def _rate(self, turn: Array) -> Array:
        """Adam's step, float []."""
        return self.primal_rate * _LAST_PRIMAL ** (turn / self.iterations)

    def _weighed(self, look: Look, own: Own, moments: Moments) -> Own:
        """Takes in whether the point was an adversary."""
        rate = self.dual_rate * (1 - (1 - _LAST_DUAL) * look.turn / self.iterations)
        limit = math.log(_LARGEST_RATIO)
        dual = jnp.clip(own.dual - rate * jnp.sign(look.margin), -limit, limit)
        weight = _KEPT * own.weight + (1 - _KEPT) * jax.nn.sigmoid(-dual)
        return Own(moments, dual, weight)
