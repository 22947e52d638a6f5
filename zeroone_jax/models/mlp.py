"""Multilayer perceptrons: paper A's sigmoid networks, and ReLU networks.

The sigmoid networks that paper A compares with (docs/papers.md, A3) are ensembles
of `Module(classes=2)`; the substitute model of its attacks (A4) has the shape of
`Module(classes=2, hidden=(200, 200), activation="relu")`.
"""

from typing import Literal

import flax.linen as nn
import jax

from zeroone_jax.models import product
from zeroone_jax.types import Array

ACTIVATIONS = {"sigmoid": nn.sigmoid, "relu": nn.relu}
"""What a hidden unit does with its sum."""


class Module(nn.Module):
    """Images float [n, ...] to logits float [n, classes].

    Weights start normal with variance 1 / inputs, cut off at two deviations (flax's
    default), biases at 0.

    Attributes:
        classes: logits, at least 2.
        hidden: units of each hidden layer; () makes linear networks.
        activation: "sigmoid" (logistic units) or "relu".
    """

    classes: int
    hidden: tuple[int, ...] = (20,)
    activation: Literal["sigmoid", "relu"] = "sigmoid"

    least_size = 1
    """Height and width that an image must have."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        """Computes logits; training and evaluation are alike but for their speed."""
        x = x.reshape(len(x), -1)
        multiply = product.trained if train else jax.lax.dot_general
        for units in self.hidden:
            dense = nn.Dense(units, param_dtype=x.dtype, dot_general=multiply)
            x = ACTIVATIONS[self.activation](dense(x))
        return nn.Dense(self.classes, param_dtype=x.dtype)(x)
