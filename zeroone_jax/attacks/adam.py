"""Adam's moments (Kingma and Ba 2015) apart from its move, for a proximal step."""

from typing import NamedTuple, Self

import jax.numpy as jnp
import optax

from zeroone_jax.types import Array

_FIRST, _SECOND = 0.9, 0.999
_LEAST = 1e-8


class Moments(NamedTuple):
    """Running means of the gradient and of its square, not corrected.

    Attributes:
        first: float [n, ...].
        second: float [n, ...].
    """

    first: Array
    second: Array

    @classmethod
    def beginning(cls, x: Array) -> Self:
        """Makes those of no gradient, for arrays of the shape [n, ...] of x."""
        return cls(jnp.zeros_like(x), jnp.zeros_like(x))

    def updated(self, gradient: Array) -> Self:
        """Takes in a gradient, float [n, ...]."""
        return type(self)(
            optax.tree.update_moment(gradient, self.first, _FIRST, 1),
            optax.tree.update_moment(gradient, self.second, _SECOND, 2),
        )

    def corrected(self, turn: Array) -> tuple[Array, Array]:
        """The parts of a move, which is the first over the second, of a step size of 1.

        Args:
            turn: float [], how many gradients were taken in before the last one.

        Returns:
            The mean gradient and the root of the mean square, above 0, float [n, ...],
            as if the means had not begun with 0.
        """
        count = turn + 1
        mean = optax.tree.bias_correction(self.first, _FIRST, count)
        square = optax.tree.bias_correction(self.second, _SECOND, count)
        return mean, jnp.sqrt(square) + _LEAST
