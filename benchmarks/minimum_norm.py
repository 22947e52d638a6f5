"""Our attacks for the least distance beside adv-lib's, AttackBench's way.

    python -m benchmarks.minimum_norm                         all, some hours
    python -m benchmarks.minimum_norm --networks mnist_mlp    one network
    python -m benchmarks.minimum_norm --attacks ddn fmn       some attacks, of both
    python -m benchmarks.minimum_norm --table                 what is stored, as tables

Both libraries attack the same 200 images of the same networks, with at most 2,000
propagations of an image (adv-lib's SuperDeepFool has no such cap, and ends by itself).
A piece is one attack of one library on one network. It is stored as soon as it is done,
and what is stored is not done again: a killed run goes on by the same command. Seconds
are those of one processor core, which the process keeps to: they depend little on what
else a machine does. Needs the extra "peers" (`make peers` installs it).
"""

import argparse
import os
import pathlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import minimum_norm_peers as peers
from zeroone_jax import losses, runs
from zeroone_jax.attacks import capped
from zeroone_jax.evaluation import optimality, tables

CAP, IMAGES = 2000, 200
RESULTS = pathlib.Path(__file__).parents[1] / "results" / "minimum_norm.json"
NORMS = {
    "l0": ("sigma_zero", "pdpgd", "fmn"),
    "l1": ("minimal_apgd", "pdpgd", "fmn"),
    "l2": ("ddn", "minimal_apgd", "pdgd", "pdpgd", "fmn", "super_deep_fool"),
    "linf": ("minimal_apgd", "pdpgd", "fmn"),
}
"""The attacks that both libraries have, the field's best one of each norm first."""

OURS, THEIRS = "zeroone_jax", "adv-lib"

GRADIENTS = "gradients"
"""What stands for an attack that takes gradients and does nothing else."""


class Piece(NamedTuple):
    """One attack of one library on one network."""

    network: str
    norm: str
    attack: str
    library: str

    @property
    def name(self) -> str:
        """What results call it."""
        return "/".join(self)


def pieces(networks: list[str], attacks: list[str]) -> Iterator[Piece]:
    """What there is to do: of every network the best attack of each norm first."""
    for network in networks:
        yield Piece(network, "-", GRADIENTS, OURS)
        yield Piece(network, "-", GRADIENTS, THEIRS)
        for place in range(max(map(len, NORMS.values()))):
            for norm, names in NORMS.items():
                for name in names[place : place + 1]:
                    if name in attacks:
                        yield Piece(network, norm, name, OURS)
                        yield Piece(network, norm, name, THEIRS)


