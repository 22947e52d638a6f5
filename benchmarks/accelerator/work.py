"""What is measured: rates of the hardware, of training and attacks, and trainings."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import training as update_times
from benchmarks.accelerator.size import EPSILON, Figures, Setting, Size
from experiments import (
    command_line,
    network_evaluation,
    run_directory,
    train_network,
)
from experiments.configs.network import Data, Experiment
from zeroone_jax import attacks, coordinate_descent, losses, models, runs
from zeroone_jax.models import network as networks
from zeroone_jax.models import zero_one
from zeroone_jax.training import objectives

KEY = jax.random.key(0)
_BALL: Mapping[str, Any] = {"epsilon": EPSILON, "step_size": 2 / 255, "steps": 10}


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """The seconds of a first call, which compiles, and of another one."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - began)
    return times[0], times[1]


def matmul(setting: Setting) -> Figures:
    """The rate of large matrix products in bfloat16, 20 one after another."""
    side, count = setting.size.side, 20
    a = jax.random.normal(KEY, (side, side), jnp.bfloat16)

    @jax.jit
    def products(a: jax.Array) -> jax.Array:
        # Divided by the root of the side, entries keep their size.
        return jax.lax.fori_loop(
            0, count, lambda _, b: (a @ b) * jnp.bfloat16(side**-0.5), a
        )

    _, once = seconds(lambda: products(a))
    return {"side": side, "tflop_per_second": count * 2 * side**3 / once / 1e12}


def wide_update(setting: Setting) -> Figures:
    """An update of PGD-10 training in bfloat16, beside the rate of matrix products."""
    size = setting.size
    network = networks.Network(size.wide, size.shape, jnp.bfloat16)
    images, labels = _batches(size)
    objective = objectives.projected_gradient(**_BALL)
    once, first, _ = update_times.seconds_a_step(network, objective, images, labels)
    operations = update_times.pgd_operations(network, images[0], _BALL["steps"])
    rate = operations / once / 1e12
    known = setting.known.get("matmul")
    return {
        **_wide(size),
        "images_per_second": size.batch / once,
        "compile_seconds": first - once,
        "tflop_per_second": rate,
        "share_of_matmul": known and rate / known["tflop_per_second"],
    }


def wide_update_peer(setting: Setting) -> Figures:
    """The same update in PyTorch, compiled and in bfloat16, where it is installed."""
    from benchmarks import training_peer

    size = setting.size
    model = training_peer.WideResNet(size.wide.depth, size.wide.width)
    images, labels = _batches(size)
    once, parameters = training_peer.seconds_a_step(
        model, images, labels.astype(np.int64), **_BALL, compiled=True
    )
    rate = size.batch / once
    ours = setting.known.get("wide_update")
    return {
        **_wide(size),
        "parameters": parameters,
        "images_per_second": rate,
        "ours_to_theirs": ours and ours["images_per_second"] / rate,
    }


