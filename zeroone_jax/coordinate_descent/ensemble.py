"""Many networks at once: under vmap in chunks, split over devices, in segments."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from zeroone_jax import devices
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.config import Config
from zeroone_jax.coordinate_descent.hidden_unit import draw_coordinates
from zeroone_jax.coordinate_descent.network import Network
from zeroone_jax.coordinate_descent.problem import Problem, binary
from zeroone_jax.coordinate_descent.state import Info, State
from zeroone_jax.coordinate_descent.step import init, step
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


@functools.partial(jax.jit, static_argnames=("config", "mesh"))
def start(
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
def segment(
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

    def run(shared: tuple, members: tuple) -> tuple:
        chunked = jax.tree.map(
            lambda leaf: leaf.reshape(-1, chunk, *leaf.shape[1:]), members
        )
        done = jax.lax.map(functools.partial(_run_chunk, config, shared), chunked)
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


def _run_chunk(config: Config, shared: tuple, members: tuple) -> tuple:
    """Takes networks side by side through the iterations of a segment.

    Args:
        config: settings.
        shared: the key, the data, the first iteration, the one to stop at.
        members: of each network its index, positive class, network, pocket and the
            rows that the pocket gets right.

    Returns:
        Networks, pockets, their right rows and `Info` [networks, SEGMENT].
    """
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

    def advance(iteration: Array, carry: tuple[State, Info]) -> tuple[State, Info]:
        states, infos = carry
        drawn, axis = _draw(key, keys, iteration, data, config)

        def one(key: Key, state: State, positive: Array, drawn: Array) -> tuple:
            own = jax.random.fold_in(key, iteration)
            return step(own, state, binary(data, positive), config, drawn)

        over_networks = jax.vmap(one, in_axes=(0, 0, 0, axis))
        states, info = over_networks(keys, states, positive, drawn)
        row = iteration - first
        return states, jax.tree.map(
            lambda rows, new: rows.at[row].set(new), infos, info
        )

    kinds = (jnp.float32, bool, bool, jnp.int32, jnp.int32)
    infos = Info(*(jnp.zeros((SEGMENT, index.shape[0]), kind) for kind in kinds))
    states, infos = jax.lax.fori_loop(first, stop, advance, (states, infos))
    infos = jax.tree.map(jnp.transpose, infos)
    return states.network, states.pocket, states.pocket_correct, infos


def _over_devices(
    run: Callable, mesh: Mesh, shared: tuple, members: tuple, chunk: int = 1
) -> tuple:
    """Splits members' leading axis over devices, padded with copies of the first."""
    count = members[0].shape[0]
    everywhere, votes = PartitionSpec(), PartitionSpec("votes")
    done = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(everywhere, votes),
        out_specs=votes,
        check_vma=False,
    )(shared, devices.filled(members, chunk * mesh.size))
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


def _network_key(key: Key, index: Array) -> Key:
    return jax.random.fold_in(key, index)


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
