"""FMN: projected steps in a ball whose radius follows the boundary.

Pintor et al. 2021, "Fast minimum-norm adversarial attacks through adaptive norm
constraints", Algorithm 1.
"""

from typing import ClassVar

import jax.numpy as jnp

from zeroone_jax import checks
from zeroone_jax.attacks import linearize, sparse
from zeroone_jax.attacks.minimum_norm import Look, MinimumNorm, farthest
from zeroone_jax.attacks.perturbation import Norm, direction, project, size
from zeroone_jax.types import Array, Number

_LAST_STEP = 1e-2
"""The last step's length, in units of the first one's."""

_LAST_GAMMA = 1e-4
"""By how much of itself epsilon changes in the last step."""


class FastMinimumNorm(MinimumNorm, name="fmn"):
    """Climbs the margin inside a ball around the image, and resizes the ball.

    From an adversary epsilon becomes `1 - gamma` times as large, and no larger than
    the nearest adversary's distance; from another point `1 + gamma` times as large.
    Then the perturbation moves by `alpha` times the slope over its L2 norm and is
    projected onto the ball and into the box.

    Before any adversary is known the paper gives epsilon the distance at which the
    model made linear at the point has its boundary, `|d| + |margin| / |slope|` in the
    dual norm. A linear model's boundary is never crossed from there, and one that the
    box cuts off not even reached: here epsilon becomes `1 + gamma` times that distance,
    or times what it was if that is more.

    In L0 epsilon is a whole number that begins with 1, and changes by one at least; of
    a perturbation the epsilon largest values, or pixels, are kept.

    alpha goes from `step_size` to a hundredth of it by a cosine, as in the authors'
    program (in the paper to 1e-5), gamma to 1e-4.

    Attributes:
        step_size: the first alpha, on the [0,1] pixel scale, in L2.
        gamma: by how much of itself epsilon changes in the first step, in (0,1).
    """

    norm: Norm = "linf"
    step_size: Number = 1.0
    gamma: Number = 0.05

    norms: ClassVar = ("linf", "l2", "l1", "l0", "l0_pixels")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(step_size=self.step_size)
        checks.within("(0,1)", gamma=self.gamma)

    def _begin(self, x: Array, point: Array) -> Array:
        """Epsilon, float [n]."""
        if self.norm in ("l0", "l0_pixels"):
            return jnp.maximum(size(point - x, self.norm), 1)
        return jnp.full(x.shape[:1], jnp.inf, x.dtype)

    def _move(self, x: Array, look: Look, own: Array) -> tuple[Array, Array]:
        gamma = self._annealed(self.gamma, _LAST_GAMMA, look.turn)
        alpha = self._annealed(self.step_size, _LAST_STEP * self.step_size, look.turn)
        moved = look.point + alpha * direction(look.slope, "l2")
        if self.norm in ("l0", "l0_pixels"):
            fewer = jnp.minimum(own - 1, jnp.floor(own * (1 - gamma)))
            more = jnp.maximum(own + 1, jnp.floor(own * (1 + gamma)))
            epsilon = jnp.where(look.broken, jnp.minimum(fewer, look.nearest), more)
            epsilon = jnp.clip(epsilon, 1, farthest(x, self.norm))
            kept = sparse.keep_largest(moved - x, epsilon, self.norm)
            return jnp.clip(x + kept, 0, 1), epsilon
        smaller = jnp.minimum(own * (1 - gamma), look.nearest)
        steep = linearize.steepness(look.slope, self.norm)
        ahead = jnp.abs(look.margin) / jnp.where(steep > 0, steep, 1)
        first = size(look.point - x, self.norm) + jnp.where(steep > 0, ahead, 0)
        first = jnp.where(jnp.isfinite(own), jnp.maximum(first, own), first)
        larger = jnp.where(look.found, own, first) * (1 + gamma)
        epsilon = jnp.where(look.broken, smaller, larger)
        epsilon = jnp.minimum(epsilon, farthest(x, self.norm))
        if self.norm == "l1":
            return sparse.project_onto_l1(moved, x, epsilon), epsilon
        return project(moved, x, epsilon, self.norm), epsilon
