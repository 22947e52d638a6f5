"""The loop that trains every network by gradients.

Images lie on the device as they are stored (uint8); batches are gathered, augmented and
trained on inside one jitted loop over the updates of a segment, which is compiled once.
Of images on disk (`data.OnDisk`) only those of a segment lie there.
An update's randomness comes from the key and the update's number, so that a run goes on
from a stored state as if never interrupted.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from zeroone_jax import checks, data
from zeroone_jax import devices as device_mesh
from zeroone_jax.models.network import Network, Variables
from zeroone_jax.training.config import Config, steps_per_epoch
from zeroone_jax.training.objectives.frame import Objective
from zeroone_jax.training.update import State, init, member_keys, step
from zeroone_jax.types import Array, Key

# Stream of the run's key; those of an update are its own.
_ORDER = 1


class Progress(NamedTuple):
    """What is told after every segment.

    Attributes:
        step: updates done.
        epoch: epochs done, with the fraction.
        metrics: means over the segment and the members, by name; "loss" is among them.
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
    images: Array | np.ndarray | data.OnDisk,
    labels: Array | np.ndarray,
    config: Config,
    *,
    state: State | None = None,
    on_segment: Callable[[State, Progress], None] | None = None,
    devices: Sequence[jax.Device] | None = None,
    members: int = 1,
) -> State:
    """Trains a network from start to end, or from a stored state on.

    Several members of an ensemble are trained together. Each has its own key and its
    own batches, so a member's result does not depend on how many members there are.

    Each batch is split over the devices. On one device the result is the same to the
    bit wherever the run was interrupted. Several devices sum in another order, so
    results differ by rounding.

    Args:
        key: a random key; the same one when a run goes on.
        network: what to train.
        objective: what to train for.
        images: uint8 [n, height, width, channels], or float in [0,1]. Those on disk are
            read ahead; up to two segments of them are in memory.
        labels: int [n].
        config: how to train.
        state: from an earlier, shorter run with the same other arguments. Its arrays
            cannot be used afterwards.
        on_segment: called with the state and what happened after at most
            `config.segment` updates, and at the end of every epoch. The next segment
            makes the state's arrays unusable: copy what you keep.
        devices: where to train; the first device of the default backend if None.
        members: networks to train; of several, each array of the state has a leading
            axis [members].

    Returns:
        The state after the last update, or after the one where patience ended.

    Raises:
        ValueError: images, labels, settings, state and devices do not fit.
        DivergedError: a loss or a parameter is not finite.
    """
    checks.counts(members=members)
    mesh = device_mesh.mesh("batch", jax.devices()[:1] if devices is None else devices)
    images, labels = _checked(network, images, labels)
    count = len(images)
    per_epoch = steps_per_epoch(count, config)
    if state is None:
        state = init(key, network, objective, count, config, members)
    else:
        expected = jax.eval_shape(
            lambda: init(jax.random.key(0), network, objective, count, config, members)
        )
        _check_state(state, expected, config.epochs * per_epoch)
    own_keys = member_keys(key, members)
    keys, labels, state = device_mesh.everywhere((own_keys, labels, state), mesh)
    if not isinstance(images, data.OnDisk):
        images = device_mesh.everywhere(images, mesh)
    done = _steps(state)
    while done < config.epochs * per_epoch and not _has_stopped(state):
        epoch, first = divmod(done, per_epoch)
        rows = _order(own_keys, epoch, count, config)
        order = device_mesh.everywhere(rows, mesh)
        seen: Iterator[tuple[Array | np.ndarray, np.ndarray | None]]
        if isinstance(images, data.OnDisk):
            seen = images.segments(rows[first:], config.segment)
        else:
            seen = itertools.repeat((images, None))
        for place in range(first, per_epoch, config.segment):
            end = min(place + config.segment, per_epoch)
            there, places = device_mesh.everywhere(next(seen), mesh)
            # What is traced there can ask how many devices there are.
            with jax.set_mesh(mesh):
                state, metrics, finite = segment(
                    keys,
                    state,
                    there,
                    labels,
                    order,
                    places,
                    jnp.asarray(place, jnp.int32),
                    jnp.asarray(end, jnp.int32),
                    network,
                    objective,
                    config,
                )
            length, start = end - place, done
            done += length
            metrics = {name: np.asarray(m)[:length] for name, m in metrics.items()}
            _refuse_divergence(metrics["loss"], start, bool(finite))
            means = {name: float(np.mean(m)) for name, m in metrics.items()}
            if on_segment is not None:
                on_segment(state, Progress(done, done / per_epoch, means))
    return state


def variables(state: State) -> Variables:
    """What to evaluate: the averages where there are any."""
    return state.average or Variables(state.params, state.batch_stats)


