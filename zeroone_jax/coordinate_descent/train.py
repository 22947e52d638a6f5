"""Ensembles: iterations in a loop, networks under vmap, chunks of them per device."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.config import Config
from zeroone_jax.coordinate_descent.hidden_unit import draw_coordinates
from zeroone_jax.coordinate_descent.network import Network
from zeroone_jax.coordinate_descent.problem import Problem, binary, prepare
from zeroone_jax.coordinate_descent.state import Info, State
from zeroone_jax.coordinate_descent.step import init, step
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array, Key

SEGMENT = 200
"""Iterations between two returns to the host.

Projections are computed anew at each start of a segment, so where features are not
whole levels its length is part of the result: a constant, not an option.
"""

_BYTES_PER_CHUNK = {"cpu": 64 * 2**20}
_BYTES_PER_CHUNK_ELSEWHERE = 4 * 2**30


class Search(NamedTuple):
    """The state of a whole run: what to store in order to go on later.

    Attributes:
        network: the networks that the search moves; leading axis: networks, class by
            class.
        pocket: the best of each so far.
        pocket_correct: i32 [networks, 2], as in `State`.
        iteration: i32 [], iterations done.
    """

    network: Network
    pocket: Network
    pocket_correct: Array
    iteration: Array


class History(NamedTuple):
    """What the iterations did, numpy arrays [iterations, networks].

    Attributes:
        pocket_accuracy: f32, training accuracy of the best network so far.
        accepted_hidden: bool, whether a weight of the hidden unit moved.
        accepted_output: bool, whether a weight of the output unit moved.
        threshold_moves: i32, thresholds that changed.
        weight_moves: i32, single weights that moved.
    """

    pocket_accuracy: np.ndarray
    accepted_hidden: np.ndarray
    accepted_output: np.ndarray
    threshold_moves: np.ndarray
    weight_moves: np.ndarray


class Result(NamedTuple):
    """The outcome of `fit`.

    Attributes:
        params: the best networks found: `[votes, ...]`, or `[classes, votes, ...]`
            where there are more than two classes.
        history: of the iterations of this call.
        state: to go on from.
    """

    params: zero_one.Params
    history: History
    state: Search


def fit(
    key: Key,
    x: Array,
    y: Array,
    config: Config = Config(),  # noqa: B008, frozen
    *,
    state: Search | None = None,
    on_segment: Callable[[Search, History], None] | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Result:
    """Trains a vote ensemble of 01 networks by stochastic coordinate descent.

    Networks are split over the devices. For features that are whole multiples of
    1/255 the result is the same, to the bit, on any number of devices and wherever
    the run was interrupted.

    Args:
        key: random key; the same one when a run goes on.
        x: f32 [n, d], in [0, 1].
        y: integers [n], labels 0..k-1. With k > 2, `config.votes` networks a class
            are trained, one against all.
        config: settings.
        state: from an earlier, shorter run with the same other arguments.
        on_segment: called after every `SEGMENT` iterations, and at the end, with the
            state and the history since the last call.
        devices: where to train; all devices of the default backend if None.

    Returns:
        A `Result`.

    Raises:
        ValueError: where data, labels, settings or state do not fit.
    """
    data = prepare(x, y, config)
    positives = _positive_classes(data, config)
    mesh = _mesh(devices)
    data = jax.device_put(data, NamedSharding(mesh, PartitionSpec()))
    if state is None:
        state = _start(key, data, positives, config, mesh)
    else:
        _check_state(state, data, positives, config)
    pieces = []
    while (done := int(state.iteration)) < config.iterations:
        stop = min((done // SEGMENT + 1) * SEGMENT, config.iterations)
        state, infos = _segment(
            key, state, data, positives, jnp.int32(stop), config, mesh
        )
        history = History(*(np.asarray(field)[: stop - done] for field in infos))
        pieces.append(history)
        if on_segment is not None:
            on_segment(state, history)
    return Result(_params(state, data, config), _join(pieces, positives), state)


def initial(key: Key, x: Array, y: Array, config: Config) -> Search:
    """The state of `fit` before its first iteration; arguments as there."""
    data = prepare(x, y, config)
    mesh = _mesh(None)
    return _start(key, data, _positive_classes(data, config), config, mesh)


@functools.partial(jax.jit, static_argnames=("config", "mesh"))
def _start(
    key: Key, data: Problem, positives: Array, config: Config, mesh: Mesh
) -> Search:
    """Draws the first networks, one after the other on each device."""

    def run(shared: tuple[Key, Problem], members: tuple[Array, Array]) -> tuple:
        return jax.lax.map(functools.partial(one, *shared), members)

    def one(
        key: Key, data: Problem, member: tuple[Array, Array]
    ) -> tuple[Network, Array]:
        index, positive = member
        started = init(_network_key(key, index), binary(data, positive), config)
        return started.network, started.pocket_correct

    members = (jnp.arange(positives.shape[0]), positives)
    network, correct = _over_devices(run, mesh, (key, data), members)
    return Search(network, network, correct, jnp.int32(0))


@functools.partial(jax.jit, static_argnames=("config", "mesh"))
def _segment(
    key: Key,
    search: Search,
    data: Problem,
    positives: Array,
    stop: Array,
    config: Config,
    mesh: Mesh,
) -> tuple[Search, Info]:
    """Runs all networks up to iteration `stop`, at most `SEGMENT` further.

    Returns:
        The state and `Info` [SEGMENT, networks], zeros after the last iteration.
    """
    networks = positives.shape[0]
    chunk = _chunk(networks, data, config, mesh)

    def run_chunk(shared: tuple, members: tuple) -> tuple:
        key, data, first, stop = shared
        index, positive, network, pocket, correct = members
        states = State(
            network,
            jax.lax.map(lambda w1: lattice.project(w1, data.levels), network.w1),
            pocket,
            correct,
            jnp.broadcast_to(first, index.shape),
        )
        keys = jax.vmap(lambda i: _network_key(key, i))(index)

        def advance(iteration: Array, carry: tuple) -> tuple:
            states, infos = carry
            drawn, axis = _draw(key, keys, iteration, data, config)

            def one(
                key: Key, state: State, positive: Array, drawn: Array
            ) -> tuple[State, Info]:
                return step(
                    jax.random.fold_in(key, iteration),
                    state,
                    binary(data, positive),
                    config,
                    drawn,
                )

            states, info = jax.vmap(one, in_axes=(0, 0, 0, axis))(
                keys, states, positive, drawn
            )
            row = iteration - first
            infos = jax.tree.map(
                lambda all_rows, new: all_rows.at[row].set(new), infos, info
            )
            return states, infos

        infos = Info(
            *(
                jnp.zeros((SEGMENT, index.shape[0]), dtype)
                for dtype in (jnp.float32, bool, bool, jnp.int32, jnp.int32)
            )
        )
        states, infos = jax.lax.fori_loop(first, stop, advance, (states, infos))
        infos = jax.tree.map(jnp.transpose, infos)
        return states.network, states.pocket, states.pocket_correct, infos

    def run(shared: tuple, members: tuple) -> tuple:
        chunked = jax.tree.map(
            lambda leaf: leaf.reshape(-1, chunk, *leaf.shape[1:]), members
        )
        done = jax.lax.map(functools.partial(run_chunk, shared), chunked)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), done)

    members = (
        jnp.arange(networks),
        positives,
        search.network,
        search.pocket,
        search.pocket_correct,
    )
    shared = (key, data, search.iteration, stop)
    network, pocket, correct, infos = _over_devices(run, mesh, shared, members, chunk)
    return Search(network, pocket, correct, stop), jax.tree.map(jnp.transpose, infos)


def _over_devices(
    run: Callable, mesh: Mesh, shared: tuple, members: tuple, chunk: int = 1
) -> tuple:
    """Splits members' leading axis over devices, padded with copies of the first."""
    count = members[0].shape[0]
    spare = -count % (chunk * mesh.size)
    padded = jax.tree.map(
        lambda leaf: jnp.concatenate(
            [leaf, jnp.broadcast_to(leaf[:1], (spare, *leaf.shape[1:]))]
        ),
        members,
    )
    everywhere, votes = PartitionSpec(), PartitionSpec("votes")
    done = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(everywhere, votes),
        out_specs=votes,
        check_vma=False,
    )(shared, padded)
    whole = jax.tree.map(lambda leaf: leaf[:count], done)
    # Every device gets the result, so that it fits any topology it is restored on.
    return jax.lax.with_sharding_constraint(whole, NamedSharding(mesh, PartitionSpec()))


