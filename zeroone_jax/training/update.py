"""One update of a network: batch, augmentation, gradient, optimizer, memory."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zeroone_jax import data
from zeroone_jax.models.network import Network, Variables
from zeroone_jax.training import patience
from zeroone_jax.training.config import Config, steps_per_epoch
from zeroone_jax.training.objectives.frame import Batch, Info, Model, Objective
from zeroone_jax.training.optimizer import average
from zeroone_jax.types import Array, Key, Params

# Streams of the run's key; the loop draws the order of the images from the third.
_INIT, _STEPS = 0, 2


class State(NamedTuple):
    """Where training is; a pytree of arrays, to be stored as it is.

    Attributes:
        step: i32 [], updates done.
        params: the parameters.
        batch_stats: the running statistics.
        optimizer: optax's state.
        average: the averaged parameters and running statistics; an empty tuple where
            none are kept.
        memory: what the objective remembers of each image, arrays [n, ...]; an empty
            tuple for objectives without.
        patience: how the loss went, where training may end early; otherwise an empty
            tuple.
    """

    step: Array
    params: Params
    batch_stats: Any
    optimizer: optax.OptState
    average: Variables | tuple[()]
    memory: Any
    patience: Any = ()


def init(
    key: Key,
    network: Network,
    objective: Objective,
    count: int,
    config: Config,
    members: int = 1,
) -> State:
    """Makes the state before the first update on `count` images.

    The other arguments are those of `fit`, as they are for `step`.
    """

    def one(key: Key) -> State:
        variables = network.init(jax.random.fold_in(key, _INIT))
        optimizer = config.built_optimizer(steps_per_epoch(count, config))
        memory = objective.memory(count)
        return State(
            step=jnp.asarray(0, jnp.int32),
            params=variables.params,
            batch_stats=variables.batch_stats,
            optimizer=optimizer.init(variables.params),
            # A copy: donated buffers must not be given twice.
            average=jax.tree.map(jnp.copy, variables) if config.average else (),
            memory=() if memory is None else memory,
            patience=patience.init() if config.patience else (),
        )

    keys = member_keys(key, members)
    return jax.vmap(one)(keys) if members > 1 else one(keys)


def member_keys(key: Key, members: int) -> Key:
    """A key for each member; a network alone has the run's."""
    if members == 1:
        return key
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(members))


def step(
    key: Key,
    network: Network,
    objective: Objective,
    config: Config,
    steps_per_epoch: int,
    state: State,
    x: Array,
    y: Array,
    rows: Array,
) -> tuple[State, dict[str, Array]]:
    """Takes one update.

    If `jax.set_mesh` has set a mesh of one device, as `fit` does, SENSE goes on with
    half of the batch once the other half is frozen.

    Args:
        key: the run's key.
        network: what to train.
        objective: what to train for.
        config: how to train.
        steps_per_epoch: updates an epoch, as `steps_per_epoch` of the package tells.
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
        x = data.augment(augment_key, x, config.shift, config.flip)
    memory = jax.tree.map(lambda array: array[rows], state.memory)
    epoch = state.step.astype(jnp.float32) / steps_per_epoch
    batch = Batch(x, y, epoch, memory)
    model = Model(network, state.batch_stats)
    gradient, loss, info = _gradient(loss_key, objective, config, model, state, batch)
    optimizer = config.built_optimizer(steps_per_epoch)
    # optax counts in whole numbers and multiplies them by floats.
    with jax.numpy_dtype_promotion("standard"):
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer, state.params
        )
        params = optax.apply_updates(state.params, updates)
    averaged = state.average
    if config.average:
        # Averaged weights under the statistics of others would be another network.
        after = Variables(params, info.batch_stats)
        averaged = average(averaged, after, config.average, state.step)
    remembered = jax.tree.map(
        lambda whole, part: whole.at[rows].set(part), state.memory, info.memory
    )
    following = State(
        step=state.step + 1,
        params=params,
        batch_stats=info.batch_stats,
        optimizer=optimizer_state,
        average=averaged,
        memory=remembered,
        patience=state.patience,
    )
    if config.patience:
        following = _watched(state, following, loss, steps_per_epoch, config)
    return following, {"loss": loss, **info.metrics}


def _watched(
    state: State, following: State, loss: Array, steps_per_epoch: int, config: Config
) -> State:
    """Takes note of the loss; a network that has stopped stays as it is."""
    watched = patience.watch(
        state.patience,
        loss,
        steps_per_epoch,
        following.step % steps_per_epoch == 0,
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

    pieces = jax.tree.map(cut, (batch.x, batch.y, batch.memory))
    numbers = jnp.arange(config.accumulate, dtype=jnp.int32)
    batch_stats, (gradient, loss, info) = jax.lax.scan(
        one, state.batch_stats, (*pieces, numbers)
    )
    gradient, loss, metrics = jax.tree.map(
        lambda array: jnp.mean(array, axis=0), (gradient, loss, info.metrics)
    )
    memory = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), info.memory)
    return gradient, loss, Info(batch_stats, memory, metrics)
