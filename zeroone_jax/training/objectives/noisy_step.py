"""N-FGSM: training on one step from a noisy image, which keeps it from collapsing.

Training on one full step from the image ends at networks that are robust to this step
alone ("catastrophic overfitting").
"""

import dataclasses

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses, tagged
from zeroone_jax.attacks.perturbation import direction
from zeroone_jax.training.ascent import random_start
from zeroone_jax.training.objectives.adversarial import plain_loss
from zeroone_jax.training.objectives.frame import Batch, Loss, Model, Objective
from zeroone_jax.types import Array, Key, Params


@tagged.register("noisy_fast_gradient")
@dataclasses.dataclass(frozen=True, kw_only=True)
class NoisyFastGradient(Objective):
    """N-FGSM: de Jorge et al. 2022, "Make some noise", algorithm 1.

    Cross-entropy of x' = x + u + epsilon sign(gradient at x + u), for u even in
    (-noise epsilon, noise epsilon). x' may leave the ball, but not the box of images,
    at whose faces x + u is cut off too.

    Attributes:
        epsilon: the step, and the radius that is defended, in Linf on the [0,1] pixel
            scale.
        noise: how many times epsilon the noise may be, k in the paper.
    """

    epsilon: float = 8 / 255
    noise: float = 2.0

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        checks.radius("linf", self.epsilon)
        checks.positive(noise=self.noise)

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, key = jax.random.split(key)
        logits_fn = model.evaluating(params)
        radius = self.noise * self.epsilon
        start = random_start(start_key, batch.x, batch.y, radius, "linf")

        def climbed(point: Array) -> Array:
            return jnp.sum(losses.soft_margin(logits_fn(point), batch.y))

        step = self.epsilon * direction(jax.grad(climbed)(start), "linf")
        adversary = jnp.clip(start + step, 0, 1)
        return plain_loss(key, params, model, batch, adversary)
