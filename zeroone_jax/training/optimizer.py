"""The optimizers: SGD and Adam at rates that fall in steps, SGD at a cyclic rate."""

import abc
import collections
import dataclasses
import itertools
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from zeroone_jax import checks, tagged
from zeroone_jax.types import Array, Params

Tree = TypeVar("Tree")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(abc.ABC):
    """What is done with a gradient, at a learning rate that follows a schedule.

    Attributes:
        learning_rate: the highest rate.
    """

    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        """Raises ValueError where a setting is out of its range."""
        checks.positive(learning_rate=self.learning_rate)

    def check_epochs(self, epochs: int) -> None:
        """Raises ValueError if the schedule does not go with so many epochs."""
        del epochs

    @abc.abstractmethod
    def schedule(self, steps_per_epoch: int, epochs: int) -> optax.Schedule:
        """Makes the learning rate as a function of the step, not of the epoch."""

    @abc.abstractmethod
    def build(self, steps_per_epoch: int, epochs: int) -> optax.GradientTransformation:
        """Makes the optimizer for so many epochs of so many updates."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stepped(Optimizer):
    """An optimizer whose learning rate falls in steps.

    Attributes:
        milestones: epochs at which the rate is multiplied by `decay`, in rising order;
            fractions are allowed.
        decay: the factor.
    """

    milestones: tuple[float, ...] = ()
    decay: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(decay=self.decay)
        pairs = itertools.pairwise((0, *self.milestones))
        if not all(before < after for before, after in pairs):
            raise ValueError(
                f"milestones are {self.milestones}, but must grow from above 0"
            )

    def check_epochs(self, epochs: int) -> None:
        """Raises ValueError if so many epochs do not reach a milestone."""
        late = [place for place in self.milestones if place >= epochs]
        if late:
            raise ValueError(
                f"milestones {late} are not reached in {epochs} epochs: "
                "train longer, or leave them out"
            )

    def schedule(self, steps_per_epoch: int, epochs: int) -> optax.Schedule:
        """Makes the learning rate as a function of the step, not of the epoch."""
        del epochs
        # Of short epochs two milestones may be the same step.
        places = collections.Counter(
            round(place * steps_per_epoch) for place in self.milestones
        )
        return optax.piecewise_constant_schedule(
            self.learning_rate,
            {place: self.decay**times for place, times in places.items()},
        )


@tagged.register("sgd")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sgd(Stepped):
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

    def build(self, steps_per_epoch: int, epochs: int) -> optax.GradientTransformation:
        """Makes the optimizer."""
        decayed = optax.add_decayed_weights(
            self.weight_decay, None if self.decay_all else _matrices
        )
        parts = [
            optax.trace(self.momentum, self.nesterov),
            optax.scale_by_learning_rate(self.schedule(steps_per_epoch, epochs)),
        ]
        if self.weight_decay > 0:
            parts.insert(1 if self.decoupled else 0, decayed)
        return optax.chain(*parts)


@tagged.register("cyclic_sgd")
@dataclasses.dataclass(frozen=True, kw_only=True)
class CyclicSgd(Optimizer):
    """SGD with momentum at a rate that rises and falls once (Smith 2017).

    It rises from 0 in a straight line, and falls to 0 in another by the end of
    training, as in fast adversarial training (Wong, Rice and Kolter 2020), whose
    authors need fewer epochs with it.

    Attributes:
        peak: the share of training after which the rate is highest, in (0,1).
        momentum: in [0,1).
        weight_decay: added to the gradient as this times the weights, before the
            momentum, as PyTorch does.
    """

    peak: float = 0.4
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.within("(0,1)", peak=self.peak)
        checks.within("[0,1)", momentum=self.momentum)
        checks.not_negative(weight_decay=self.weight_decay)

    def schedule(self, steps_per_epoch: int, epochs: int) -> optax.Schedule:
        """Makes the learning rate as a function of the step, not of the epoch."""
        steps = steps_per_epoch * epochs
        places = np.array([0, self.peak * steps, steps], np.float32)
        rates = np.array([0, self.learning_rate, 0], np.float32)
        # The first update must not be at a rate of 0.
        return lambda step: jnp.interp(
            jnp.asarray(step + 1, jnp.float32), jnp.asarray(places), jnp.asarray(rates)
        )

    def build(self, steps_per_epoch: int, epochs: int) -> optax.GradientTransformation:
        """Makes the optimizer."""
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            optax.sgd(self.schedule(steps_per_epoch, epochs), self.momentum),
        )


@tagged.register("adam")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam(Stepped):
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

    def build(self, steps_per_epoch: int, epochs: int) -> optax.GradientTransformation:
        """Makes the optimizer."""
        adam = optax.adam(self.schedule(steps_per_epoch, epochs))
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


def average(old: Tree, new: Tree, decay: float, step: Array) -> Tree:
    """Moves the running average of a network's variables on.

    Args:
        old: the average so far.
        new: the variables after an update.
        decay: the share of the old, in [0,1); less in the first steps, so that the
            average forgets where training started.
        step: i32 [], updates before this one.
    """
    count = step.astype(jnp.float32)
    share = jnp.minimum(decay, (1 + count) / (10 + count))
    averaged: Tree = jax.tree.map(
        lambda a, b: (share * a + (1 - share) * b).astype(a.dtype), old, new
    )
    return averaged
