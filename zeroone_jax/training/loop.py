"""The loop that trains every network by gradients.

Images lie on the device as they are stored (uint8); batches are gathered, augmented and
trained on inside one jitted loop over the updates of a segment, which is compiled once.
An update's randomness comes from the key and the update's number, so that a run goes on
from a stored state as if never interrupted.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from zeroone_jax import data
from zeroone_jax.attacks import checks
from zeroone_jax.models.network import Network, Variables
from zeroone_jax.training.objectives.frame import Objective
from zeroone_jax.training.update import Config, State, init, step, steps_per_epoch
from zeroone_jax.types import Array, Key

# Stream of the run's key; those of an update are its own.
_ORDER = 1


class Progress(NamedTuple):
    """What is told after every segment.

    Attributes:
        step: updates done.
        epoch: epochs done, with the fraction.
        metrics: means over the segment, by name; "loss" is among them.
    """

    step: int
    epoch: float
    metrics: dict[str, float]


class DivergedError(Exception):
    """A loss or a parameter is not finite; the message says at which step."""


def fit(
    key: Key,
    network: Network,
    objective: Objective,
    images: Array | np.ndarray,
    labels: Array | np.ndarray,
    config: Config,
    *,
    state: State | None = None,
    on_segment: Callable[[State, Progress], None] | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> State:
    """Trains a network from start to end, or from a stored state on.

    Each batch is split over the devices. On one device the result is the same, to the
    bit, wherever the run was interrupted; several sum in another order.

    Args:
        key: a random key; the same one when a run goes on.
        network: what to train.
        objective: what to train for.
        images: uint8 [n, height, width, channels], or float in [0,1].
        labels: int [n].
        config: how to train.
        state: from an earlier, shorter run with the same other arguments. Its arrays
            are used up.
        on_segment: called with the state and what happened after at most
            `config.segment` updates, and at the end of every epoch. The state's arrays
            are used up by the next segment: copy what is to be kept.
        devices: where to train; the first device of the default backend if None.

    Returns:
        The state after the last update.

    Raises:
        ValueError: images, labels, settings, state and devices do not fit.
        DivergedError: a loss or a parameter is not finite.
    """
    mesh = _mesh(devices, config)
    images, labels = _checked(network, images, labels)
    count = len(images)
    per_epoch = steps_per_epoch(count, config)
    replicated = NamedSharding(mesh, PartitionSpec())
    if state is None:
        state = init(key, network, objective, count, config)
    else:
        expected = jax.eval_shape(
            lambda: init(jax.random.key(0), network, objective, count, config)
        )
        _check_state(state, expected, config.epochs * per_epoch)
    key, images, labels, state = jax.device_put(
        (key, images, labels, state), replicated
    )
    order_key = jax.random.fold_in(key, _ORDER)
    done = int(state.step)
    while done < config.epochs * per_epoch:
        epoch, first = divmod(done, per_epoch)
        batches = data.epoch_batches(order_key, epoch, count, config.batch_size)
        order = jax.device_put(np.stack(batches[:per_epoch]), replicated)
        for begin in range(first, per_epoch, config.segment):
            end = min(begin + config.segment, per_epoch)
            state, metrics, finite = _segment(
                key,
                state,
                images,
                labels,
                order,
                jnp.asarray(begin, jnp.int32),
                jnp.asarray(end, jnp.int32),
                network,
                objective,
                config,
                mesh,
            )
            length, start = end - begin, done
            done += length
            metrics = {name: np.asarray(m)[:length] for name, m in metrics.items()}
            _refuse_divergence(metrics["loss"], start, bool(finite))
            means = {name: float(np.mean(m)) for name, m in metrics.items()}
            if on_segment is not None:
                on_segment(state, Progress(done, done / per_epoch, means))
    return state


def variables(state: State) -> Variables:
    """What to evaluate: the averaged parameters where there are any."""
    return Variables(state.average or state.params, state.batch_stats)


@functools.partial(
    jax.jit,
    static_argnames=("network", "objective", "config", "mesh"),
    donate_argnames="state",
)
def _segment(
    key: Key,
    state: State,
    images: Array,
    labels: Array,
    order: Array,
    begin: Array,
    end: Array,
    network: Network,
    objective: Objective,
    config: Config,
    mesh: Mesh,
) -> tuple[State, dict[str, Array], Array]:
    """Takes the updates begin..end-1 of an epoch.

    Returns:
        The state, what each update told, and whether all parameters are finite.
    """
    spread = NamedSharding(mesh, PartitionSpec("batch"))

    def update(state: State, rows: Array) -> tuple[State, dict[str, Array]]:
        rows = jax.lax.with_sharding_constraint(rows, spread)
        x, y = images[rows], labels[rows]
        if x.dtype == jnp.uint8:
            x = x.astype(jnp.float32) / 255
        return step(
            key,
            network,
            objective,
            config,
            len(order),
            state,
            x,
            y,
            rows,
            devices=mesh.size,
        )

    shapes = jax.eval_shape(update, state, order[0])[1]
    record = jax.tree.map(lambda s: jnp.zeros(config.segment, s.dtype), shapes)

    def one(
        index: Array, carry: tuple[State, dict[str, Array]]
    ) -> tuple[State, dict[str, Array]]:
        state, record = carry
        state, metrics = update(state, order[index])
        record = jax.tree.map(
            lambda whole, now: whole.at[index - begin].set(now), record, metrics
        )
        return state, record

    state, record = jax.lax.fori_loop(begin, end, one, (state, record))
    finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
    return state, record, jnp.all(jnp.stack(finite))


def _mesh(devices: Sequence[jax.Device] | None, config: Config) -> Mesh:
    devices = jax.devices()[:1] if devices is None else devices
    piece = config.batch_size // config.accumulate
    if piece % len(devices):
        raise ValueError(
            f"batches of {piece} images cannot be split evenly over {len(devices)} "
            "devices: choose batch_size and accumulate so that they can"
        )
    return jax.make_mesh(
        (len(devices),), ("batch",), (AxisType.Auto,), devices=list(devices)
    )


def _checked(
    network: Network, images: Array | np.ndarray, labels: Array | np.ndarray
) -> tuple[Array | np.ndarray, np.ndarray]:
    """Checks images and labels against the network."""
    if images.ndim != 4 or images.shape[1:] != network.shape:
        raise ValueError(
            f"images have shape {images.shape}, but the network takes "
            f"[n, {', '.join(map(str, network.shape))}]"
        )
    if images.dtype != np.uint8:
        images = checks.images("images", images)
    shape = jax.ShapeDtypeStruct((1, *network.shape), jnp.float32)
    seen = jax.eval_shape(
        lambda x: network.apply(network.init(jax.random.key(0)), x), shape
    )
    labels = checks.labels(labels, len(images), seen.shape[1], "labels")
    return images, np.asarray(labels, np.int32)


def _check_state(state: State, expected: State, last: int) -> None:
    """Checks a state that another run left."""
    if int(state.step) > last:
        raise ValueError(
            f"the state is at step {int(state.step)}, beyond the last one, {last}"
        )
    given, wanted = (
        {
            jax.tree_util.keystr(path): (leaf.shape, str(leaf.dtype))
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }
        for tree in (state, expected)
    )
    differing = sorted(dict(given.items() ^ wanted.items()))
    if differing:
        raise ValueError(
            "the state is another network's, objective's or optimizer's: "
            f"{', '.join(differing[:3])} differ"
        )


def _refuse_divergence(losses: np.ndarray, done: int, finite: bool) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if len(wrong):
        raise DivergedError(
            f"the loss is {losses[wrong[0]]} at step {done + int(wrong[0]) + 1}"
        )
    if not finite:
        raise DivergedError(
            f"parameters are not finite after step {done + len(losses)}"
        )
