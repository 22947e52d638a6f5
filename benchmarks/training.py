"""How fast training is: a PGD step beside PyTorch's, and what SENSE saves by freezing.

    python -m benchmarks.training                all measurements, some 20 minutes
    python -m benchmarks.training sense_mnist    some of them

The first needs the extra "peers" (`make peers` installs it). Compile time is apart;
each measurement is kept in `results/training.json` as soon as it is done. MNIST's
images in the last, CIFAR-10's in the others.
"""

import argparse
import contextlib
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import data, devices, models, runs, training
from zeroone_jax.evaluation import tables
from zeroone_jax.training import objectives

KEY = jax.random.key(0)
RESULTS = pathlib.Path(__file__).parents[1] / "results" / "training.json"
BATCH = 128


def seconds_a_step(
    network: models.Network,
    objective: objectives.Objective,
    images: np.ndarray,
    labels: np.ndarray,
    state: training.State | None = None,
    whole: bool = False,
) -> tuple[float, float, dict[str, float]]:
    """Times single updates.

    Args:
        network: what to train.
        objective: what to train for.
        images: f32 [updates + 1, batch, height, width, channels].
        labels: i32 [updates + 1, batch].
        state: where to begin; the start of training by default.
        whole: whether batches stay whole, as they do over several devices.

    Returns:
        Median seconds, those of the first with compilation, and the mean metrics.
    """
    config = training.Config(optimizer=training.Sgd(learning_rate=0.1))
    per_epoch = 390
    if state is None:
        state = training.init(KEY, network, objective, per_epoch * BATCH, config)
    mesh = devices.mesh("batch", jax.devices()[:1])
    rows = jnp.arange(images.shape[1], dtype=jnp.int32)

    @jax.jit
    def update(state: training.State, x: Any, y: Any) -> Any:
        return training.step(
            KEY, network, objective, config, per_epoch, state, x, y, rows
        )

    # Where updates leave it: the second one must not be compiled again.
    state = devices.everywhere(state, mesh)
    seconds, seen = [], []
    for x, y in zip(images, labels, strict=True):
        began = time.perf_counter()
        with contextlib.nullcontext() if whole else jax.set_mesh(mesh):
            state, metrics = jax.block_until_ready(update(state, x, y))
        seconds.append(time.perf_counter() - began)
        seen.append(jax.device_get(metrics))
    means = {name: float(np.mean([m[name] for m in seen])) for name in seen[0]}
    return float(np.median(seconds[1:])), seconds[0], means


def batches(
    name: str, updates: int, batch: int = BATCH
) -> tuple[np.ndarray, np.ndarray]:
    """The first training images, in batches: one to compile with, and the others."""
    split = data.load(name, "train")
    count = (updates + 1) * batch
    images = split.images[:count].astype(np.float32) / 255
    shape = (updates + 1, batch)
    return (
        images.reshape(*shape, *images.shape[1:]),
        split.labels[:count].reshape(shape),
    )


def pgd_operations(network: models.Network, images: Any, steps: int) -> float:
    """Floating-point operations of an update of PGD training.

    They are counted in forward passes: each inner step is worth two, for weights have
    no gradient there, and the last pass with its gradient three.
    """
    forward = jax.jit(network.apply).lower(network.init(KEY), images)
    # Before XLA rewrites it, it holds each operation once.
    return (2 * steps + 3) * forward.cost_analysis()["flops"]


