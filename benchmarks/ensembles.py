"""Trains ensembles by preset and records accuracy, time and memory as JSON.

    python -m benchmarks.ensembles default paper_2021 thorough:100

trains CIFAR-10 class 0 against 1; `NAME:VOTES` overrides a preset's votes. Every
run ends in a file `results/zero_one/<name>-<votes>-<platform>.json`, which
docs/results/networks.md quotes; `--table` prints it. `--data file.npz` takes the two
classes from a file instead, for machines without a network.
"""

import argparse
import dataclasses
import datetime
import json
import pathlib
import platform
import resource
import time

import jax
import jax.numpy as jnp
import numpy as np

from experiments import published
from zeroone_jax import coordinate_descent, data, runs
from zeroone_jax.evaluation import tables
from zeroone_jax.models import zero_one


def run(name: str, votes: int | None, seed: int, source: str) -> dict:
    """Trains one preset and returns what was measured, ready for JSON.

    Args:
        name: of a preset.
        votes: networks to train, or the preset's own number.
        seed: of the random key.
        source: a data set's name or path, classes 0 and 1 of which are taken.
    """
    config = coordinate_descent.PRESETS[name]()
    if votes is not None:
        config = dataclasses.replace(config, votes=votes)
    train = data.as_features(data.load(source, "train", classes=(0, 1)))
    test = data.as_features(data.load(source, "test", classes=(0, 1)))
    times = [time.perf_counter()]

    def on_segment(
        state: coordinate_descent.Search, history: coordinate_descent.Info
    ) -> None:
        times.append(time.perf_counter())
        accuracy = history.pocket_accuracy[-1].mean()
        elapsed = times[-1] - times[0]
        print(
            f"{name} {int(state.iteration)}: {accuracy:.4f} {elapsed:.1f}s", flush=True
        )

    result = coordinate_descent.fit(
        jax.random.key(seed), *train, config, on_segment=on_segment
    )
    iterations = min(config.iterations, coordinate_descent.SEGMENT)
    # The first segment holds the compilation, the last may be short.
    later = np.diff(times)[1:]
    step = float(np.median(later)) / iterations if later.size else None
    on_train, on_test = (_accuracy(result.params, *split) for split in (train, test))
    return {
        "preset": name,
        "config": dataclasses.asdict(config),
        "seed": seed,
        "train_votes": on_train[0],
        "train_majority": on_train[1],
        "test_votes": on_test[0],
        "test_majority": on_test[1],
        "seconds": times[-1] - times[0],
        "seconds_per_iteration": step,
        "peak_host_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "hardware": _hardware(),
        "jax": jax.__version__,
        "date": datetime.date.today().isoformat(),
        "revision": runs.git_revision(pathlib.Path(__file__)),
    }


def table(folder: pathlib.Path) -> tables.Table:
    """All stored runs beside the authors' figures, in the order of the presets."""
    runs_stored = [runs.read_json(path) for path in folder.glob("*.json")]
    order = list(coordinate_descent.PRESETS)
    runs_stored.sort(key=lambda r: (order.index(r["preset"]), r["config"]["votes"]))
    rows = []
    for stored in runs_stored:
        authors = published.PRESETS_0V1.get(stored["preset"], {})
        rows.append(
            [
                stored["preset"],
                stored["config"]["votes"],
                f"{_spread(stored['train_votes'])} / {_spread(stored['test_votes'])}",
                stored["test_majority"],
                *(
                    authors[kind].text if kind in authors else None
                    for kind in ("vote", "majority")
                ),
            ]
        )
    return tables.Table(
        "CIFAR-10, airplane against automobile",
        (
            "preset",
            "votes",
            "a vote: train / test",
            "majority: test",
            "authors: a vote",
            "authors: majority",
        ),
        rows,
    )


def _spread(accuracies: list[float]) -> str:
    return f"{np.mean(accuracies):.4f} ± {np.std(accuracies):.4f}"


def _accuracy(
    params: zero_one.Params, x: np.ndarray, y: np.ndarray
) -> tuple[list[float], float]:
    """Accuracy of each vote and of the majority."""
    votes = np.asarray(zero_one.votes(params, jnp.asarray(x)))
    majority = np.asarray(zero_one.predict(params, jnp.asarray(x)))
    return np.mean(votes == y, axis=1).tolist(), float(np.mean(majority == y))


def _hardware() -> str:
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return f"{len(devices)} CPU cores, {platform.machine()}"
    return f"{len(devices)} x {devices[0].device_kind}"


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="*", metavar="NAME[:VOTES]")
    parser.add_argument("--table", action="store_true", help="print what is stored")
    parser.add_argument("--data", default="cifar10", help="data set or .npz file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default="results/zero_one")
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 2)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for item in arguments.presets:
        name, _, votes = item.partition(":")
        measured = run(
            name, int(votes) if votes else None, arguments.seed, arguments.data
        )
        where = jax.default_backend()
        file = f"{name}-{measured['config']['votes']}-{where}.json"
        (arguments.out / file).write_text(json.dumps(measured, indent=1) + "\n")
        print(
            f"{item}: votes {np.mean(measured['train_votes']):.4f} train, "
            f"{np.mean(measured['test_votes']):.4f} test; majority "
            f"{measured['test_majority']:.4f} test; {measured['seconds']:.1f} s, "
            f"{measured['seconds_per_iteration']} s an iteration",
            flush=True,
        )
    if arguments.table:
        print(tables.markdown(table(arguments.out)))


if __name__ == "__main__":
    main()