def _batches(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Random images and labels: one batch to compile with, and those that are timed."""
    shape = (size.updates + 1, size.batch)
    images = np.random.default_rng(0).random((*shape, *size.shape), np.float32)
    return images, np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % 10


def _wide(size: Size) -> Figures:
    name = f"wrn_{size.wide.depth}_{size.wide.width}"
    return {"network": name, "batch": size.batch}


def descent(setting: Setting) -> Figures:
    """Coordinate descent by the default preset, at the size of CIFAR-10's two classes.

    On random images: the time does not depend on them.
    """
    size = setting.size
    config = size.descent
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 256, (size.rows, int(np.prod(size.shape))))
    x, y = (levels / 255).astype(np.float32), (np.arange(size.rows) % 2).astype(int)
    first, second = seconds(lambda: coordinate_descent.fit(KEY, x, y, config).params.w1)
    return {
        "votes": config.votes,
        "iterations": config.iterations,
        "seconds": second,
        "first_seconds": first,
    }


def hop_skip_jump(setting: Setting) -> Figures:
    """Queries a second of HopSkipJump, on 01 networks of 8 votes with random weights.

    Half of the random images, which the network labels 0, are attacked.
    """
    size = setting.size
    inputs, hidden = int(np.prod(size.shape)), 20
    w1 = jax.random.normal(KEY, (8, hidden, inputs))
    x = jax.random.uniform(jax.random.key(1), (2 * size.images, *size.shape))
    # Thresholds amid the images: every unit is on for half of them.
    b1 = -jnp.sum(w1, axis=2) / 2
    w2 = jax.random.normal(jax.random.key(2), (8, hidden))
    params = zero_one.Params(w1, b1, w2, -jnp.sum(w2, axis=1) / 2)
    model = zero_one.Vote(params, size.shape)
    y = model.labels(x)
    chosen, other = (np.flatnonzero(np.asarray(y) == label) for label in (0, 1))
    attacked, start = x[chosen[: size.images]], x[np.resize(other, len(x))]
    attack = attacks.hop_skip_jump(iterations=size.steps)

    def found() -> attacks.AttackResult:
        few = len(attacked)
        return attack(KEY, model.labels, attacked, np.zeros(few, int), start[:few])

    _, once = seconds(found)
    queries = int(jnp.sum(found().queries))
    return {
        "images": len(attacked),
        "queries": queries,
        "queries_per_second": queries / once,
    }


def suite(setting: Setting) -> Figures:
    """The standard suite: on the PGD-trained network, or on one not yet trained.

    Labels are the network's own, of random images where it is not trained.
    """
    size = setting.size
    path = setting.folder / "train_pgd" / "network.npz"
    is_trained = path.exists()
    if is_trained:
        experiment = _experiment(objectives.natural(), setting)
        test = command_line.load(experiment.data, "test")
        network = train_network.build(experiment, test)
        x = network_evaluation.test_images(test)[0][: size.images]
        model = network.bind(networks.load(path, network))
    else:
        network = models.build(size.residual, size.shape, 10, jnp.bfloat16)
        x = jax.random.uniform(jax.random.key(1), (size.images, *size.shape))
        model = network.bind(network.init(KEY))
    y = losses.labels(model(x))
    plan = attacks.suite.standard("linf", EPSILON)
    first, second = seconds(lambda: plan(KEY, model, x, y)[:4])
    return {
        "network": size.residual,
        "trained": is_trained,
        "images": len(x),
        "seconds": second,
        "first_seconds": first,
    }


def train(name: str, objective: objectives.Objective, setting: Setting) -> Figures:
    """Trains and evaluates a network; an earlier call's run goes on.

    `experiments.train_network` fills the run directory, and can be stopped anywhere.
    """
    experiment = _experiment(objective, setting)
    path, settings = setting.folder / name, runs.to_json(experiment)
    with run_directory.opened_at(path, settings, resume=True) as run:
        if run.summary() is None:
            train_network.fill(experiment, run)
        summary = run.summary()
    return {
        "network": experiment.network,
        "epochs": experiment.training.epochs,
        **summary["accuracy"],
        **{row["attack"]: row["accuracy"] for row in summary["rows"]},
    }


def _experiment(objective: objectives.Objective, setting: Setting) -> Experiment:
    return Experiment(
        data=Data(name=setting.data),
        network=setting.size.residual,
        dtype="bfloat16",
        objective=objective,
        training=setting.size.training,
        evaluation=setting.size.evaluation,
    )


def _train(name: str, objective: objectives.Objective) -> Callable[[Setting], Figures]:
    return functools.partial(train, f"train_{name}", objective)


MEASUREMENTS: dict[str, Callable[[Setting], Figures]] = {
    "matmul": matmul,
    "wide_update": wide_update,
    "descent": descent,
    "hop_skip_jump": hop_skip_jump,
    "train_pgd": _train("pgd", objectives.projected_gradient()),
    # It attacks the network that was trained just now.
    "suite": suite,
    "wide_update_peer": wide_update_peer,
    "train_sense": _train("sense", objectives.sense(confidence=0.5, warm_up=5)),
    "train_trades": _train("trades", objectives.trades()),
}
"""By worth: what comes first is measured first."""
