"""GradAlign: training on one step, with slopes that are alike all over the ball.

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


@tagged.register("gradient_alignment")
@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientAlignment(Objective):
    """GradAlign: Andriushchenko and Flammarion 2020, equation 6, on top of FGSM.

    Cross-entropy of x' = x + epsilon sign(gradient at x), cut off at the box, and
    weight (1 - cosine of the gradients at x and at x + u), for u even in
    (-epsilon, epsilon). Gradients are those of the network in training mode; that of
    the logits' margin points where the cross-entropy's does, and never underflows.

    Attributes:
        epsilon: the radius, in Linf on the [0,1] pixel scale.
        weight: of the alignment, lambda in the paper.
    """

    epsilon: float = 8 / 255
    weight: float = 0.2

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        checks.radius("linf", self.epsilon)
        checks.not_negative(weight=self.weight)

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, slope_key, key = jax.random.split(key, 3)

        def slope(point: Array) -> Array:
            def climbed(point: Array) -> Array:
                logits, _ = model.train(slope_key, params, point)
                return jnp.sum(losses.soft_margin(logits, batch.y))

            return jax.grad(climbed)(point)

        other = random_start(start_key, batch.x, batch.y, self.epsilon, "linf")
        at_image = slope(batch.x)
        step = self.epsilon * direction(jax.lax.stop_gradient(at_image), "linf")
        adversary = jnp.clip(batch.x + step, 0, 1)
        loss, info = plain_loss(key, params, model, batch, adversary)
        aligned = jnp.mean(_cosine(at_image, slope(other)))
        metrics = {**info.metrics, "alignment": aligned}
        return loss + self.weight * (1 - aligned), info._replace(metrics=metrics)


def _cosine(first: Array, second: Array) -> Array:
    """Of the angles between arrays [n, ...], float [n]; 0 where one of them is 0."""
    a, b = (array.reshape(len(array), -1) for array in (first, second))
    squares = jnp.sum(a * a, axis=1) * jnp.sum(b * b, axis=1)
    # The root has no slope at 0.
    length = jnp.sqrt(jnp.where(squares > 0, squares, 1))
    return jnp.where(squares > 0, jnp.sum(a * b, axis=1) / length, 0)
