"""Multilayer perceptrons, alone or in ensembles whose probabilities are averaged.

The sigmoid networks that paper A compares with (section A3 of our notes) are
`Config(hidden=(20,), activation="sigmoid", members=100)`; the substitute model of its
attacks (A4) is `Config(hidden=(200, 200), activation="relu")`.

Example:
    >>> params = init(jax.random.key(0), features=4, config=Config(members=3))
    >>> x = jnp.zeros((5, 2, 2))
    >>> apply(params, x).shape, members(params, x).shape
    ((5, 2), (3, 5, 2))
"""

import dataclasses
import functools
import math
from typing import Any, Literal, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from zeroone_jax.models import product
from zeroone_jax.types import Array, Key

ACTIVATIONS = {"sigmoid": nn.sigmoid, "relu": nn.relu}
"""What a hidden unit does with its sum."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The architecture.

    Attributes:
        hidden: units of each hidden layer; () makes linear networks.
        activation: "sigmoid" (logistic units) or "relu".
        classes: logits of each network, at least 2.
        members: networks in the ensemble.
    """

    hidden: tuple[int, ...] = (20,)
    activation: Literal["sigmoid", "relu"] = "sigmoid"
    classes: int = 2
    members: int = 1

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            ValueError: a setting is out of its range.
        """
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {self.activation!r}, not one of {tuple(ACTIVATIONS)}"
            )
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"hidden is {self.hidden}, but every layer needs a unit")
        for name, number, least in (
            ("classes", self.classes, 2),
            ("members", self.members, 1),
        ):
            if number < least:
                raise ValueError(f"{name} is {number}, but must be at least {least}")


@flax.struct.dataclass
class Params:
    """An ensemble.

    Attributes:
        layers: flax's parameters of `Dense_0`, `Dense_1`, ...: a kernel float
            [members, inputs, outputs] and a bias float [members, outputs] each.
        config: the architecture; static, so not an array of the pytree.
    """

    layers: Any
    config: Config = flax.struct.field(pytree_node=False)


class Module(nn.Module):
    """One member: images float [n, ...] to logits float [n, classes]."""

    config: Config

    least_size = 1
    """Height and width that an image must have."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training and evaluation are alike but for their speed."""
        x = x.reshape(len(x), -1)
        activation = ACTIVATIONS[self.config.activation]
        multiply = product.trained if train else jax.lax.dot_general
        for units in self.config.hidden:
            dense = nn.Dense(units, param_dtype=x.dtype, dot_general=multiply)
            x = activation(dense(x))
        return nn.Dense(self.config.classes, param_dtype=x.dtype)(x)


def init(key: Key, features: int, config: Config) -> Params:
    """Draws the networks that training starts from.

    Weights are normal with variance 1 / inputs, cut off at two deviations (flax's
    default), biases 0. A member's numbers depend on the key and its index, not on how
    many members there are.

    Args:
        key: a random key.
        features: d, how many numbers an image has.
        config: the architecture.

    Returns:
        The ensemble, in JAX's default float type.
    """
    return Params(_layers(key, features, config), config)


def members(params: Params, x: Array) -> Array:
    """Computes every member's logits.

    Args:
        params: the ensemble.
        x: float [n, ...] of d numbers an image, in the type of the params.

    Returns:
        float [members, n, classes].

    Raises:
        ValueError: the images have another size.
    """
    features = params.layers["Dense_0"]["kernel"].shape[1]
    if x.ndim < 2 or math.prod(x.shape[1:]) != features:
        raise ValueError(
            f"x has shape {x.shape}, but the networks take {features} numbers an image"
        )
    rows, network = x.reshape(len(x), features), Module(params.config)

    def logits(layers: Any) -> Array:
        return cast(Array, network.apply({"params": layers}, rows))

    return jax.vmap(logits)(params.layers)


def apply(params: Params, x: Array) -> Array:
    """Computes the ensemble's logits.

    Args:
        params: the ensemble.
        x: float [n, ...] of d numbers an image, in the type of the params.

    Returns:
        float [n, classes]: a single network's logits as they are; of several, the
        logarithm of the mean of their softmax probabilities.

    Raises:
        ValueError: the images have another size.
    """
    logits = members(params, x)
    if len(logits) == 1:
        return logits[0]
    log_probabilities = jax.nn.log_softmax(logits, axis=2)
    total = jax.nn.logsumexp(log_probabilities, axis=0)
    return total - math.log(len(logits))


@functools.partial(jax.jit, static_argnums=(1, 2))
def _layers(key: Key, features: int, config: Config) -> Any:
    network, row = Module(config), jnp.zeros((1, features))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(config.members))
    return jax.vmap(lambda key: network.init(key, row)["params"])(keys)
