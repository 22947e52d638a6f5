"""Trains vote ensembles from start to end, and from a stored state on."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import devices as device_mesh
from zeroone_jax.coordinate_descent import ensemble
from zeroone_jax.coordinate_descent import network as lattice
from zeroone_jax.coordinate_descent.basis import Basis
from zeroone_jax.coordinate_descent.config import Config
from zeroone_jax.coordinate_descent.ensemble import Runs, Search
from zeroone_jax.coordinate_descent.problem import in_basis
from zeroone_jax.coordinate_descent.program import Program, Tuning, split
from zeroone_jax.coordinate_descent.state import Info
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array, Key


class Result(NamedTuple):
    """The outcome of a run.

    Attributes:
        params: the best networks found: `[votes, ...]`, or `[classes, votes, ...]`
            where there are more than two classes.
        history: what each iteration of this call did, numpy [iterations, networks].
        state: to go on from.
    """

    params: zero_one.Params
    history: Info
    state: Search


def fit(
    key: Key,
    x: Array,
    y: Array,
    config: Config = Config(),  # noqa: B008, frozen
    *,
    radii: ArrayLike | None = None,
    state: Search | None = None,
    on_segment: Callable[[Search, Info], None] | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Result:
    """Trains a vote ensemble of 01 networks by stochastic coordinate descent.

    Step sizes and rows are values of the compiled program: a run that differs only in
    them or in its key compiles nothing. Networks are split over the devices. If
    features are whole multiples of 1/255, the result is the same to the bit on any
    number of devices, and wherever the run was interrupted.

    Args:
        key: random key; the same one when a run goes on.
        x: f32 [n, d], or images [n, h, w, c] for the basis "dct", in [0, 1].
        y: integers [n], labels 0..k-1. With k > 2, `config.votes` networks a class
            are trained, one against all.
        config: settings.
        radii: f32 [n] in pixels of [0,1], the most that the certified 01 loss asks of
            each row: its ball has the radius min(config.epsilon, radii). None asks
            `config.epsilon` of all rows.
        state: from an earlier, shorter run with the same other arguments.
        on_segment: called after every `SEGMENT` iterations, and at the end, with the
            state and the history since the last call.
        devices: where to train; all devices of the default backend if None.

    Returns:
        A `Result`.

    Raises:
        ValueError: where data, labels, settings or state do not fit.
    """

    def of_the_only_run(_: int, state: Search, history: Info) -> None:
        if on_segment is not None:
            on_segment(state, history)

    grid = Grid([key], x, y, [config], radii=radii, devices=devices)
    states = None if state is None else [state]
    (result,) = grid.fit(states, on_segment=of_the_only_run)
    return result


class Grid:
    """Runs on the same data in one program, compiled once.

    Each run's networks and history are those of `fit`, as `fit` describes. The networks
    of all runs are split over the devices; on a processor a device takes one run after
    the other, elsewhere as many side by side as there is room for.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        x: Array,
        y: Array,
        configs: Sequence[Config],
        *,
        radii: ArrayLike | None = None,
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        """Checks runs, and lays them out on the devices.

        Args:
            keys: a random key for each run.
            x: f32 [n, d], as for `fit`.
            y: integers [n], as for `fit`.
            configs: settings of each run, which differ in `iterations`, `ramp`,
                `balanced_share`, `hidden_steps` (equally many), `output_step`, `rows`,
                `adversarial_step` and `epsilon` (each 0 in all of them, or in none)
                only.
            radii: f32 [n], as for `fit`.
            devices: where to train; all devices of the default backend if None.

        Raises:
            ValueError: no runs, another number of keys than of configs, configs that
                differ elsewhere; or data or settings do not fit.
        """
        if not configs:
            raise ValueError("a grid needs at least one config")
        if len(keys) != len(configs):
            raise ValueError(f"{len(keys)} keys for {len(configs)} configs: one each")
        self._program, tunings = _together(configs)
        # Who sees the fewest rows is the first to lack some.
        scarcest = min(configs, key=lambda config: config.rows)
        data, self._basis = in_basis(x, y, scarcest, radii)
        classes = int(jnp.max(data.labels)) + 1
        # Of two classes one is told from the other, of more each from all others.
        told = jnp.arange(0 if classes > 2 else 1, classes, dtype=jnp.int32)
        positives = jnp.repeat(told, self._program.votes)
        runs = Runs(jnp.stack(keys), _stacked(tunings), data, positives)
        self._mesh = device_mesh.mesh("votes", devices)
        self._runs = device_mesh.everywhere(runs, self._mesh)

    def init(self) -> list[Search]:
        """The states of all runs before the first iteration."""
        search = ensemble.init(self._runs, self._program, self._mesh)
        return [_of_run(search, run) for run in range(len(self._runs.keys))]

    def fit(
        self,
        states: Sequence[Search] | None = None,
        on_segment: Callable[[int, Search, Info], None] | None = None,
    ) -> list[Result]:
        """Trains to the end.

        Args:
            states: of earlier, shorter runs, each perhaps at another iteration; None
                starts from `init`.
            on_segment: called with a run's place, its state and its history since the
                last call, after every `SEGMENT` iterations and at its end.

        Returns:
            A `Result` for each run.

        Raises:
            ValueError: another number of states than of runs, or a state does not fit.
        """
        runs, program, mesh = self._runs, self._program, self._mesh
        last = np.asarray(runs.tuning.iterations)
        if states is None:
            search = ensemble.init(runs, program, mesh)
        else:
            if len(states) != len(runs.keys):
                raise ValueError(f"{len(states)} states for {len(runs.keys)} configs")
            for state, iterations in zip(states, last.tolist(), strict=True):
                _check_state(state, runs, program, iterations)
            search = device_mesh.everywhere(_stacked(states), mesh)
        pieces: list[list[Info]] = [[] for _ in range(len(runs.keys))]
        before = np.asarray(search.iteration)
        while (before < last).any():
            search, infos = ensemble.segment(runs, search, program, mesh)
            after = np.asarray(search.iteration)
            done = jax.tree.map(np.asarray, infos)
            for run in np.flatnonzero(after > before).tolist():
                count = after[run] - before[run]
                history = Info(*(field[run, :count] for field in done))
                pieces[run].append(history)
                if on_segment is not None:
                    on_segment(run, _of_run(search, run), history)
            before = after
        return [
            Result(
                _params(state, runs, program, self._basis),
                _joined(histories, runs),
                state,
            )
            for state, histories in zip(
                (_of_run(search, run) for run in range(len(pieces))),
                pieces,
                strict=True,
            )
        ]