def _draw(
    key: Key, keys: Array, iteration: Array, data: Problem, config: Config
) -> tuple[Array, int | None]:
    """The coordinates of an iteration and the axis of networks in them.

    A screen reads the levels of all coordinates it draws, so networks share them:
    each network's search has the same law, and one matrix product serves all.
    """
    coordinates = data.levels.shape[0]
    if config.search == "screened":
        shared = jax.random.fold_in(jax.random.fold_in(key, 2**31 - 1), iteration)
        return draw_coordinates(shared, coordinates, config), None

    def one(network_key: Key) -> Array:
        own = jax.random.fold_in(jax.random.fold_in(network_key, iteration), 1)
        return draw_coordinates(own, coordinates, config)

    return jax.vmap(one)(keys), 0


def _mesh(devices: Sequence[jax.Device] | None) -> Mesh:
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), ("votes",), (AxisType.Auto,), devices=devices)


def _network_key(key: Key, index: Array) -> Key:
    return jax.random.fold_in(key, index)


def _positive_classes(data: Problem, config: Config) -> Array:
    """The class each network tells from all others: i32 [networks]."""
    classes = int(jnp.max(data.labels)) + 1
    if classes == 2:
        return jnp.ones(config.votes, jnp.int32)
    return jnp.repeat(jnp.arange(classes, dtype=jnp.int32), config.votes)


