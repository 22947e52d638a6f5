"""One update of a network: batch, augmentation, gradient, optimizer, memory."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zeroone_jax import data, tagged
from zeroone_jax.attacks import checks
from zeroone_jax.models.network import Network
from zeroone_jax.training import patience
from zeroone_jax.training.objectives.frame import Batch, Info, Model, Objective
from zeroone_jax.training.optimizer import Optimizer, Sgd, average
from zeroone_jax.types import Array, Key, Params

# Streams of the run's key; the loop draws the order of the images from the third.
_INIT, _STEPS = 0, 2


@tagged.register("training")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """How to train.

    Attributes:
        epochs: passes over the images. Images that do not fill a last batch are left
            out of an epoch; as every epoch has an order of its own, not the same ones.
        batch_size: images an update.
        optimizer: what is done with the gradient: settings, whose schedule is counted
            in epochs, or any of optax, whose schedule is counted in updates. Two of
            optax are never equal: give the same object to compile once.
        augment: whether images are shifted by up to 4 pixels and flipped.
        average: decay of a running average of the weights, which is then what is
            evaluated; 0 keeps none.
        accumulate: pieces that a batch is cut into, one after another, to save memory;
            batch-norm statistics are those of the pieces.
        segment: most steps between two looks at the losses from outside.
        patience: training ends early after more than so many epochs, one after
            another, whose mean loss is no gain; 0 trains to the end.
        tolerance: how much less is a gain.
    """

    epochs: int = 1
    batch_size: int = 128
    optimizer: Optimizer | optax.GradientTransformation = dataclasses.field(
        default_factory=Sgd
    )
    augment: bool = False
    average: float = 0.0
    accumulate: int = 1
    segment: int = 100
    patience: int = 0
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            TypeError: the optimizer is none.
            ValueError: a setting is out of its range.
        """
        checks.counts(
            epochs=self.epochs,
            batch_size=self.batch_size,
            accumulate=self.accumulate,
            segment=self.segment,
        )
        if isinstance(self.optimizer, Optimizer):
            self.optimizer.check_epochs(self.epochs)
        elif not isinstance(self.optimizer, optax.GradientTransformation):
            raise TypeError(
                f"optimizer is a {type(self.optimizer).__name__}, but must be "
                "training.Sgd, training.Adam or an optax.GradientTransformation"
            )
        if self.patience < 0:
            raise ValueError(f"patience is {self.patience}, but must not be negative")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance is {self.tolerance}, but must not be negative")
        if not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average}, but must be in [0,1)")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size is {self.batch_size}, but must be a multiple of "
                f"accumulate, {self.accumulate}"
            )


class State(NamedTuple):
    """Where training is; a pytree of arrays, to be stored as it is.

    Attributes:
        step: i32 [], updates done.
        params: the parameters.
        batch_stats: the running statistics.
        optimizer: optax's state.
        average: the averaged parameters; an empty tuple where none are kept.
        memory: what the objective remembers of each image, arrays [n, ...]; an empty
            tuple for objectives without.
        patience: how the loss went, where training may end early; otherwise an empty
            tuple.
    """

    step: Array
    params: Params
    batch_stats: Any
    optimizer: optax.OptState
    average: Params
    memory: Any
    patience: Any = ()


def steps_per_epoch(count: int, config: Config) -> int:
    """How many updates an epoch has.

    Args:
        count: the number of images.
        config: how to train.

    Raises:
        ValueError: the images do not fill a batch.
    """
    if count < config.batch_size:
        raise ValueError(
            f"{count} images do not fill a batch of batch_size={config.batch_size}"
        )
    return count // config.batch_size


def init(
    key: Key, network: Network, objective: Objective, count: int, config: Config
) -> State:
    """Makes the state before the first update.

    Args:
        key: the run's key.
        network: what to train.
        objective: what to train for.
        count: the number of images.
        config: how to train.
    """
    variables = network.init(jax.random.fold_in(key, _INIT))
    optimizer = _built(config, steps_per_epoch(count, config))
    memory = objective.memory(count)
    return State(
        step=jnp.asarray(0, jnp.int32),
        params=variables.params,
        batch_stats=variables.batch_stats,
        optimizer=optimizer.init(variables.params),
        # A copy: donated buffers must not be given twice.
        average=jax.tree.map(jnp.copy, variables.params) if config.average else (),
        memory=() if memory is None else memory,
        patience=patience.begin() if config.patience else (),
    )