def measure(piece: Piece) -> dict[str, Any]:
    """Attacks, and tells distances and processor seconds."""
    network = peers.network(piece.network, IMAGES)
    adversary = None
    if piece.attack == GRADIENTS:
        of = peers.gradients if piece.library == THEIRS else gradients
        figures = {"seconds": of(network, CAP // 2)}
    elif piece.library == THEIRS:
        found = peers.attack(piece.attack, piece.norm, CAP, network)
        figures = {
            "seconds": found.seconds,
            "forward": found.forward,
            "backward": found.backward,
        }
        adversary = found.adversary
    else:
        classes = network.logits_fn(network.x[:1]).shape[1]
        attack = capped.attacks(piece.norm, CAP, classes)[piece.attack]
        key, fn = jax.random.key(0), network.logits_fn
        # Images that are adversaries already compile the attack, and end it.
        others = (network.y + 1) % classes
        _, compiling = timed(lambda: attack(key, fn, network.x, others))
        out, seconds = timed(lambda: attack(key, fn, network.x, network.y))
        figures = {"seconds": seconds, "compiling": compiling}
        adversary = out.adversary
    told: dict[str, Any] = {
        **{name: round(figure, 3) for name, figure in figures.items()},
        **runs.session(runs.git_revision(pathlib.Path(__file__))),
    }
    if adversary is not None:
        distances = peers.distances(adversary, network, piece.norm)
        # Text keeps them on one line of the file.
        told["distances"] = " ".join(f"{one:.5g}" for one in distances)
    return told


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives, and its processor seconds."""
    began = time.process_time()
    out = jax.block_until_ready(function())
    return out, time.process_time() - began


def gradients(network: peers.Network, count: int) -> float:
    """Processor seconds of so many gradients in x, one after another in a loop."""

    def loss(x: jax.Array) -> jax.Array:
        return losses.cross_entropy(network.logits_fn(x), network.y).sum()

    @jax.jit
    def walk(x: jax.Array) -> jax.Array:
        slope = jax.grad(loss)
        return jax.lax.fori_loop(0, count, lambda _, x: x + 1e-6 * slope(x), x)

    walk = walk.lower(network.x).compile()
    return timed(lambda: walk(network.x))[1]


def report(stored: Mapping[str, Mapping[str, Any]]) -> list[tables.Table]:
    """Tabulates each network and norm of which both libraries' attacks are stored."""
    made = []
    for network, (title, _) in peers.NETWORKS.items():
        rows = _gradients_row(stored, network)
        for norm, names in NORMS.items():
            done = {
                Piece(network, norm, name, library)
                for name in names
                for library in (OURS, THEIRS)
            }
            done = {piece for piece in done if piece.name in stored}
            both = [
                name
                for name in names
                if {Piece(network, norm, name, one) for one in (OURS, THEIRS)} <= done
            ]
            if both:
                rows += _rows(stored, network, norm, both)
        if rows:
            header = [
                "norm, attack",
                "optimality",
                "adv-lib's",
                "s",
                "compiling: s",
                "adv-lib's s",
                "ratio",
                "with compiling",
            ]
            made.append(tables.Table(f"Least distances: {title}", header, rows))
    return made


def _gradients_row(
    stored: Mapping[str, Mapping[str, Any]], network: str
) -> list[list[Any]]:
    both = [Piece(network, "-", GRADIENTS, one).name for one in (OURS, THEIRS)]
    if not all(name in stored for name in both):
        return []
    ours, theirs = (stored[name]["seconds"] for name in both)
    title = f"{CAP // 2:,} gradients, no attack"
    ratio = f"{theirs / ours:.1f}"
    return [[title, None, None, f"{ours:.1f}", None, f"{theirs:.1f}", ratio, None]]


def _rows(
    stored: Mapping[str, Mapping[str, Any]], network: str, norm: str, names: list[str]
) -> list[list[Any]]:
    """A row for each attack, scored by the nearest adversaries of all of them."""
    found = {
        (name, library): stored[Piece(network, norm, name, library).name]
        for name in names
        for library in (OURS, THEIRS)
    }
    distances = {
        "/".join(key): np.array([float(one) for one in piece["distances"].split()])
        for key, piece in found.items()
    }
    scores = optimality.optimality(distances)
    rows = []
    for name in names:
        ours, theirs = found[name, OURS], found[name, THEIRS]
        seconds, peer = ours["seconds"], theirs["seconds"]
        rows.append(
            [
                f"{norm}, {name}",
                scores[f"{name}/{OURS}"],
                scores[f"{name}/{THEIRS}"],
                f"{seconds:.1f}",
                f"{ours['compiling']:.1f}",
                f"{peer:.1f}",
                f"{peer / seconds:.1f}",
                f"{peer / (seconds + ours['compiling']):.1f}",
            ]
        )
    return rows


def main() -> None:
    """Makes the pieces named, all by default, that are not stored."""
    every = sorted({name for names in NORMS.values() for name in names})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--networks", nargs="*", default=[*peers.NETWORKS], choices=peers.NETWORKS
    )
    parser.add_argument("--attacks", nargs="*", default=every, choices=every)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    stored = runs.read_json(options.out) if options.out.exists() else {}
    todo = [] if options.table else pieces(options.networks, options.attacks)
    for piece in todo:
        if piece.name not in stored:
            stored[piece.name] = measure(piece)
            runs.write_json(options.out, stored)
            told = {
                name: figure
                for name, figure in stored[piece.name].items()
                if name in ("seconds", "compiling", "forward", "backward")
            }
            print(piece.name, told, flush=True)
    for table in report(stored):
        print(tables.markdown(table))


if __name__ == "__main__":
    # Before any library counts the cores that it may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    main()