def _chunk(networks: int, data: Problem, config: Config, mesh: Mesh) -> int:
    """Networks that go through their iterations side by side on one device."""
    rows = data.labels.shape[0]
    platform = mesh.devices.flat[0].platform
    if platform == "cpu" and config.search == "blind":
        # Nothing to share: one network at a time keeps its rows in the cache.
        return 1
    candidates = 64 if platform != "cpu" else 1
    # About four arrays a candidate, and the projections.
    arrays = 4 * candidates + max(config.hidden, 1)
    if config.search == "blind":
        arrays += config.features
    if config.adversarial_step > 0:
        arrays *= 2
    room = _BYTES_PER_CHUNK.get(platform, _BYTES_PER_CHUNK_ELSEWHERE)
    most = max(1, room // (4 * rows * arrays))
    on_device = -(-networks // mesh.size)
    return -(-on_device // -(-on_device // most))


def _params(state: Search, data: Problem, config: Config) -> zero_one.Params:
    params = lattice.as_params(state.pocket, config)
    classes = int(jnp.max(data.labels)) + 1
    if classes == 2:
        return params
    return jax.tree.map(
        lambda leaf: leaf.reshape(classes, config.votes, *leaf.shape[1:]), params
    )


def _join(pieces: list[History], positives: Array) -> History:
    if pieces:
        return History(*(np.concatenate(field) for field in zip(*pieces, strict=True)))
    empty = (0, positives.shape[0])
    kinds = (np.float32, bool, bool, np.int32, np.int32)
    return History(*(np.zeros(empty, kind) for kind in kinds))


def _check_state(
    state: Search, data: Problem, positives: Array, config: Config
) -> None:
    networks, units = positives.shape[0], max(config.hidden, 1)
    expected = (networks, units, data.levels.shape[0])
    if state.network.w1.shape != expected:
        raise ValueError(
            f"the state's networks have shape {state.network.w1.shape}: this data "
            f"and config need {expected}"
        )
    if int(state.iteration) > config.iterations:
        raise ValueError(
            f"the state is at iteration {int(state.iteration)}, beyond "
            f"iterations={config.iterations}"
        )