def step(
    key: Key,
    network: Network,
    objective: Objective,
    config: Config,
    updates_per_epoch: int,
    state: State,
    x: Array,
    y: Array,
    rows: Array,
) -> tuple[State, dict[str, Array]]:
    """Takes one update.

    Args:
        key: the run's key.
        network: what to train.
        objective: what to train for.
        config: how to train.
        updates_per_epoch: as `steps_per_epoch` tells.
        state: the state so far.
        x: float [batch, height, width, channels] in [0,1], not augmented yet.
        y: i32 [batch].
        rows: i32 [batch], where the images' memory lies.

    Returns:
        The next state, and the objective's metrics with the "loss".
    """
    step_key = jax.random.fold_in(jax.random.fold_in(key, _STEPS), state.step)
    augment_key, loss_key = jax.random.split(step_key)
    if config.augment:
        x = data.augment(augment_key, x)
    memory = jax.tree.map(lambda array: array[rows], state.memory)
    epoch = state.step.astype(jnp.float32) / updates_per_epoch
    batch = Batch(x, y, epoch, memory)
    model = Model(network, state.batch_stats)
    gradient, loss, info = _gradient(loss_key, objective, config, model, state, batch)
    optimizer = _built(config, updates_per_epoch)
    # optax counts in whole numbers and multiplies them by floats.
    with jax.numpy_dtype_promotion("standard"):
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer, state.params
        )
        params = optax.apply_updates(state.params, updates)
    averaged = state.average
    if config.average:
        averaged = average(averaged, params, config.average, state.step)
    remembered = jax.tree.map(
        lambda whole, part: whole.at[rows].set(part), state.memory, info.memory
    )
    following = State(
        state.step + 1,
        params,
        info.batch_stats,
        optimizer_state,
        averaged,
        remembered,
        state.patience,
    )
    if config.patience:
        following = _watched(state, following, loss, updates_per_epoch, config)
    return following, {"loss": loss, **info.metrics}


def _built(config: Config, updates_per_epoch: int) -> optax.GradientTransformation:
    if isinstance(config.optimizer, Optimizer):
        return config.optimizer.build(updates_per_epoch)
    return config.optimizer


def _watched(
    state: State, following: State, loss: Array, updates_per_epoch: int, config: Config
) -> State:
    """Takes note of the loss; a network that has stopped stays as it is."""
    watched = patience.watch(
        state.patience,
        loss,
        updates_per_epoch,
        following.step % updates_per_epoch == 0,
        config.patience,
        config.tolerance,
    )
    kept = jax.tree.map(
        lambda old, new: jnp.where(state.patience.stopped, old, new),
        state,
        following._replace(patience=watched),
    )
    return kept._replace(step=following.step)


def _gradient(
    key: Key,
    objective: Objective,
    config: Config,
    model: Model,
    state: State,
    batch: Batch,
) -> tuple[Params, Array, Info]:
    """The mean gradient over the pieces of a batch, one after another."""
    graded = jax.value_and_grad(objective, argnums=1, has_aux=True)

    def of_piece(
        key: Key, batch_stats: Any, piece: Batch
    ) -> tuple[Params, Array, Info]:
        seen = dataclasses.replace(model, batch_stats=batch_stats)
        (loss, info), gradient = graded(key, state.params, seen, piece)
        return gradient, loss, info

    if config.accumulate == 1:
        return of_piece(key, state.batch_stats, batch)

    def cut(array: Array) -> Array:
        return array.reshape(config.accumulate, -1, *array.shape[1:])

    def one(
        batch_stats: Any, inputs: tuple[Array, Array, Any, Array]
    ) -> tuple[Any, tuple[Params, Array, Info]]:
        x, y, memory, index = inputs
        piece = Batch(x, y, batch.epoch, memory)
        result = of_piece(jax.random.fold_in(key, index), batch_stats, piece)
        return result[2].batch_stats, result

    pieces = (
        cut(batch.x),
        cut(batch.y),
        jax.tree.map(cut, batch.memory),
        jnp.arange(config.accumulate, dtype=jnp.int32),
    )
    batch_stats, (gradient, loss, info) = jax.lax.scan(one, state.batch_stats, pieces)

    def mean(array: Array) -> Array:
        return jnp.mean(array, axis=0)

    return (
        jax.tree.map(mean, gradient),
        mean(loss),
        Info(
            batch_stats,
            jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), info.memory),
            jax.tree.map(mean, info.metrics),
        ),
    )
