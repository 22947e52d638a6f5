"""The smooth ramp loss of the radius that a Lipschitz network certifies."""

import dataclasses

import jax
import jax.numpy as jnp

from zeroone_jax import checks, tagged
from zeroone_jax.models import lipschitz
from zeroone_jax.training.objectives.frame import (
    Batch,
    Info,
    Loss,
    Model,
    Objective,
    share,
)
from zeroone_jax.types import Key, Params


@tagged.register("certified_margin")
@dataclasses.dataclass(frozen=True, kw_only=True)
class CertifiedMargin(Objective):
    """The logistic function of (epsilon - radius) / width.

    The radius is `models.lipschitz.certified_radius`, which only networks of that kind
    have. The narrower the ramp, the nearer is the loss to the certified 01 loss: the
    share of images that are not right in all of their ball.

    Attributes:
        epsilon: the radius to certify, on the [0,1] pixel scale, in L2.
        width: of the ramp, on the same scale.
    """

    epsilon: float = 0.5
    width: float = 0.25

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        checks.not_negative(epsilon=self.epsilon)
        checks.positive(width=self.width)

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        logits, model = model.train(key, params, batch.x)
        radius = lipschitz.certified_radius(logits, batch.y)
        ramp = jax.nn.sigmoid((self.epsilon - radius) / self.width)
        metrics = {
            "accuracy": share(radius > 0),
            "certified": share(radius > self.epsilon),
        }
        return jnp.mean(ramp), Info(model.batch_stats, batch.memory, metrics)
