"""sigma-zero: a smooth count of changed values, and a threshold that adapts.

Cinà et al. 2025, "sigma-zero: Gradient-based optimization of l0-norm adversarial
examples", Algorithm 1.
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks import sparse
from zeroone_jax.attacks.adam import Moments
from zeroone_jax.attacks.minimum_norm import Look, MinimumNorm
from zeroone_jax.attacks.perturbation import Norm, by_unit, each, size
from zeroone_jax.types import Array, Number

_LAST_STEP = 0.1
"""The last step's length, in units of the first one's."""


class Own(NamedTuple):
    """What sigma-zero keeps.

    Attributes:
        moments: Adam's.
        threshold: float [n], tau, in [0,1].
    """

    moments: Moments
    threshold: Array


class SigmaZero(MinimumNorm, name="sigma_zero"):
    """Descends margin and smooth L0 norm together, and drops small changes.

    The loss is `max(-margin, 0) + mean_i d_i^2 / (d_i^2 + sigma)`. Its gradient is
    divided by its largest absolute value and goes to Adam, whose step goes from
    `step_size` to a tenth of it by a cosine, as in the authors' program. Clipped to the
    box, the perturbation loses all values below the threshold tau, which rises by
    `threshold_rate` times the step after an adversary, and falls by it otherwise.

    In "l0_pixels" the largest of a pixel's channels decides for all of them.

    Attributes:
        step_size: Adam's first step, on the [0,1] pixel scale.
        sigma: how smooth the count of changed values is; they count half where they
            change by its root.
        threshold: the first tau.
        threshold_rate: how fast it moves.
    """

    norm: Norm = "l0"
    step_size: Number = 1.0
    sigma: Number = 1e-3
    threshold: Number = 0.3
    threshold_rate: Number = 0.01

    norms: ClassVar = ("l0", "l0_pixels")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(
            step_size=self.step_size,
            sigma=self.sigma,
            threshold_rate=self.threshold_rate,
        )
        checks.within("[0,1]", threshold=self.threshold)

    def _begin(self, x: Array, point: Array) -> Own:
        del point
        return Own(Moments.beginning(x), jnp.full(x.shape[:1], self.threshold, x.dtype))

    def _move(self, x: Array, look: Look, own: Own) -> tuple[Array, Own]:
        change = look.point - x
        count = change[0].size
        curve = 2 * self.sigma * change / jnp.square(change * change + self.sigma)
        behind = each(look.margin < 0, x)
        gradient = curve / count - jnp.where(behind, look.slope, 0)
        steepest = each(size(gradient, "linf"), x)
        gradient = gradient / jnp.where(steepest > 0, steepest, 1)
        moments = own.moments.updated(gradient)
        mean, root = moments.corrected(look.turn)
        step = self._annealed(self.step_size, _LAST_STEP * self.step_size, look.turn)
        point = jnp.clip(look.point - step * mean / root, 0, 1)
        rate = self.threshold_rate * step
        threshold = own.threshold + jnp.where(look.broken, rate, -rate)
        threshold = jnp.clip(threshold, 0, 1)
        large = by_unit(point - x, self.norm) >= threshold[:, None]
        return sparse.take(large, point, x), Own(moments, threshold)
