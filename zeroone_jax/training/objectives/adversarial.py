"""Natural training and the methods with one fixed ball for every image."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses, tagged
from zeroone_jax.attacks.perturbation import NORMS, Norm
from zeroone_jax.training.ascent import ascend, nearby_start, random_start
from zeroone_jax.training.objectives.frame import (
    Batch,
    Info,
    Loss,
    Model,
    Objective,
    accuracy,
)
from zeroone_jax.types import Array, Key, Params


@tagged.register("natural")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Natural(Objective):
    """Cross-entropy of the images themselves."""

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        return plain_loss(key, params, model, batch, batch.x)


@tagged.register("gaussian_noise")
@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianNoise(Objective):
    """Cross-entropy of images under noise, clipped to [0,1].

    Attributes:
        sigma: the noise's standard deviation, on the [0,1] pixel scale.
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        checks.positive(sigma=self.sigma)

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        noise_key, key = jax.random.split(key)
        noise = jax.random.normal(noise_key, batch.x.shape, batch.x.dtype)
        noisy = jnp.clip(batch.x + self.sigma * noise, 0, 1)
        return plain_loss(key, params, model, batch, noisy)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InBall(Objective):
    """The settings of methods that search a ball.

    Attributes:
        epsilon: the radius, on the [0,1] pixel scale.
        step_size: the length of a step.
        steps: how many.
        norm: "linf", "l2" or "l1".
        ramp: epochs (fractions allowed) over which the radius and the step grow evenly
            from 0. Small networks that meet a large ball at once learn only a constant
            label (Madry et al. 2018, section 4, on MNIST).
    """

    epsilon: float = 8 / 255
    step_size: float = 2 / 255
    steps: int = 10
    norm: Norm = "linf"
    ramp: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        checks.one_of("norm", self.norm, NORMS)
        checks.radius(self.norm, self.epsilon)
        checks.positive(step_size=self.step_size)
        checks.counts(steps=self.steps)
        checks.not_negative(ramp=self.ramp)

    def search(
        self,
        key: Key,
        loss: Callable[[Array], Array],
        batch: Batch,
        start: Callable[[Key, Array, Array, Array, Norm], Array],
        radius: Array | None = None,
    ) -> Array:
        """Climbs a loss in the ball around each image.

        Args:
            key: a random key, for the starts.
            loss: points float [n, ...] to losses float [n].
            batch: the images.
            start: draws the first points, as `random_start` does.
            radius: float [n], of each image; None is epsilon, as far as it has grown.

        Returns:
            The last points, float [n, ...].
        """
        grown = batch.grown(self.ramp)
        epsilon = self.epsilon * grown if radius is None else radius
        return ascend(
            loss,
            batch.x,
            start(key, batch.x, batch.y, epsilon, self.norm),
            epsilon=epsilon,
            step_size=self.step_size * grown,
            steps=self.steps,
            norm=self.norm,
        )


@tagged.register("projected_gradient")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ProjectedGradient(InBall):
    """Madry et al. 2018: cross-entropy of the adversaries that PGD ends at.

    One step from a random start makes it the fast training of Wong, Rice and Kolter
    2020; see `fast_gradient_sign`.

    Attributes:
        mode: how the network behaves while adversaries are searched: "evaluation", or
            "training" as in paper B's program for this method, with the batch
            statistics of the adversaries themselves and with dropout.
    """

    mode: Literal["evaluation", "training"] = "evaluation"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.one_of("mode", self.mode, ("evaluation", "training"))

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, search_key, key = jax.random.split(key, 3)
        logits_fn = model.evaluating(params)
        climbed = losses.soft_margin
        if self.mode == "training":
            fixed = jax.lax.stop_gradient(params)
            # Images see one another there, so it matters how much each loss counts.
            climbed = losses.cross_entropy

            def logits_fn(x: Array) -> Array:
                return model.train(search_key, fixed, x)[0]

        adversary = self.search(
            start_key,
            lambda point: climbed(logits_fn(point), batch.y),
            batch,
            random_start,
        )
        return plain_loss(key, params, model, batch, adversary)


