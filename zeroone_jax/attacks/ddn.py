"""DDN: the direction by gradients of one length, the norm by success and failure.

Rony et al. 2019, "Decoupling direction and norm for efficient gradient-based L2
adversarial attacks and defenses", Algorithm 1.
"""

from typing import ClassVar

import jax.numpy as jnp

from zeroone_jax import checks, losses
from zeroone_jax.attacks.minimum_norm import Look, MinimumNorm, farthest, scaled_to
from zeroone_jax.attacks.perturbation import Norm, direction
from zeroone_jax.attacks.state import State
from zeroone_jax.types import Array, Key, LogitsFn, Number

_LAST_STEP = 0.01
"""The last step's length, in units of the first one's."""


class DecoupledDirectionNorm(MinimumNorm, name="ddn"):
    """Walks on a sphere that shrinks from adversaries and grows from other points.

    A step adds `alpha` times the gradient over its L2 norm to the perturbation, and
    gives the sum the length epsilon, which was made `1 - gamma` times as long if the
    point that the gradient is of is an adversary, else `1 + gamma` times. alpha goes
    from `step_size` to a hundredth of it by a cosine. As in the authors' program
    epsilon is never more than the distance of the box's farthest corner. The gradient
    is that of the cross-entropy, in a form that does not vanish
    (`losses.soft_margin`).

    With `levels` every point is rounded to the grid, as in the paper, and the nearest
    adversary is not shortened: it is on the grid already.

    Attributes:
        step_size: the first alpha, on the [0,1] pixel scale.
        first_radius: the first epsilon.
        gamma: by how much of itself epsilon changes in a step, in (0,1).
    """

    norm: Norm = "l2"
    step_size: Number = 1.0
    first_radius: Number = 1.0
    gamma: Number = 0.05

    norms: ClassVar = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(step_size=self.step_size, first_radius=self.first_radius)
        checks.within("(0,1)", gamma=self.gamma)

    def finish(self, key: Key, fn: LogitsFn, state: State) -> State:
        """Follows the nearest adversary back to the boundary, but on a grid."""
        return state if self.levels is not None else super().finish(key, fn, state)

    def _climbed(self, z: Array, margin: Array, y: Array) -> Array:
        return losses.soft_margin(losses.widened(z, margin), y)

    def _begin(self, x: Array, point: Array) -> Array:
        """Epsilon, float [n]."""
        del point
        return jnp.full(x.shape[:1], self.first_radius, x.dtype)

    def _move(self, x: Array, look: Look, own: Array) -> tuple[Array, Array]:
        alpha = self._annealed(self.step_size, _LAST_STEP * self.step_size, look.turn)
        aside = look.point - x + alpha * direction(look.slope, "l2")
        change = jnp.where(look.broken, 1 - self.gamma, 1 + self.gamma)
        epsilon = jnp.minimum(own * change, farthest(x, "l2"))
        point = jnp.clip(x + scaled_to(aside, epsilon), 0, 1)
        if self.levels is not None:
            point = jnp.round(point * self.levels) / self.levels
        return point, epsilon
