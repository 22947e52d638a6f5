"""The optimizers: SGD with momentum in steps down by epochs, and Adam."""

import abc
import collections
import dataclasses
import itertools

import jax
import jax.numpy as jnp
import optax

from zeroone_jax import checks, tagged
from zeroone_jax.types import Array, Params


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(abc.ABC):
    """What is done with a gradient, at a learning rate that falls in steps.

    Attributes:
        learning_rate: the rate at the start.
        milestones: epochs at which the rate is multiplied by `decay`, in rising order;
            fractions are allowed.
        decay: the factor.
    """

    learning_rate: float = 0.1
    milestones: tuple[float, ...] = ()
    decay: float = 0.1

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        checks.positive(learning_rate=self.learning_rate, decay=self.decay)
        pairs = itertools.pairwise((0, *self.milestones))
        if not all(before < after for before, after in pairs):
            raise ValueError(
                f"milestones are {self.milestones}, but must grow from above 0"
            )

    def check_epochs(self, epochs: float) -> None:
        """Raises ValueError if so many epochs do not reach a milestone."""
        late = [place for place in self.milestones if place >= epochs]
        if late:
            raise ValueError(
                f"milestones {late} are not reached in {epochs} epochs: "
                "train longer, or leave them out"
            )

    def schedule(self, steps_per_epoch: int) -> optax.Schedule:
        """Makes the learning rate as a function of the step, not of the epoch."""
        # Of short epochs two milestones may be the same step.
        places = collections.Counter(
            round(place * steps_per_epoch) for place in self.milestones
        )
        return optax.piecewise_constant_schedule(
            self.learning_rate,
            {place: self.decay**times for place, times in places.items()},
        )

    @abc.abstractmethod
    def build(self, steps_per_epoch: int) -> optax.GradientTransformation:
        """Makes the optimizer for epochs, the milestones' unit, of so many updates."""


@tagged.register("sgd")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """SGD with momentum, as both papers' programs train.

    Attributes:
        momentum: in [0,1).
        nesterov: whether the momentum looks ahead.
        weight_decay: added to the gradient as this times the weights, before the
            momentum, as PyTorch does.
        decoupled: whether the decay is taken from the weights instead, after the
            momentum, as in SGDW (Loshchilov and Hutter 2019).
        decay_all: whether biases and batch-norm parameters decay too, as they do in
            PyTorch; otherwise arrays of at least two axes only.
    """

    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    decoupled: bool = False
    decay_all: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.within("[0,1)", momentum=self.momentum)
        checks.not_negative(weight_decay=self.weight_decay)

    def build(self, steps_per_epoch: int) -> optax.GradientTransformation:
        """Makes the optimizer."""
        decayed = optax.add_decayed_weights(
            self.weight_decay, None if self.decay_all else _matrices
        )
        parts = [
            optax.trace(self.momentum, self.nesterov),
            optax.scale_by_learning_rate(self.schedule(steps_per_epoch)),
        ]
        if self.weight_decay > 0:
            parts.insert(1 if self.decoupled else 0, decayed)
        return optax.chain(*parts)


@tagged.register("adam")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with beta .9 and .999, as paper A trains networks.

    Attributes:
        limit: kernels, arrays of at least two axes, are kept within -limit..limit after
            each update, as binarized networks need (1); 0 leaves them free.
    """

    learning_rate: float = 1e-3
    limit: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.not_negative(limit=self.limit)

    def build(self, steps_per_epoch: int) -> optax.GradientTransformation:
        """Makes the optimizer."""
        adam = optax.adam(self.schedule(steps_per_epoch))
        if not self.limit:
            return adam
        return optax.chain(adam, optax.masked(_within(self.limit), _matrices))


def _within(limit: float) -> optax.GradientTransformation:
    """Shortens updates so that what they lead to stays within -limit..limit."""

    def shorten(updates: Params, params: Params | None) -> Params:
        return jax.tree.map(
            lambda update, old: jnp.clip(old + update, -limit, limit) - old,
            updates,
            params,
        )

    return optax.stateless(shorten)


def _matrices(params: Params) -> Params:
    return jax.tree.map(lambda array: array.ndim > 1, params)


def average(old: Params, new: Params, decay: float, step: Array) -> Params:
    """Moves the running average of weights on.

    Args:
        old: the average so far.
        new: the weights.
        decay: the share of the old, in [0,1); less in the first steps, so that the
            average forgets where training started.
        step: i32 [], updates before this one.
    """
    count = step.astype(jnp.float32)
    share = jnp.minimum(decay, (1 + count) / (10 + count))
    return jax.tree.map(
        lambda a, b: (share * a + (1 - share) * b).astype(a.dtype), old, new
    )
