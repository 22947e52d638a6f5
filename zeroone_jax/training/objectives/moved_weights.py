"""Training on weights that are moved against it, beside images that are."""

import dataclasses

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses, tagged
from zeroone_jax.training.ascent import random_start
from zeroone_jax.training.objectives.adversarial import InBall, plain_loss
from zeroone_jax.training.objectives.frame import Batch, Loss, Model
from zeroone_jax.types import Array, Key, Params


@tagged.register("weight_perturbation")
@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightPerturbation(InBall):
    """AWP: Wu, Xia, Wang 2020, on top of PGD training (equations 7 to 10, one step).

    The weights of each layer move by `gamma |w| v / |v|`, for v the slope of the
    adversaries' cross-entropy in them. The loss is the cross-entropy there, and its
    slope there trains the weights as they were. Biases and other vectors stay.

    Attributes:
        gamma: how far weights move, relative to their length.
    """

    gamma: float = 5e-3

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        super().__post_init__()
        checks.positive(gamma=self.gamma)

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, key = jax.random.split(key)
        logits_fn = model.evaluating(params)
        adversary = self.search(
            start_key,
            lambda point: losses.soft_margin(logits_fn(point), batch.y),
            batch,
            random_start,
        )

        def loss(weights: Params) -> Array:
            return plain_loss(key, weights, model, batch, adversary)[0]

        fixed = jax.lax.stop_gradient(params)
        moves = jax.tree.map(self._move, fixed, jax.grad(loss)(fixed))
        moved = jax.tree.map(jnp.add, params, moves)
        return plain_loss(key, moved, model, batch, adversary)

    def _move(self, weights: Array, slope: Array) -> Array:
        if weights.ndim < 2:
            return jnp.zeros_like(weights)
        length = jnp.linalg.norm(slope)
        share = self.gamma * jnp.linalg.norm(weights)
        return slope * (share / jnp.where(length > 0, length, 1))