def pgd_resnet20() -> dict[str, float]:
    """An update of PGD-10 training of ResNet-20, batch 128, against PyTorch."""
    from benchmarks import training_peer

    images, labels = batches("cifar10", updates=8)
    ball = {"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 10}
    theirs, parameters = training_peer.seconds_a_step(
        training_peer.ResNet20(), images, labels.astype(np.int64), **ball
    )
    network = models.build("resnet20", (32, 32, 3), 10)
    seconds, first, _ = seconds_a_step(
        network, objectives.projected_gradient(**ball), images, labels
    )
    ours = sum(a.size for a in jax.tree.leaves(network.init(KEY).params))
    if ours != parameters:
        raise AssertionError(f"{ours} parameters beside {parameters}")
    return {
        "seconds": seconds,
        "compile_seconds": first - seconds,
        "peer_seconds": theirs,
        "ratio": theirs / seconds,
        "images_per_second": BATCH / seconds,
    }


def update_rates() -> dict[str, Any]:
    """Updates of PGD-3 training beside the rate of matrix products."""
    steps, side = 3, 2048
    objective = objectives.projected_gradient(step_size=4 / 255, steps=steps)
    matrix = jax.random.normal(KEY, (side, side))
    product = jax.jit(lambda a: a @ a)
    jax.block_until_ready(product(matrix))
    times = []
    for _ in range(10):
        began = time.perf_counter()
        jax.block_until_ready(product(matrix))
        times.append(time.perf_counter() - began)
    matmul = 2 * side**3 / float(np.median(times)) / 1e9
    rows = []
    for name in ("resnet20", "patch_resnet8"):
        network = models.build(name, (32, 32, 3), 10)
        for batch in (128, 64, 32):
            images, labels = batches("cifar10", 8, batch)
            once, _, _ = seconds_a_step(network, objective, images, labels)
            rate = pgd_operations(network, images[0], steps) / once / 1e9
            rows.append(
                {
                    "network": name,
                    "batch": batch,
                    "images_per_second": batch / once,
                    "gflop_per_second": rate,
                    "share_of_matmul": rate / matmul,
                }
            )
    return {"matmul_gflop_per_second": matmul, "rows": rows}


def sense_mnist() -> dict[str, list[dict[str, float]]]:
    """SENSE's update beside PGD-10's, on networks that ever more examples freeze on."""
    split = data.load("mnist", "train")
    network = models.build("lenet_valid", (28, 28, 1), 10)
    ball = {"epsilon": 0.3, "step_size": 0.075, "steps": 10}
    images, labels = batches("mnist", updates=40)
    config = training.Config(optimizer=training.Sgd(learning_rate=0.05))
    state = training.fit(
        KEY, network, objectives.natural(), split.images, split.labels, config
    )
    # Natural training leaves no memory, like the objectives that are timed.
    pgd, _, _ = seconds_a_step(
        network, objectives.projected_gradient(**ball), images, labels, state
    )
    curve = []
    for confidence in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0):
        sense = objectives.sense(confidence=confidence, warm_up=0, **ball)
        seconds, _, seen = seconds_a_step(network, sense, images, labels, state)
        whole, _, _ = seconds_a_step(network, sense, images, labels, state, whole=True)
        curve.append(
            {
                "confidence": confidence,
                "steps": seen.get("steps", 0.0),
                "frozen": seen.get("frozen", 1.0),
                "seconds": seconds,
                "share_of_pgd": seconds / pgd,
                "share_of_pgd_whole": whole / pgd,
            }
        )
    return {"curve": curve, "pgd_seconds": pgd}


MEASUREMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "pgd_resnet20": pgd_resnet20,
    "update_rates": update_rates,
    "sense_mnist": sense_mnist,
}


def freezing_table(measured: dict[str, Any]) -> tables.Table:
    """What SENSE's updates cost beside PGD's."""
    rows = [
        [
            one["confidence"],
            one["frozen"],
            one["steps"],
            one["share_of_pgd_whole"],
            one["share_of_pgd"],
        ]
        for one in measured["sense_mnist"]["curve"]
    ]
    return tables.Table(
        "An update of SENSE on MNIST, beside PGD-10's",
        [
            "confidence c",
            "frozen at the end",
            "steps taken",
            "time / PGD-10's, whole batches",
            "halved as examples freeze",
        ],
        rows,
    )


def rates_table(measured: dict[str, Any]) -> tables.Table:
    """What share of the rate of matrix products updates reach."""
    found = measured["update_rates"]
    return tables.Table(
        "PGD-3 training beside matrix products of "
        f"{found['matmul_gflop_per_second']:.0f} GFLOP/s",
        ["network", "batch", "images/s", "GFLOP/s", "share of the products' rate"],
        [
            [
                one["network"],
                one["batch"],
                *(
                    f"{one[name]:.3g}"
                    for name in (
                        "images_per_second",
                        "gflop_per_second",
                        "share_of_matmul",
                    )
                ),
            ]
            for one in found["rows"]
        ],
    )


def step_table(measured: dict[str, Any]) -> tables.Table:
    """What an update of ResNet-20 costs beside PyTorch's."""
    one = measured["pgd_resnet20"]
    names = {
        "seconds": "s an update",
        "peer_seconds": "PyTorch: s",
        "ratio": "PyTorch's time / ours",
        "images_per_second": "images/s",
        "compile_seconds": "compiling: s",
    }
    return tables.Table(
        "PGD-10 training of ResNet-20, batch 128",
        ["", *names.values()],
        [["two CPU cores", *(f"{one[name]:.3g}" for name in names)]],
    )


def all_tables(measured: dict[str, Any]) -> list[tables.Table]:
    """The tables of all measurements, in the order of the page."""
    made = step_table, freezing_table, rates_table
    return [make(measured) for make in made]


def main() -> None:
    """Makes the measurements named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(MEASUREMENTS)}")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args()
    unknown = set(options.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(
            f"{', '.join(sorted(unknown))}: not one of {', '.join(MEASUREMENTS)}"
        )
    measured = runs.read_json(options.out) if options.out.exists() else {}
    for name in options.names or MEASUREMENTS:
        found = MEASUREMENTS[name]()
        revision = runs.git_revision(pathlib.Path(__file__))
        measured[name] = {**found, "session": runs.session(revision)}
        runs.write_json(options.out, measured)
        print(json.dumps(found, indent=2), flush=True)
    if set(measured) == set(MEASUREMENTS):
        for table in all_tables(measured):
            print(tables.markdown(table))


if __name__ == "__main__":
    main()
