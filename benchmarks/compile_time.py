"""What attacks by gradients cost before they run, in processor time.

    python -m benchmarks.compile_time              every attack, some two minutes
    python -m benchmarks.compile_time pgd apgd     some of them

64 random images of 28 x 28 pixels, and a perceptron with one layer of 64 units. A call
is timed with nothing compiled, and once more; the difference is what tracing and
compiling cost, the checks of the arguments included. The least of `REPEATS` counts.
Beside them stands a loop of gradient, sign and clip, 40 times, under one `jax.jit`.
All is kept in `results/compile_time.json`.
"""

import argparse
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, losses, runs
from zeroone_jax.evaluation import tables
from zeroone_jax.types import Array

RESULTS = pathlib.Path(__file__).parents[1] / "results" / "compile_time.json"
REPEATS = 3
EPSILON = 0.1

ATTACKS: dict[str, Callable[[], attacks.Attack]] = {
    "fgsm": lambda: attacks.fgsm(epsilon=EPSILON),
    "pgd": lambda: attacks.pgd(epsilon=EPSILON, iterations=40),
    "apgd": lambda: attacks.apgd(epsilon=EPSILON, iterations=40),
    "minimal_apgd": lambda: attacks.minimal_apgd(norm="linf"),
    "fab": lambda: attacks.fab(norm="linf", iterations=40),
    "deep_fool": lambda: attacks.deep_fool(norm="l2"),
    "super_deep_fool": lambda: attacks.super_deep_fool(iterations=40),
    "carlini_wagner": lambda: attacks.carlini_wagner(iterations=40),
    "ddn": lambda: attacks.ddn(iterations=40),
    "fmn": lambda: attacks.fmn(norm="linf", iterations=40),
    "sigma_zero": lambda: attacks.sigma_zero(iterations=40),
    "pdgd": lambda: attacks.pdgd(iterations=40),
    "pdpgd": lambda: attacks.pdpgd(norm="linf", iterations=40),
}


def network(generator: np.random.Generator) -> Callable[[Array], Array]:
    """A perceptron of random weights, to logits [n, 10]."""
    shapes = (784, 64), (64, 10)
    first, second = (
        jnp.asarray(generator.normal(0, shape[0] ** -0.5, shape), jnp.float32)
        for shape in shapes
    )

    def logits(x: Array) -> Array:
        return jax.nn.relu(x.reshape(len(x), -1) @ first) @ second

    return logits


def bare(model: Callable[[Array], Array], x: Array, y: Array) -> Any:
    """PGD with nothing around it, a jitted function of the images."""

    def climb(_: Array, point: Array) -> Array:
        slope = jax.grad(lambda point: losses.margin(model(point), y).sum())(point)
        point = point + EPSILON / 10 * jnp.sign(slope)
        return jnp.clip(jnp.clip(point, x - EPSILON, x + EPSILON), 0, 1)

    return jax.jit(lambda x: jax.lax.fori_loop(0, 40, climb, x))


def cost(run: Callable[[], Any]) -> float:
    """Processor seconds of a first call above those of a second, the least seen."""

    def seconds() -> float:
        began = time.process_time()
        jax.block_until_ready(jax.tree.leaves(run()))
        return time.process_time() - began

    def difference() -> float:
        jax.clear_caches()
        return seconds() - seconds()

    return min(difference() for _ in range(REPEATS))


def table(seconds: dict[str, float]) -> tables.Table:
    """What `results/compile_time.json` has, as a table."""
    rows = [[name, f"{found:.2f}"] for name, found in seconds.items()]
    title = "Before an attack runs: tracing and compiling"
    return tables.Table(title, ["attack", "processor s"], rows)


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(ATTACKS)}")
    names = parser.parse_args().names or list(ATTACKS)
    if unknown := [name for name in names if name not in ATTACKS]:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(ATTACKS)}")
    generator = np.random.default_rng(0)
    model = network(generator)
    x = jnp.asarray(generator.uniform(size=(64, 28, 28, 1)), jnp.float32)
    y = jnp.argmax(model(x), axis=1)
    key = jax.random.key(0)

    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    loop = bare(model, x, y)
    kept["a bare loop"] = cost(lambda: loop(x))
    for name in names:
        attack = ATTACKS[name]()
        kept[name] = cost(lambda attack=attack: attack(key, model, x, y))
        print(f"{name}: {kept[name]:.2f} s", flush=True)
        runs.write_json(RESULTS, kept)
    print(tables.markdown(table(kept)))


if __name__ == "__main__":
    main()
