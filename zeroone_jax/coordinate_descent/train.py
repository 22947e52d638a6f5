"""Trains vote ensembles from start to end, and from a stored state on."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import devices as device_mesh
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.config import Config
from zeroone_jax.coordinate_descent.ensemble import Search, segment, start
from zeroone_jax.coordinate_descent.problem import Problem, prepare
from zeroone_jax.coordinate_descent.tuning import TUNED, program_of, tuning_of
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
    """The outcome of a run.

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

    Step sizes and rows are values of the compiled program: a run that differs in them
    only, or in its key, compiles nothing. Networks are split over the devices. For
    features that are whole multiples of 1/255 the result is the same, to the bit, on
    any number of devices and wherever the run was interrupted.

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

    def of_the_only_run(_: int, state: Search, history: History) -> None:
        if on_segment is not None:
            on_segment(state, history)

    (result,) = fit_grid(
        [key],
        x,
        y,
        [config],
        states=None if state is None else [state],
        on_segment=of_the_only_run,
        devices=devices,
    )
    return result


def fit_grid(
    keys: Sequence[Key],
    x: Array,
    y: Array,
    configs: Sequence[Config],
    *,
    states: Sequence[Search] | None = None,
    on_segment: Callable[[int, Search, History], None] | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> list[Result]:
    """Trains many ensembles on the same data in one program, compiled once.

    Each run's networks and history are those of `fit`, as `fit` describes. The networks
    of all runs are split over the devices; on a processor a device takes one run after
    the other, elsewhere as many side by side as there is room for.

    Args:
        keys: a random key for each run.
        x: f32 [n, d], as for `fit`.
        y: integers [n], as for `fit`.
        configs: settings of each run, which differ in `hidden_steps` (equally many),
            `output_step` and `rows` only.
        states: of earlier, shorter runs, each perhaps at another iteration.
        on_segment: called with a run's place, its state and its history since the last
            call, after every `SEGMENT` iterations and at its end.
        devices: where to train; all devices of the default backend if None.

    Returns:
        A `Result` for each run.

    Raises:
        ValueError: no runs, other numbers of keys or states than of configs, configs
            that differ elsewhere; or data, settings or a state do not fit.
    """
    program, data = _prepared(keys, x, y, configs)
    positives = _positive_classes(data, program)
    mesh = device_mesh.mesh("votes", devices)
    every_key, data, positives = device_mesh.everywhere(
        (jnp.stack(keys), data, positives), mesh
    )
    if states is None:
        search = start(every_key, data, positives, program, mesh)
    else:
        if len(states) != len(configs):
            raise ValueError(f"{len(states)} states for {len(configs)} configs")
        for state in states:
            _check_state(state, data, positives, program)
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        search = device_mesh.everywhere(stacked, mesh)
    tuning = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(tuning_of, configs))
    pieces: list[list[History]] = [[] for _ in configs]
    before = np.asarray(search.iteration)
    while before.min() < program.iterations:
        search, infos = segment(
            every_key, tuning, search, data, positives, program, mesh
        )
        after = np.asarray(search.iteration)
        done = History(*map(np.asarray, infos))
        for run in np.flatnonzero(after > before).tolist():
            count = after[run] - before[run]
            history = History(*(field[run, :count] for field in done))
            pieces[run].append(history)
            if on_segment is not None:
                on_segment(run, _of_run(search, run), history)
        before = after
    return [
        Result(_params(state, data, config), _join(pieces[run], positives), state)
        for run, config in enumerate(configs)
        for state in [_of_run(search, run)]
    ]


def initial(key: Key, x: Array, y: Array, config: Config) -> Search:
    """The state of `fit` before its first iteration; arguments as there."""
    return initial_grid([key], x, y, [config])[0]


def initial_grid(
    keys: Sequence[Key], x: Array, y: Array, configs: Sequence[Config]
) -> list[Search]:
    """The states of `fit_grid` before the first iteration; arguments as there."""
    program, data = _prepared(keys, x, y, configs)
    positives = _positive_classes(data, program)
    mesh = device_mesh.mesh("votes")
    every_key, data, positives = device_mesh.everywhere(
        (jnp.stack(keys), data, positives), mesh
    )
    search = start(every_key, data, positives, program, mesh)
    return [_of_run(search, run) for run in range(len(configs))]


def _prepared(
    keys: Sequence[Key], x: Array, y: Array, configs: Sequence[Config]
) -> tuple[Config, Problem]:
    """Checks a grid; gives what its configs share, and the data laid out."""
    if not configs:
        raise ValueError("a grid needs at least one config")
    if len(keys) != len(configs):
        raise ValueError(f"{len(keys)} keys for {len(configs)} configs: one each")
    program, *others = map(program_of, configs)
    differing = [
        field.name
        for field in dataclasses.fields(Config)
        if any(getattr(o, field.name) != getattr(program, field.name) for o in others)
    ]
    if differing:
        raise ValueError(
            f"configs of a grid may differ in {', '.join(TUNED)} (hidden_steps equally "
            f"many), but these do in {', '.join(differing)}"
        )
    # Who sees the fewest rows is the first to lack some.
    return program, prepare(x, y, min(configs, key=lambda config: config.rows))


def _of_run(search: Search, run: int) -> Search:
    return jax.tree.map(lambda leaf: leaf[run], search)


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
