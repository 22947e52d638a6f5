"""Sensible adversarial training (Kim and Wang 2022), docs/papers.md, B2."""

import dataclasses

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses, tagged
from zeroone_jax.training import sensible
from zeroone_jax.training.objectives.adversarial import trained_on_both
from zeroone_jax.training.objectives.frame import (
    Batch,
    Info,
    Loss,
    Model,
    Objective,
    accuracy,
    share,
)
from zeroone_jax.training.sensible_step import Divergence, Settings, init
from zeroone_jax.types import Array, Key, Params


@tagged.register("sense")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sense(Settings, Objective):
    """Cross-entropy at the sensible adversaries, in training mode, over the batch.

    Attributes:
        warm_up: epochs in which examples that pass the threshold on their way go on.
        ramp: epochs (fractions allowed) over which the radius and the step grow evenly
            from 0; ours, as the other methods have it.
        natural_weight: weight of the cross-entropy at the images, added.
    """

    warm_up: int = 10
    ramp: float = 0.0
    natural_weight: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epsilon > 0:
            checks.counts(steps=self.steps)
        checks.not_negative(
            warm_up=self.warm_up, ramp=self.ramp, natural_weight=self.natural_weight
        )

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        search_key, natural_key, key = jax.random.split(key, 3)
        adversary, metrics = self._search(
            search_key, params, model, batch, "cross_entropy"
        )
        outputs, model = model.train(key, params, adversary)
        loss = losses.cross_entropy(outputs, batch.y)
        metrics["accuracy"] = accuracy(outputs, batch.y)
        if self.natural_weight > 0:
            natural, model = model.train(natural_key, params, batch.x)
            loss += self.natural_weight * losses.cross_entropy(natural, batch.y)
            metrics["natural_accuracy"] = accuracy(natural, batch.y)
        return jnp.mean(loss), Info(model.batch_stats, batch.memory, metrics)

    def _search(
        self,
        key: Key,
        params: Params,
        model: Model,
        batch: Batch,
        divergence: Divergence,
    ) -> tuple[Array, dict[str, Array]]:
        """Finds the adversaries, and tells how many examples froze how soon."""
        logits_fn, adaptive = model.evaluating(params), batch.epoch >= self.warm_up
        settings = self._grown(batch)
        first = init(key, logits_fn, batch.x, batch.y, settings, divergence=divergence)
        adversary, state = sensible.search(logits_fn, first, settings, adaptive)
        metrics = {}
        if state is not None:
            metrics["frozen"] = share(state.ignored)
            metrics["steps"] = state.step.astype(jnp.float32)
        return jax.lax.stop_gradient(adversary), metrics

    def _grown(self, batch: Batch) -> Settings:
        """The settings with radius and step as far as they have grown."""
        if not self.ramp:
            return self
        grown = batch.grown(self.ramp)
        return Settings(
            epsilon=self.epsilon * grown,
            step_size=self.step_size * grown,
            steps=self.steps,
            confidence=self.confidence,
            norm=self.norm,
            ignored=self.ignored,
        )


@tagged.register("sense_trade")
@dataclasses.dataclass(frozen=True, kw_only=True)
class SenseTrade(Sense):
    """The paper's variant after TRADES: KL(f(x) || f(x')) + weight * CE(x).

    After its first step the adversary climbs, and compares with the threshold, that
    divergence.
    """

    natural_weight: float = 1.0

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        search_key, *keys = jax.random.split(key, 3)
        adversary, metrics = self._search(
            search_key, params, model, batch, "kl_to_natural"
        )
        natural, outputs, info = trained_on_both(keys, params, model, batch, adversary)
        loss = losses.kl_divergence(outputs, natural)
        loss += self.natural_weight * losses.cross_entropy(natural, batch.y)
        return jnp.mean(loss), info._replace(metrics=metrics | info.metrics)