@functools.partial(
    jax.jit,
    static_argnames=("network", "objective", "config"),
    donate_argnames="state",
)
def segment(
    keys: Key,
    state: State,
    images: Array,
    labels: Array,
    order: Array,
    places: Array | None,
    begin: Array,
    end: Array,
    network: Network,
    objective: Objective,
    config: Config,
) -> tuple[State, dict[str, Array], Array]:
    """Takes the updates begin..end-1 of an epoch, over the mesh that is set.

    `order` has the rows of each of the epoch's batches, i32 [batches, ..., batch], and
    `places` where those of the segment's lie in `images`, i32 [segment, ..., batch];
    None where all images are there, each in its row.

    Returns:
        The state, what each update told, and whether all parameters are finite.
    """
    devices = jax.sharding.get_abstract_mesh().size

    def shared(rows: Array) -> Array:
        return jax.lax.with_sharding_constraint(
            device_mesh.filled(rows, devices), PartitionSpec("batch")
        )

    def update(
        key: Key, state: State, rows: Array, lying: Array | None
    ) -> tuple[State, dict[str, Array]]:
        of_labels = shared(rows)
        of_images = of_labels if lying is None else shared(lying)
        # Where devices get unlike shares, XLA leaves out what fills them up.
        x, y = images[of_images][: len(rows)], labels[of_labels][: len(rows)]
        if x.dtype == jnp.uint8:
            x = x.astype(jnp.float32) / 255
        return step(key, network, objective, config, len(order), state, x, y, rows)

    if keys.ndim:
        update = jax.vmap(update)
    lying = None if places is None else places[0]
    shapes = jax.eval_shape(update, keys, state, order[0], lying)[1]
    record = jax.tree.map(
        lambda s: jnp.zeros((config.segment, *s.shape), s.dtype), shapes
    )

    def one(
        index: Array, carry: tuple[State, dict[str, Array]]
    ) -> tuple[State, dict[str, Array]]:
        state, record = carry
        lying = None if places is None else places[index - begin]
        state, metrics = update(keys, state, order[index], lying)
        record = jax.tree.map(
            lambda whole, now: whole.at[index - begin].set(now), record, metrics
        )
        return state, record

    state, record = jax.lax.fori_loop(begin, end, one, (state, record))
    finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
    return state, record, jnp.all(jnp.stack(finite))


def _order(keys: Key, epoch: int, count: int, config: Config) -> np.ndarray:
    """The rows of an epoch's batches, i32 [batches, ..., batch]."""
    size, whole = config.batch_size, count // config.batch_size

    def of_one(key: Key) -> np.ndarray:
        key = jax.random.fold_in(key, _ORDER)
        return np.stack(data.epoch_batches(key, epoch, count, size)[:whole])

    return np.stack([of_one(key) for key in keys], 1) if keys.ndim else of_one(keys)


def _steps(state: State) -> int:
    """Updates done, the same of every member."""
    return int(np.max(state.step))


def _has_stopped(state: State) -> bool:
    """Whether no member goes on."""
    return bool(state.patience) and bool(np.all(state.patience.stopped))


def _checked(
    network: Network,
    images: Array | np.ndarray | data.OnDisk,
    labels: Array | np.ndarray,
) -> tuple[Array | np.ndarray | data.OnDisk, np.ndarray]:
    """Checks images and labels against the network."""
    if images.ndim != 4 or images.shape[1:] != network.shape:
        raise ValueError(
            f"images have shape {images.shape}, but the network takes "
            f"[n, {', '.join(map(str, network.shape))}]"
        )
    if not isinstance(images, data.OnDisk) and images.dtype != np.uint8:
        images = checks.images("images", images)
    shape = jax.ShapeDtypeStruct((1, *network.shape), jnp.float32)
    seen = jax.eval_shape(
        lambda x: network.apply(network.init(jax.random.key(0)), x), shape
    )
    labels = checks.labels(labels, len(images), seen.shape[1], "labels")
    return images, np.asarray(labels, np.int32)


def _check_state(state: State, expected: State, last: int) -> None:
    """Checks a state that another run left."""
    if _steps(state) > last:
        raise ValueError(
            f"the state is at step {_steps(state)}, beyond the last one, {last}"
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
    wrong = np.argwhere(~np.isfinite(losses))
    if len(wrong):
        where = tuple(wrong[0])
        of_member = f" of member {where[1]}" if len(where) > 1 else ""
        raise DivergedError(
            f"the loss{of_member} is {losses[where]} at step {done + int(where[0]) + 1}"
        )
    if not finite:
        raise DivergedError(
            f"parameters are not finite after step {done + len(losses)}"
        )
