"""A sweep of 16 settings inside one device, beside a process for each of them.

    python -m benchmarks.sweeps
    python -m benchmarks.sweeps coarse
    python -m benchmarks.sweeps --table

Four step sizes times four shares of rows on CIFAR-10, class 0 against 1, by
`experiments.sweep`'s own means: as many processes at once as there are cores, against
one process whose program takes all 16. Everything counts: starting Python, loading,
compiling, training, checkpoints and reports. "coarse" is a first look, one vote of 200
iterations; "default" is the default preset, 8 votes of 1,000, where training itself
counts for more. Networks and histories are compared to the bit. Writes
`results/sweeps.json` and prints its table.
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import tempfile
import time
from typing import Any

import jax
import numpy as np

from experiments import sweep
from experiments.sweeps import definition, engines, process
from experiments.sweeps import presets as sweeps
from experiments.sweeps.language import Overrides, choices, product
from zeroone_jax import data, runs
from zeroone_jax.evaluation import tables
from zeroone_jax.models import zero_one

RESULTS = pathlib.Path(__file__).parents[1] / "results" / "sweeps.json"
Figures = dict[str, Any]

_SIZES: dict[str, Overrides] = {
    "coarse": {"solver.votes": 1, "solver.iterations": 200},
    "default": {},
}


def settings(size: str, source: str) -> list[Overrides]:
    """The 16 settings of a size.

    Args:
        size: of `_SIZES`.
        source: a data set's name or path.
    """
    return product(
        [{**_SIZES[size], "data.name": source}],
        choices("solver.hidden_steps", [(0.04,), (0.08,), (0.17,), (0.34,)]),
        choices("solver.rows", [0.125, 0.25, 0.5, 0.75]),
    )


def measure(size: str, source: str, workers: int) -> Figures:
    """Times both ways, and compares what they leave.

    Args:
        size: of `_SIZES`.
        source: a data set's name or path.
        workers: separate processes at once.
    """
    with tempfile.TemporaryDirectory() as folder:
        made, seconds = {}, {}
        for inside in ("device", "process"):
            planned = dataclasses.replace(
                sweeps.step_size_and_rows(),
                overrides=settings(size, source),
                inside=inside,
            )
            listed = definition.runs_of(planned, pathlib.Path(folder, inside))
            jobs = [run.job for run in listed]
            began = time.perf_counter()
            sweep.conduct(f"{size}, {inside}", jobs, jobs, engines.Local(workers))
            seconds[inside] = time.perf_counter() - began
            for job in jobs:
                if process.state(job, is_live=False) is not process.State.FINISHED:
                    raise RuntimeError(f"{job.name} is not finished: see {job.log}")
            made[inside] = [pathlib.Path(job.run_dir) for job in jobs]
        pairs = zip(made["device"], made["process"], strict=True)
        return {
            "size": size,
            "settings": len(made["device"]),
            "process_seconds": seconds["process"],
            "device_seconds": seconds["device"],
            "ratio": seconds["process"] / seconds["device"],
            "identical": sum(_is_same(mine, other) for mine, other in pairs),
        }


def _is_same(mine: pathlib.Path, other: pathlib.Path) -> bool:
    """Whether networks and histories of two run directories are equal to the bit."""
    names = ("metrics.jsonl", "accuracy.md")
    files = [
        (mine / name).read_bytes() == (other / name).read_bytes() for name in names
    ]
    one, two = (
        jax.tree.leaves(zero_one.load(run / "networks.npz")) for run in (mine, other)
    )
    return all(files) and all(map(np.array_equal, one, two))


def table(measured: Figures) -> tables.Table:
    """The times, as docs/results/speed.md quotes them."""
    rows = [
        [
            one["size"],
            one["settings"],
            f"{one['process_seconds']:.0f}",
            f"{one['device_seconds']:.0f}",
            f"{one['ratio']:.1f}",
            f"{one['identical']} of {one['settings']}",
        ]
        for one in measured["sweeps"]
    ]
    header = (
        "size of a run",
        "runs",
        "processes (s)",
        "inside one device (s)",
        "ratio",
        "identical",
    )
    return tables.Table("A sweep, compilation and start included", header, rows)


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", metavar="SIZE", help=", ".join(_SIZES))
    parser.add_argument("--data", default="cifar10", help="data set or .npz file")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--table", action="store_true", help="print what is stored")
    arguments = parser.parse_args()
    if not arguments.table:
        # Nobody waits for the data, and nothing is compiled before it is measured.
        data.load(arguments.data, "train", classes=(0, 1))
        os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
        measured = {
            "sweeps": [
                measure(size, arguments.data, arguments.workers)
                for size in arguments.sizes or _SIZES
            ],
            "workers": arguments.workers,
            "hardware": f"{os.cpu_count()} CPU cores, {platform.machine()}",
            "jax": jax.__version__,
            "date": datetime.date.today().isoformat(),
            "revision": runs.git_revision(pathlib.Path(__file__)),
        }
        with runs.replacing(RESULTS) as partial:
            partial.write_text(json.dumps(measured, indent=1) + "\n")
    print(tables.markdown(table(runs.read_json(RESULTS))))


if __name__ == "__main__":
    main()
