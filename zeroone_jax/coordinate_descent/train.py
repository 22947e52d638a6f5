"""Trains vote ensembles from start to end, and from a stored state on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import devices as device_mesh
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.config import Config
from zeroone_jax.coordinate_descent.ensemble import SEGMENT, Search, segment, start
from zeroone_jax.coordinate_descent.problem import Problem, prepare
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array, Key


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
    mesh = device_mesh.mesh("votes", devices)
    key, data, positives = device_mesh.everywhere((key, data, positives), mesh)
    if state is None:
        state = start(key, data, positives, config, mesh)
    else:
        _check_state(state, data, positives, config)
    pieces = []
    while (done := int(state.iteration)) < config.iterations:
        stop = min((done // SEGMENT + 1) * SEGMENT, config.iterations)
        state, infos = segment(
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
    mesh = device_mesh.mesh("votes")
    positives = _positive_classes(data, config)
    key, data, positives = device_mesh.everywhere((key, data, positives), mesh)
    return start(key, data, positives, config, mesh)


def _positive_classes(data: Problem, config: Config) -> Array:
    """The class each network tells from all others: i32 [networks]."""
    classes = int(jnp.max(data.labels)) + 1
    if classes == 2:
        return jnp.ones(config.votes, jnp.int32)
    return jnp.repeat(jnp.arange(classes, dtype=jnp.int32), config.votes)


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
