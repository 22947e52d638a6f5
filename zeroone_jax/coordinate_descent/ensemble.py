"""Many networks at once, of one run or several: in chunks, over devices, in segments.

A chunk holds networks of one run, which share the coordinates that a screen draws, and
goes through its iterations under vmap.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from zeroone_jax import devices
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.hidden_unit import draw_coordinates
from zeroone_jax.coordinate_descent.network import Network
from zeroone_jax.coordinate_descent.problem import Problem, binary
from zeroone_jax.coordinate_descent.program import Program, Tuning
from zeroone_jax.coordinate_descent.state import Info, State
from zeroone_jax.coordinate_descent.step import init as init_network
from zeroone_jax.coordinate_descent.step import step
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


class Runs(NamedTuple):
    """What runs of one program go through, the same on every device.

    Attributes:
        keys: keys [runs].
        tuning: of each run, with a leading axis.
        data: the training set of all of them, labels 0..k-1.
        positives: i32 [networks], the class each network of a run tells from others.
    """

    keys: Array
    tuning: Tuning
    data: Problem
    positives: Array


class _Chunk(NamedTuple):
    """Networks of one run that go side by side: [chunk, ...], but for the last field.

    Attributes:
        place: i32 [chunk], where they stand in the run.
        positive: i32 [chunk], the class that each tells from all others.
        network: as they are.
        pocket: the best so far.
        correct: i32 [chunk, 2], rows that those get right.
        run: the run's key, its tuning, the first iteration and the one to stop at.
    """

    place: Array
    positive: Array
    network: Network
    pocket: Network
    correct: Array
    run: tuple[Key, Tuning, Array, Array]


@functools.partial(jax.jit, static_argnames=("program", "mesh"))
def init(runs: Runs, program: Program, mesh: Mesh) -> Search:
    """Draws the first networks, one after the other on each device.

    Args:
        runs: what they go through.
        program: what is compiled in.
        mesh: the devices.

    Returns:
        The states of all runs; every leaf has a leading axis of runs.
    """

    def of_device(
        shared: tuple[Problem], members: tuple[Array, Array, Array]
    ) -> tuple[Any, ...]:
        return jax.lax.map(functools.partial(one, *shared), members)

    def one(data: Problem, member: tuple[Array, Array, Array]) -> tuple[Network, Array]:
        key, index, positive = member
        own = jax.random.fold_in(key, index)
        started = init_network(own, binary(data, positive), program)
        return started.network, started.pocket_correct

    count, networks = len(runs.keys), len(runs.positives)
    members = (
        jnp.repeat(runs.keys, networks, axis=0),
        jnp.tile(jnp.arange(networks), count),
        jnp.tile(runs.positives, count),
    )
    network, correct = jax.tree.map(
        lambda leaf: leaf.reshape(count, networks, *leaf.shape[1:]),
        _over_devices(of_device, mesh, (runs.data,), members),
    )
    search = Search(network, network, correct, jnp.zeros(count, jnp.int32))
    return _everywhere(search, mesh)


@functools.partial(jax.jit, static_argnames=("program", "mesh"))
def segment(
    runs: Runs, search: Search, program: Program, mesh: Mesh
) -> tuple[Search, Info]:
    """Takes all runs to the end of their segments, at most `SEGMENT` iterations on.

    Args:
        runs: what they go through.
        search: their states, with a leading axis.
        program: what is compiled in.
        mesh: the devices.

    Returns:
        The states and `Info` [runs, SEGMENT, networks], zeros after the last iteration.
    """
    count, networks = search.pocket_correct.shape[:2]
    end = (search.iteration // SEGMENT + 1) * SEGMENT
    stop = jnp.minimum(end, runs.tuning.iterations)
    chunk, together = _chunk(count, networks, runs.data, program, mesh)
    each = -(-networks // chunk)
    # Copies of its last network fill a run's last chunk.
    padded = np.minimum(np.arange(each * chunk), networks - 1)

    def chunked(leaf: Array) -> Array:
        return leaf[:, padded].reshape(count * each, chunk, *leaf.shape[2:])

    def whole(leaf: Array) -> Array:
        return leaf.reshape(count, each * chunk, *leaf.shape[2:])[:, :networks]

    def over_chunks(shared: tuple[Problem], chunks: _Chunk) -> tuple[Any, ...]:
        advance = functools.partial(_run_chunk, program, *shared)
        batch = together if together > 1 else None
        return jax.lax.map(advance, chunks, batch_size=batch)

    repeated = np.repeat(np.arange(count), each)
    shared = (runs.keys, runs.tuning, search.iteration, stop)
    own = (
        jnp.broadcast_to(jnp.arange(networks), (count, networks)),
        jnp.broadcast_to(runs.positives, (count, networks)),
        search.network,
        search.pocket,
        search.pocket_correct,
    )
    place, positive, network, pocket, correct = jax.tree.map(chunked, own)
    run = jax.tree.map(lambda leaf: leaf[repeated], shared)
    chunks = _Chunk(place, positive, network, pocket, correct, run)
    network, pocket, correct, infos = jax.tree.map(
        whole, _over_devices(over_chunks, mesh, (runs.data,), chunks, together)
    )
    infos = jax.tree.map(lambda leaf: leaf.swapaxes(1, 2), infos)
    return _everywhere((Search(network, pocket, correct, stop), infos), mesh)


def _run_chunk(program: Program, data: Problem, chunk: _Chunk) -> tuple[Any, ...]:
    """Takes networks side by side through the iterations of a segment.

    Returns:
        Networks, pockets, their right rows and `Info` [networks, SEGMENT].
    """
    key, tuning, first, stop = chunk.run
    states = State(
        chunk.network,
        jax.lax.map(lambda w1: lattice.project(w1, data.levels), chunk.network.w1),
        chunk.pocket,
        chunk.correct,
        jnp.broadcast_to(first, chunk.place.shape),
    )
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, chunk.place)

    def advance(iteration: Array, carry: tuple[State, Info]) -> tuple[State, Info]:
        states, infos = carry
        drawn, axis = _draw(key, keys, iteration, data, program)

        def one(
            key: Key, state: State, positive: Array, drawn: Array
        ) -> tuple[Any, ...]:
            own = jax.random.fold_in(key, iteration)
            problem = binary(data, positive)
            return step(own, state, problem, drawn, program, tuning)

        over_networks = jax.vmap(one, in_axes=(0, 0, 0, axis))
        states, info = over_networks(keys, states, chunk.positive, drawn)
        row = iteration - first
        return states, jax.tree.map(
            lambda rows, new: rows.at[row].set(new), infos, info
        )

    infos = Info.zeros((SEGMENT, keys.shape[0]))
    states, infos = jax.lax.fori_loop(first, stop, advance, (states, infos))
    infos = jax.tree.map(jnp.transpose, infos)
    return states.network, states.pocket, states.pocket_correct, infos


def _over_devices(
    run: Callable[..., tuple[Any, ...]],
    mesh: Mesh,
    shared: tuple[Any, ...],
    members: tuple[Any, ...],
    chunk: int = 1,
) -> tuple[Any, ...]:
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
    return jax.tree.map(lambda leaf: leaf[:count], done)


def _everywhere(tree: Any, mesh: Mesh) -> Any:
    """Gives results to every device, so that they fit whatever goes on with them."""
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))


def _draw(
    key: Key, keys: Array, iteration: Array, data: Problem, program: Program
) -> tuple[Array, int | None]:
    """The coordinates of an iteration and the axis of networks in them.

    A screen reads the levels of all coordinates it draws, so networks share them:
    each network's search has the same law, and one matrix product serves all.
    """
    coordinates = data.levels.shape[0]
    if program.search == "screened":
        shared = jax.random.fold_in(jax.random.fold_in(key, 2**31 - 1), iteration)
        return draw_coordinates(shared, coordinates, program), None

    def one(network_key: Key) -> Array:
        own = jax.random.fold_in(jax.random.fold_in(network_key, iteration), 1)
        return draw_coordinates(own, coordinates, program)

    return jax.vmap(one)(keys), 0


def _chunk(
    runs: int, networks: int, data: Problem, program: Program, mesh: Mesh
) -> tuple[int, int]:
    """Networks of a run that go side by side on one device, and runs that do so.

    A processor takes one run after the other: each keeps its rows in the cache. Where
    there is room for more, runs are together in one batch.
    """
    rows = data.labels.shape[0]
    platform = mesh.devices.flat[0].platform
    candidates = 64 if platform != "cpu" else 1
    # About four arrays a candidate, and the projections.
    arrays = 4 * candidates + max(program.hidden, 1)
    if program.search == "blind":
        arrays += program.features
    if program.adversarial:
        arrays *= 2
    room = _BYTES_PER_CHUNK.get(platform, _BYTES_PER_CHUNK_ELSEWHERE)
    most = max(1, room // (4 * rows * arrays))
    if platform == "cpu" and program.search == "blind":
        # Nothing to share: one network at a time keeps its rows in the cache.
        most = 1

    def work(each: int) -> int:
        """Networks, copies among them, that a device takes in chunks of a run."""
        return -(-runs * each // mesh.size) * -(-networks // each)

    # The fewest chunks that keep all devices equally busy.
    each = min(range(-(-networks // most), networks + 1), key=work)
    chunk = -(-networks // each)
    if platform == "cpu":
        return chunk, 1
    on_device = -(-runs * each // mesh.size)
    return chunk, -(-on_device // -(-on_device // max(1, most // chunk)))
