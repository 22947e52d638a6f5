"""The network that stands in for a target: its settings, its training, its slopes."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from zeroone_jax import checks, losses
from zeroone_jax.types import Array, Key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Substitute:
    """The settings; the defaults are paper A's for CIFAR-10.

    Attributes:
        epsilons: how far FGSM goes in each pixel, > 0, on the [0,1] scale.
        hidden: the widths of the substitute's hidden layers of ReLU units. Weights
            start as He et al. 2015 do, biases at 0: the paper does not say how.
        learning_rate: Adam's, .001 for MNIST.
        batch_size: images a step; the last batch of an epoch takes what is left.
        rounds: of training, with an augmentation between each two.
        epochs: in each round.
        augmentation: how far a new image lies from an old one in each pixel; .01 for
            STL-10 and ImageNet. Clipping does not follow.
        limit: the most images that are trained on: an augmentation adds to the set
            while it does not outgrow this, and after that takes its place.
    """

    epsilons: tuple[float, ...] = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)
    hidden: tuple[int, ...] = (200, 200)
    learning_rate: float = 1e-4
    batch_size: int = 128
    rounds: int = 20
    epochs: int = 20
    augmentation: float = 0.1
    limit: int = 6400

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            ValueError: a setting is out of its range.
        """
        checks.positive(
            learning_rate=self.learning_rate, augmentation=self.augmentation
        )
        checks.counts(
            batch_size=self.batch_size,
            rounds=self.rounds,
            epochs=self.epochs,
            limit=self.limit,
        )
        for epsilon in self.epsilons:
            checks.positive(epsilons=epsilon)
        for width in self.hidden:
            checks.counts(hidden=width)


PAPER = Substitute()
"""Paper A's settings."""


def init(
    key: Key, features: int, classes: int, settings: Substitute, dtype: DTypeLike
) -> Any:
    """Draws the weights: (kernel, bias) of each layer."""
    widths = (features, *settings.hidden, classes)
    draw = jax.nn.initializers.he_normal()
    return [
        (
            draw(jax.random.fold_in(key, layer), widths[layer : layer + 2], dtype),
            jnp.zeros(widths[layer + 1], dtype),
        )
        for layer in range(len(widths) - 1)
    ]


def optimizer(settings: Substitute) -> optax.GradientTransformation:
    """The rule that the weights are trained by."""
    return optax.adam(settings.learning_rate)


def logits(params: Any, x: Array) -> Array:
    """The substitute's logits, float [n, classes], of images [n, ...]."""
    value = x.reshape(len(x), -1)
    for kernel, bias in params[:-1]:
        value = jax.nn.relu(value @ kernel + bias[None, :])
    kernel, bias = params[-1]
    return value @ kernel + bias[None, :]


@functools.partial(jax.jit, static_argnums=0)
def fit(
    settings: Substitute,
    key: Key,
    params: Any,
    optimizer_state: Any,
    images: Array,
    labels: Array,
    count: Array,
) -> tuple[Any, Any]:
    """Trains on the first images of many, for all epochs.

    Args:
        settings: the settings.
        key: a random key.
        params: the weights.
        optimizer_state: Adam's.
        images: float [limit, ...].
        labels: i32 [limit].
        count: i32 [], how many of the images count.

    Returns:
        The weights and Adam's state.
    """
    rule = optimizer(settings)
    size = settings.batch_size
    batches = (count + size - 1) // size

    def loss(params: Any, rows: Array, real: Array) -> Array:
        each = losses.cross_entropy(logits(params, images[rows]), labels[rows])
        return jnp.sum(jnp.where(real, each, 0)) / jnp.sum(real).astype(each.dtype)

    def epoch(number: Array, carry: Any) -> Any:
        noise = jax.random.uniform(jax.random.fold_in(key, number), (len(images),))
        place = jnp.arange(len(images), dtype=jnp.int32)
        # Those that are there, in random order, then the padding.
        order = jnp.argsort(jnp.where(place < count, noise, 2.0))
        order = jnp.pad(order, (0, size))

        def batch(number: Array, carry: Any) -> Any:
            params, state = carry
            rows = jax.lax.dynamic_slice(order, (number * size,), (size,))
            real = number * size + jnp.arange(size, dtype=jnp.int32) < count
            gradient = jax.grad(loss)(params, rows, real)
            # optax raises a float to its whole-number count of steps.
            with jax.numpy_dtype_promotion("standard"):
                update, state = rule.update(gradient, state, params)
                return optax.apply_updates(params, update), state

        return jax.lax.fori_loop(0, batches, batch, carry)

    return jax.lax.fori_loop(0, settings.epochs, epoch, (params, optimizer_state))


@jax.jit
def logit_signs(params: Any, x: Array, y: Array) -> Array:
    """The signs of the slopes of each image's own logit y."""
    return jnp.sign(
        jax.grad(lambda x: jnp.sum(losses.of_class(logits(params, x), y)))(x)
    )


@jax.jit
def loss_signs(params: Any, x: Array, y: Array) -> Array:
    """The signs of the slopes of each image's cross-entropy."""
    return jnp.sign(
        jax.grad(lambda x: jnp.sum(losses.soft_margin(logits(params, x), y)))(x)
    )
