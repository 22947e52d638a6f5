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
from zeroone_jax.types import Array, Key, Params


@tagged.register("certified_margin")
@dataclasses.dataclass(frozen=True, kw_only=True)
class CertifiedMargin(Objective):
    """The logistic function of (epsilon - radius) / width.

    The radius is `models.lipschitz.certified_radius`, which only Lipschitz networks
    have. With a narrow ramp the loss is near to the certified 01 loss: the share of
    images that are not right in all of their ball.

    Attributes:
        epsilon: the radius to certify, on the [0,1] pixel scale, in L2.
        width: of the ramp, on the same scale.
        first_width: of the ramp at the start of training. A narrow ramp has no slope
            where networks start, and leaves them at a constant.
        anneal: epochs, fractions allowed, in which the width falls to its own, by the
            same factor in equal times.
    """

    epsilon: float = 0.5
    width: float = 0.25
    first_width: float = 4.0
    anneal: float = 10.0

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        checks.not_negative(epsilon=self.epsilon)
        checks.positive(width=self.width, first_width=self.first_width)
        checks.not_negative(anneal=self.anneal)

    def width_at(self, batch: Batch) -> Array:
        """The ramp's width by now, [] of the images' type."""
        epoch = batch.epoch.astype(batch.x.dtype)
        left = 1 - epoch / self.anneal if self.anneal > 0 else jnp.zeros_like(epoch)
        return self.width * (self.first_width / self.width) ** jnp.maximum(left, 0)

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        logits, model = model.train(key, params, batch.x)
        radius = lipschitz.certified_radius(logits, batch.y)
        ramp = jax.nn.sigmoid((self.epsilon - radius) / self.width_at(batch))
        metrics = {
            "accuracy": share(radius > 0),
            "certified": share(radius > self.epsilon),
        }
        return jnp.mean(ramp), Info(model.batch_stats, batch.memory, metrics)
