"""What every objective is: settings that turn a batch into a loss."""

import abc
import dataclasses
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from zeroone_jax import losses
from zeroone_jax.models.network import Network, Variables
from zeroone_jax.types import Array, Key, LogitsFn, Params


class Batch(NamedTuple):
    """What a step trains on.

    Attributes:
        x: float [n, height, width, channels] in [0,1].
        y: i32 [n].
        epoch: float32 [], how many epochs are over, with the fraction.
        memory: what the objective remembers of each of these images, arrays [n, ...];
            None for objectives without a memory.
    """

    x: Array
    y: Array
    epoch: Array
    memory: Any = None

    def grown(self, ramp: float) -> Array:
        """The share of `ramp` epochs that are over, in [0,1], [] of x's type."""
        if ramp == 0:
            return jnp.ones((), self.x.dtype)
        return jnp.minimum(self.epoch.astype(self.x.dtype) / ramp, 1)


class Info(NamedTuple):
    """What an objective saw.

    Attributes:
        batch_stats: the network's new running statistics.
        memory: the images' new memory.
        metrics: scalars to record, by name; "accuracy" is the share of the images, or
            of their adversaries, labelled right as they were trained on.
    """

    batch_stats: Any
    memory: Any
    metrics: dict[str, Array]


Loss: TypeAlias = tuple[Array, Info]
"""A batch's mean loss, float [], and what was seen."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A network with its running statistics, whose parameters are trained.

    Attributes:
        network: the network.
        batch_stats: its running statistics.
    """

    network: Network
    batch_stats: Any

    def evaluating(self, params: Params) -> LogitsFn:
        """Gives the network in evaluation mode, through which no gradient goes back."""
        variables = jax.lax.stop_gradient(Variables(params, self.batch_stats))
        return self.network.bind(variables)

    def train(self, key: Key, params: Params, x: Array) -> tuple[Array, "Model"]:
        """Computes logits in training mode, and the model with new statistics."""
        variables = Variables(params, self.batch_stats)
        logits, batch_stats = self.network.train(variables, x, key)
        return logits, dataclasses.replace(self, batch_stats=batch_stats)


class Objective(abc.ABC):
    """A loss of a batch; frozen dataclasses of their settings implement it."""

    @abc.abstractmethod
    def __call__(self, key: Key, params: Params, model: Model, batch: Batch) -> Loss:
        """Computes the loss.

        Args:
            key: a random key, new for every step.
            params: what is trained; the loss is differentiable in it.
            model: the rest of the network.
            batch: the images.

        Returns:
            The loss, and what was seen.
        """

    def memory(self, count: int) -> Any:
        """Makes the first memory of so many images, arrays [count, ...]."""
        del count


def share(right: Array) -> Array:
    """The share of True in bool [n], float32 []."""
    return jnp.mean(right.astype(jnp.float32))


def accuracy(logits: Array, y: Array) -> Array:
    """The share of images labelled right, float32 []."""
    return share(losses.labels(logits) == y)
