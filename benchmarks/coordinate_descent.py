"""What an iteration of coordinate descent costs, and what its short cuts lose.

    make bench

On CIFAR-10, class 0 against 1, n 10,000, d 3,072, the pocket's full-data score
included: the time of a vote-iteration of each preset beside plain numpy in the same
run, compile time, the compiler's own count of work, and the score that bins lose
against every threshold. Prints tables and writes `results/coordinate_descent.json`.
"""

import argparse
import dataclasses
import datetime
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import numpy_peer
from zeroone_jax import coordinate_descent, data, runs
from zeroone_jax.coordinate_descent import hidden_unit, threshold
from zeroone_jax.coordinate_descent import problem as problems
from zeroone_jax.evaluation import tables

Rows = tuple[np.ndarray, np.ndarray]

_PRESETS = (
    "default",
    "thorough",
    "paper_2020",
    "paper_2021",
    "scdce",
    "01bnn",
    "cebnn",
)


def iteration_times(rows: Rows) -> dict[str, dict[str, float]]:
    """Milliseconds a vote-iteration and seconds to compile, by preset."""
    measured = {}
    for name in _PRESETS:
        config = coordinate_descent.PRESETS[name]()
        votes = 8 if config.search == "screened" else 2
        config = dataclasses.replace(
            config, votes=votes, iterations=3 * coordinate_descent.SEGMENT
        )
        times = [time.perf_counter()]
        coordinate_descent.fit(
            jax.random.key(0),
            *rows,
            config,
            on_segment=lambda *_, times=times: times.append(time.perf_counter()),
        )
        first, *later = np.diff(times)
        each = float(np.median(later))
        measured[name] = {
            "milliseconds": 1e3 * each / votes / coordinate_descent.SEGMENT,
            "start_seconds": float(first) - each,
        }
    return measured


def numpy_time(rows: Rows, iterations: int = 10) -> float:
    """Milliseconds an iteration of the plain numpy program, one at a time."""
    search = numpy_peer.Search(0, *rows)
    search.step()
    began = time.perf_counter()
    for _ in range(iterations):
        search.step()
    return 1e3 * (time.perf_counter() - began) / iterations


def work(rows: Rows) -> dict[str, dict[str, float]]:
    """What the compiler counts for one step of one network, by preset."""
    counted = {}
    for name in ("default", "paper_2020"):
        config = coordinate_descent.PRESETS[name]()
        problem = coordinate_descent.prepare(*rows, config)
        key = jax.random.key(0)
        program, tuning = coordinate_descent.split(config)
        state = coordinate_descent.init(key, problem, program)
        drawn = coordinate_descent.draw_coordinates(key, rows[0].shape[1], program)
        step = jax.jit(coordinate_descent.step, static_argnames="program")
        lowered = step.lower(key, state, problem, drawn, program, tuning)
        cost = lowered.compile().cost_analysis()
        counted[name] = {
            "megaflop": cost["flops"] / 1e6,
            "megabytes": cost["bytes accessed"] / 1e6,
        }
    return counted