def _together(configs: Sequence[Config]) -> tuple[Program, tuple[Tuning, ...]]:
    """The one program of some settings, and the values that each runs it with."""
    (program, *others), tunings = zip(*map(split, configs), strict=True)
    differing = [
        field.name
        for field in dataclasses.fields(program)
        if any(getattr(o, field.name) != getattr(program, field.name) for o in others)
    ]
    if differing:
        raise ValueError(
            "configs of a grid may differ in iterations, ramp, balanced_share, "
            "hidden_steps (equally many), output_step, rows, adversarial_step and "
            "epsilon (each 0 in all, or in none), but these do in "
            f"{', '.join(differing)}"
        )
    return program, tunings


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _of_run(search: Search, run: int) -> Search:
    return jax.tree.map(lambda leaf: leaf[run], search)


def _params(
    state: Search, runs: Runs, program: Program, basis: Basis | None
) -> zero_one.Params:
    params = lattice.as_params(state.pocket, program, basis)
    if len(runs.positives) == program.votes:
        return params
    return jax.tree.map(
        lambda leaf: leaf.reshape(-1, program.votes, *leaf.shape[1:]), params
    )


def _joined(pieces: list[Info], runs: Runs) -> Info:
    """Joins histories; of none, an empty one."""
    empty = jax.tree.map(np.asarray, Info.zeros((0, len(runs.positives))))
    return jax.tree.map(lambda *fields: np.concatenate(fields), empty, *pieces)


def _check_state(state: Search, runs: Runs, program: Program, iterations: int) -> None:
    expected = (
        len(runs.positives),
        max(program.hidden, 1),
        runs.data.levels.shape[0],
    )
    if state.network.w1.shape != expected:
        raise ValueError(
            f"the state's networks have shape {state.network.w1.shape}: this data "
            f"and config need {expected}"
        )
    if int(state.iteration) > iterations:
        raise ValueError(
            f"the state is at iteration {int(state.iteration)}, beyond "
            f"iterations={iterations}"
        )