def fast_gradient_sign(epsilon: float = 8 / 255) -> ProjectedGradient:
    """Wong, Rice and Kolter 2020: one step of 1.25 epsilon from a random start."""
    return ProjectedGradient(epsilon=epsilon, step_size=1.25 * epsilon, steps=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithDivergence(InBall):
    """The settings of methods that add beta KL(f(x) || f(x')) to a loss.

    Attributes:
        beta: weight of the divergence.
    """

    epsilon: float = 0.031
    step_size: float = 0.007
    beta: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(beta=self.beta)


@tagged.register("trades")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Trades(WithDivergence):
    """Zhang et al. 2019: CE(x) + beta KL(f(x) || f(x')), x' maximising that KL."""

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, *keys = jax.random.split(key, 3)
        logits_fn = model.evaluating(params)
        reference = logits_fn(batch.x)
        adversary = self.search(
            start_key,
            lambda point: losses.kl_divergence(logits_fn(point), reference),
            batch,
            nearby_start,
        )
        natural, outputs, info = trained_on_both(keys, params, model, batch, adversary)
        loss = losses.cross_entropy(natural, batch.y)
        loss += self.beta * losses.kl_divergence(outputs, natural)
        return jnp.mean(loss), info


@tagged.register("mart")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Mart(WithDivergence):
    """Wang et al. 2020: boosted cross-entropy, and a divergence for doubtful images.

    BCE(x') + beta KL(f(x) || f(x')) (1 - p_y(x)), where BCE is the cross-entropy minus
    log(1 - the largest other probability), and x' is PGD's adversary from near x.
    """

    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss; see `Objective`."""
        start_key, *keys = jax.random.split(key, 3)
        logits_fn = model.evaluating(params)
        adversary = self.search(
            start_key,
            lambda point: losses.soft_margin(logits_fn(point), batch.y),
            batch,
            nearby_start,
        )
        natural, outputs, info = trained_on_both(keys, params, model, batch, adversary)
        right = losses.of_class(jax.nn.softmax(natural), batch.y)
        loss = boosted_cross_entropy(outputs, batch.y)
        loss += self.beta * losses.kl_divergence(outputs, natural) * (1 - right)
        return jnp.mean(loss), info


def boosted_cross_entropy(logits: Array, y: Array) -> Array:
    """MART's `-log p_y - log(1 - max_{k != y} p_k)`, float [n].

    Finite for any finite logits float [n, k], as nothing is subtracted from 1.
    """
    log_p = jax.nn.log_softmax(logits, axis=1)
    classes = jnp.arange(logits.shape[1], dtype=y.dtype)[None, :]
    rival = jnp.argmax(jnp.where(classes == y[:, None], -jnp.inf, log_p), axis=1)
    others = jnp.where(classes == rival[:, None].astype(y.dtype), -jnp.inf, log_p)
    without = jax.nn.logsumexp(others, axis=1)
    return losses.cross_entropy(logits, y) - without


def plain_loss(key: Key, params: Params, model: Model, batch: Batch, x: Array) -> Loss:
    """The mean cross-entropy of images in training mode, and what goes with it."""
    x = jax.lax.stop_gradient(x)
    logits, model = model.train(key, params, x)
    loss = jnp.mean(losses.cross_entropy(logits, batch.y))
    metrics = {"accuracy": accuracy(logits, batch.y)}
    return loss, Info(model.batch_stats, batch.memory, metrics)


def trained_on_both(
    keys: Sequence[Key], params: Params, model: Model, batch: Batch, adversary: Array
) -> tuple[Array, Array, Info]:
    """Logits float [n, k] of images, then of adversaries, in training mode."""
    natural, model = model.train(keys[0], params, batch.x)
    outputs, model = model.train(keys[1], params, adversary)
    metrics = {
        "accuracy": accuracy(outputs, batch.y),
        "natural_accuracy": accuracy(natural, batch.y),
    }
    return natural, outputs, Info(model.batch_stats, batch.memory, metrics)