def score_lost(rows: Rows, draws: int = 40) -> dict[str, float]:
    """Rows of gain that counting loses against sorting, a mean over candidates.

    Candidates of a network in mid-search: all coordinates of `draws` random draws,
    as the default (bins) and the paper's search (two counts near a position) see
    them.
    """
    config = dataclasses.replace(
        coordinate_descent.Config(), votes=1, iterations=coordinate_descent.SEGMENT
    )
    state = coordinate_descent.fit(jax.random.key(1), *rows, config).state
    problem = coordinate_descent.prepare(*rows, config)
    weights = jnp.where(problem.labels == 1, 1, -1)
    network = jax.tree.map(lambda leaf: leaf[0], state.network)
    projection = jnp.dot(network.w1, problem.levels, precision="highest")
    program, tuning = coordinate_descent.split(config)
    counts = problems.sample_rows(jax.random.key(2), problem, tuning.rows)
    gain = counts * weights

    @jax.jit
    def lost(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        unit = jax.random.randint(key, (), 0, config.hidden)
        drawn = hidden_unit.draw_coordinates(key, rows[0].shape[1], program)[:8]
        base = projection[unit]
        position = jnp.sum(jnp.where(base > network.t1[unit], 0, counts))

        def one(coordinate: jax.Array) -> tuple[jax.Array, jax.Array]:
            moved = base + 44.0 * problem.levels[coordinate]
            whole, bounds = moved.astype(jnp.int32), threshold.bounds_of(moved)
            exact = threshold.best_threshold(moved, gain).gain
            binned = threshold.binned_threshold(whole, gain, bounds, config.bins).gain
            near = threshold.threshold_near(
                whole, gain, counts, bounds, position, 20
            ).gain
            return exact - binned, _windowed(moved, gain, counts, position, 20) - near

        return jax.lax.map(one, drawn)

    bins, window = zip(*(lost(jax.random.key(i)) for i in range(draws)), strict=True)
    return {
        "bins": float(np.mean(bins)),
        "window": float(np.mean(window)),
        "rows": float(jnp.sum(counts)),
    }


def _windowed(
    projection: jax.Array,
    gain: jax.Array,
    counts: jax.Array,
    position: jax.Array,
    window: int,
) -> jax.Array:
    """The best gain near a position, by sorting."""
    ordered, gains, counted = jax.lax.sort((projection, gain, counts), num_keys=1)
    on_from = jnp.append(jnp.cumsum(gains[::-1])[::-1], 0)
    below = jnp.append(0, jnp.cumsum(counted))
    distinct = jnp.append(jnp.append(True, jnp.diff(ordered) > 0), True)
    allowed = distinct & (jnp.abs(below - position) <= window)
    return jnp.max(jnp.where(allowed, on_from, jnp.iinfo(jnp.int32).min))


def accuracy(rows: Rows) -> dict[str, dict[str, float]]:
    """Training accuracy and time of the default search, with bins and exhaustive."""
    measured = {}
    for bins in (2048, 0):
        config = dataclasses.replace(coordinate_descent.Config(), bins=bins)
        times = [time.perf_counter()]
        result = coordinate_descent.fit(
            jax.random.key(0),
            *rows,
            config,
            on_segment=lambda *_, times=times: times.append(time.perf_counter()),
        )
        pocket = result.history.pocket_accuracy
        measured["bins" if bins else "every threshold"] = {
            "after_200": float(pocket[199].mean()),
            "after_1000": float(pocket[-1].mean()),
            "seconds": float(np.median(np.diff(times)[1:])) * 5,
        }
    return measured


def time_table(measured: dict) -> tables.Table:
    """The times of what was measured, beside plain numpy in the same run."""
    peer = measured["numpy_milliseconds"]
    return tables.Table(
        "Time of a vote-iteration",
        ("preset", "ms", "numpy / preset", "start (s)"),
        [
            (
                name,
                f"{one['milliseconds']:.2f}",
                f"{peer / one['milliseconds']:.0f}",
                f"{one['start_seconds']:.1f}",
            )
            for name, one in measured["presets"].items()
        ],
    )


def main() -> None:
    """Measures everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="cifar10", help="data set or .npz file")
    parser.add_argument("--out", type=pathlib.Path, default="results")
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 2)
    rows = data.as_features(data.load(arguments.data, "train", classes=(0, 1)))
    peer = numpy_time(rows)
    times = iteration_times(rows)
    measured = {
        "numpy_milliseconds": peer,
        "presets": times,
        "work": work(rows),
        "score_lost": score_lost(rows),
        "accuracy": accuracy(rows),
        "date": datetime.date.today().isoformat(),
        "revision": runs.git_revision(pathlib.Path(__file__)),
    }
    runs.write_json(arguments.out / "coordinate_descent.json", measured)
    print(f"plain numpy: {peer:.0f} ms an iteration\n")
    print(tables.markdown(time_table(measured)))
    for name in ("work", "score_lost", "accuracy"):
        print(name, json.dumps(measured[name], indent=1))


if __name__ == "__main__":
    main()
