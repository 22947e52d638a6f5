"""How fast our attacks are beside other libraries', on the same images and networks.

    python -m benchmarks.attacks                     every comparison, some 15 minutes
    python -m benchmarks.attacks hop_skip_jump pgd   some of them

Needs the extra "peers" (`make peers` installs it). Both sides run in this process, one
after the other, compile time apart; each comparison is kept in `results/attacks.json`
as soon as it is done. The 01 network is the reference's example of 8 votes; the
others are trained on the spot, on CIFAR-10 class 0 against 1 and MNIST.
"""

import argparse
import functools
import json
import pathlib
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import attack_peers as peers
from zeroone_jax import attacks, losses, runs
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.evaluation import tables

KEY = jax.random.key(0)
RESULTS = pathlib.Path(__file__).parents[1] / "results" / "attacks.json"
Figures = dict[str, float]


def timed(function: Callable[[], Any], compiled: bool = False) -> tuple[Any, float]:
    """Runs a function, once before if it compiles, and measures seconds."""
    if compiled:
        jax.block_until_ready(function())
    began = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - began


def time_to(
    attack: attacks.Attack, label_fn: Any, images: peers.Images, median: float
) -> tuple[float, float, float]:
    """Seconds, queries an image, and median distance once it is at most `median`."""
    x, y, start = images
    chunk = -(-len(x) // -(-len(x) // attack.chunk))
    parts = [slice(i, i + chunk) for i in range(0, len(x), chunk)]
    init, step, finish = map(jax.jit, (attack.init, attack.step, attack.finish))

    def distances(states: list[attacks.State]) -> np.ndarray:
        return np.concatenate([size(s.adversary - s.x, attack.norm) for s in states])

    def search(most_steps: int) -> list[attacks.State]:
        states = [init(KEY, label_fn, x[p], y[p], start[p]) for p in parts]
        for _ in range(most_steps):
            if np.median(distances(states)) <= median:
                break
            states = [step(KEY, label_fn, state)[0] for state in states]
        return [finish(KEY, label_fn, state) for state in states]

    search(1)
    states, seconds = timed(lambda: search(1000))
    queries = np.concatenate([state.queries for state in states])
    return seconds, float(queries.mean()), float(np.median(distances(states)))


def hop_skip_jump(count: int = 20) -> Figures:
    """The paper's settings against ART's, and the time to ART's final median."""
    label_fn, images = peers.zero_one(count)
    x, y, start = images
    theirs = peers.art("HopSkipJump", label_fn, images, peers.HOP_SKIP_JUMP)
    attack = attacks.hop_skip_jump(iterations=40)
    out, seconds = timed(lambda: attack(KEY, label_fn, x, y, start), compiled=True)
    queries = float(out.queries.mean())
    adaptive = attacks.hop_skip_jump(radius="adaptive", iterations=40)
    best, best_seconds = timed(
        lambda: adaptive(KEY, label_fn, x, y, start), compiled=True
    )
    reached = time_to(adaptive, label_fn, images, theirs["median"])
    return {
        "images": count,
        "seconds": seconds,
        "queries": queries,
        "median": float(jnp.median(out.distance)),
        "peer_seconds": theirs["seconds"],
        "peer_queries": theirs["queries"],
        "peer_median": theirs["median"],
        "ratio": theirs["seconds"] / theirs["queries"] / (seconds / queries),
        "adaptive_seconds": best_seconds,
        "adaptive_median": float(jnp.median(best.distance)),
        "adaptive_seconds_to_peer_median": reached[0],
        "adaptive_queries_to_peer_median": reached[1],
        "adaptive_ratio": theirs["seconds"] / reached[0],
    }


def hop_skip_jump_foolbox(count: int = 2) -> Figures:
    """One image at a time against foolbox, which is eager."""
    label_fn, (x, y, start) = peers.zero_one(count)
    theirs = peers.foolbox_hop_skip_jump((x, y, start), steps=10)
    attack = attacks.hop_skip_jump(iterations=10, chunk=1)
    attack(KEY, label_fn, x[:1], y[:1], start[:1])
    outs, seconds = timed(
        lambda: [
            attack(KEY, label_fn, x[i : i + 1], y[i : i + 1], start[i : i + 1])
            for i in range(count)
        ]
    )
    queries = float(np.mean([float(out.queries[0]) for out in outs]))
    return {
        "images": count,
        "seconds": seconds,
        "queries": queries,
        "median": float(np.median([float(out.distance[0]) for out in outs])),
        "peer_seconds": theirs["seconds"],
        "peer_queries": theirs["queries"],
        "peer_median": theirs["median"],
        "ratio": theirs["seconds"] / theirs["queries"] / (seconds / queries),
    }


def boundary(count: int = 10) -> Figures:
    """The paper's settings against ART's: the time to the same distance."""
    label_fn, images = peers.zero_one(count)
    theirs = peers.art("BoundaryAttack", label_fn, images, peers.BOUNDARY)
    attack = attacks.boundary(iterations=2000)
    seconds, queries, median = time_to(attack, label_fn, images, theirs["median"])
    return {
        "images": count,
        "seconds": seconds,
        "queries": queries,
        "median": median,
        "peer_seconds": theirs["seconds"],
        "peer_queries": theirs["queries"],
        "peer_median": theirs["median"],
        "ratio": theirs["seconds"] / seconds,
    }


def pgd(count: int = 512) -> Figures:
    """PGD-40 against foolbox's on the same JAX network, every image to the end.

    The median of five runs of each; and of a bare loop, which is what PGD may cost.
    """
    network = peers.sigmoid_mlp()
    x, y = network.x[:count], network.y[:count]
    attack = attacks.pgd(
        epsilon=8 / 255,
        step_size=2 / 255,
        iterations=40,
        fit_box=False,
        loss="cross_entropy",
        early_stop=False,
        chunk=count,
    )
    runs_of_ours = [
        timed(lambda: attack(KEY, network.logits_fn, x, y), compiled=first)
        for first in (True, False, False, False, False)
    ]
    out, seconds = runs_of_ours[0][0], float(np.median([s for _, s in runs_of_ours]))
    robust, peer_seconds = peers.foolbox_pgd(network, count, len(runs_of_ours))
    bare = functools.partial(bare_loop, network.logits_fn, x, y)
    bare_runs = [timed(bare, compiled=first)[1] for first in (True, *[False] * 4)]
    return {
        "images": count,
        "seconds": seconds,
        "robust": float(1 - out.success.mean()),
        "peer_seconds": peer_seconds,
        "peer_robust": robust,
        "ratio": peer_seconds / seconds,
        "bare_seconds": float(np.median(bare_runs)),
    }


@jax.jit
def bare_loop(logits_fn: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """PGD-40 that keeps nothing: gradient, sign and clip."""

    def loss(point: jax.Array) -> jax.Array:
        return losses.cross_entropy(logits_fn(point), y).sum()

    def move(_: int, point: jax.Array) -> jax.Array:
        point = point + 2 / 255 * jnp.sign(jax.grad(loss)(point))
        return jnp.clip(jnp.clip(point, x - 8 / 255, x + 8 / 255), 0, 1)

    return jax.lax.fori_loop(0, 40, move, x)


def standard_suite(count: int = 500) -> Figures:
    """AutoAttack's plan against pyautoattack's, which runs in torch, on one network."""
    network = peers.mlp_10()
    x, y = network.x[:count], network.y[:count]
    suite = attacks.suite.standard("linf", peers.SUITE_EPSILON)
    report, seconds = timed(
        lambda: suite(KEY, network.logits_fn, x, y)[:4], compiled=True
    )
    robust, peer_seconds = peers.auto_attack(network, count)
    return {
        "images": count,
        "seconds": seconds,
        "robust": float(1 - report[1].mean()),
        "peer_seconds": peer_seconds,
        "peer_robust": robust,
        "ratio": peer_seconds / seconds,
    }


def convolutions(count: int = 128) -> Figures:
    """LeNet's gradient in x against torch's: alone, and in a loop as attacks do."""
    network = peers.small_cnn()
    x, y = network.x[:count], network.y[:count]

    def loss(x: jax.Array) -> jax.Array:
        return losses.cross_entropy(network.logits_fn(x), y).sum()

    slope = jax.grad(loss)

    def ten(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 10, lambda _, x: x + 1e-3 * slope(x), x)

    alone, looped = jax.jit(slope), jax.jit(ten)
    seconds = min(timed(lambda: alone(x), compiled=True)[1] for _ in range(5))
    in_loop = min(timed(lambda: looped(x), compiled=True)[1] for _ in range(3)) / 10
    peer_seconds = peers.torch_gradient(network, count)
    return {
        "images": count,
        "seconds": seconds,
        "seconds_in_loop": in_loop,
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / seconds,
        "ratio_in_loop": peer_seconds / in_loop,
    }


COMPARISONS: dict[str, tuple[Callable[[], Figures], str, str]] = {
    "hop_skip_jump": (hop_skip_jump, "HopSkipJump, 40 iterations, 01 network", "ART"),
    "hop_skip_jump_foolbox": (
        hop_skip_jump_foolbox,
        "HopSkipJump, 10 iterations, image by image",
        "foolbox",
    ),
    "boundary": (boundary, "Boundary to ART's distance, 01 network", "ART"),
    "pgd": (pgd, "PGD-40, 512 images, sigmoid MLP", "foolbox"),
    "standard_suite": (
        standard_suite,
        "standard suite, 500 images, ReLU MLP",
        "pyautoattack",
    ),
    "convolutions": (convolutions, "gradient in x, LeNet, 128 images", "torch"),
}


def table(measured: dict[str, Figures]) -> tables.Table:
    """The comparisons made so far."""
    rows = []
    for name, (_, title, peer) in COMPARISONS.items():
        if name not in measured:
            continue
        one = measured[name]
        quality = "median" if "median" in one else "robust"
        rows.append(
            (
                title,
                peer,
                f"{one['seconds']:.3g}",
                f"{one['peer_seconds']:.3g}",
                f"{one['ratio']:.1f}",
                f"{one[quality]:.3f}" if quality in one else "-",
                f"{one['peer_' + quality]:.3f}" if quality in one else "-",
            )
        )
    return tables.Table(
        "Attacks beside other libraries'",
        ("attack", "peer", "s", "peer s", "ratio", "result", "peer's result"),
        tuple(rows),
    )


def main() -> None:
    """Runs the comparisons named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(COMPARISONS)}")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    options = parser.parse_args()
    unknown = set(options.names) - set(COMPARISONS)
    if unknown:
        parser.error(
            f"{', '.join(sorted(unknown))}: not one of {', '.join(COMPARISONS)}"
        )
    warnings.simplefilter("ignore")
    measured = runs.read_json(options.out) if options.out.exists() else {}
    for name in options.names or COMPARISONS:
        figures: dict[str, Any] = COMPARISONS[name][0]()
        figures |= runs.session(runs.git_revision(pathlib.Path(__file__)))
        print(name, json.dumps(figures, indent=1))
        measured[name] = figures
        runs.write_json(options.out, measured)
    print(tables.markdown(table(measured)))


if __name__ == "__main__":
    main()
