"""Exact and certified distances of 01 networks, and how far attacks stay above them.

    python -m benchmarks.verification default paper_2020 default:0.1 authors
    python -m benchmarks.verification --speed
    python -m benchmarks.verification --table

A name is a preset of `coordinate_descent`, trained here (8 votes, CIFAR-10 class 0
against 1, seed 0; `:0.1` doubles the images by Gaussian noise of that deviation) and
kept in runs/verification; "authors" and "example" are the networks of the reference,
in float64. Everything is L2 in the box, of the first test images: one vote's exact
distance of all 2,000, the majority's certificate of 500, the majority's exact distance
of the first 50 labelled rightly (60 s an image at most), and what HopSkipJump (its
default and its adaptive radius), the Boundary Attack and cell polishing find for the
first 20 of them, from the same starts: a file results/verification/<name>.json each.
--speed times one vote of the example network on all 2,000 images, in both norms, with
the box and without, and the majority's certificate: results/verification_speed.json.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, coordinate_descent, data, runs, verification
from zeroone_jax.evaluation import tables
from zeroone_jax.models import zero_one

RESULTS = pathlib.Path(__file__).parents[1] / "results" / "verification"
SPEED = RESULTS.with_name("verification_speed.json")
_NETWORKS = pathlib.Path(__file__).parents[1] / "runs" / "verification"
_REFERENCE = pathlib.Path(__file__).parents[2] / "shared" / "reference"
_FILES = {"authors": "authors_mlp01_8votes", "example": "example_mlp01_8votes"}
_SEED = 0
_CERTIFIED, _IMAGES, _ATTACKED, _CLOSED = 500, 50, 20, 1e-5
Figures = dict[str, Any]


def networks(name: str) -> zero_one.Params:
    """Trains networks, or loads them."""
    if name in _FILES:
        path = _REFERENCE / f"{_FILES[name]}.npz"
        return zero_one.load(path, dtype=jnp.dtype(jnp.float64))
    path = _NETWORKS / name
    if not path.exists():
        preset, _, noise = name.partition(":")
        x, y = data.as_features(data.load("cifar10", "train", classes=(0, 1)))
        if noise:
            x, y = data.add_gaussian_noise(jax.random.key(_SEED), x, y, float(noise))
        settings = coordinate_descent.PRESETS[preset]()
        if settings.votes != 8:
            raise ValueError(f"{preset} has {settings.votes} votes, not 8")
        path.parent.mkdir(parents=True, exist_ok=True)
        trained = coordinate_descent.fit(jax.random.key(_SEED), x, y, settings)
        zero_one.save(path, trained.params)
    return zero_one.load(path)


def measure(name: str) -> Figures:
    """Measures one ensemble."""
    params = networks(name)
    features, labels = data.as_features(data.load("cifar10", "test", classes=(0, 1)))
    x, y = jnp.asarray(features, params.w1.dtype), jnp.asarray(labels)
    said = zero_one.predict(params, x)
    measured: Figures = {
        "name": name,
        "accuracy": float(np.mean(said == y)),
        "vote_accuracy": np.mean(zero_one.votes(params, x) == y, axis=1).tolist(),
    }
    first = jax.tree.map(lambda array: array[:1], params)
    right = np.asarray(zero_one.predict(first, x) == y)
    single, seconds = _timed(first, x, y, verification.Config())
    measured["vote_exact"] = _distances(single, right, seconds)
    config = verification.Config(joint=False)
    some = slice(_CERTIFIED)
    certified, seconds = _timed(params, x[some], y[some], config)
    right = np.asarray(said == y)[some]
    measured["certificate"] = _distances(certified, right, seconds)
    chosen = np.flatnonzero(said == y)[:_IMAGES]
    x, y = x[chosen], y[chosen]
    exact, seconds = _timed(params, x, y, verification.Config())
    measured["exact"] = _distances(exact, np.ones(len(x), bool), seconds)
    some = slice(_ATTACKED)
    truth = exact.infimum[some]
    measured["attacked"] = {"images": len(truth), "truth": float(np.median(truth))}
    measured["attacks"] = {
        attack: {
            "median": float(np.median(found)),
            "times_the_truth": float(np.median(found / truth)),
            "below_the_bound": int(np.sum(found < exact.lower[some])),
        }
        for attack, found in _attacked(params, x[some], y[some]).items()
    }
    return measured


def speed() -> Figures:
    """Times one vote and the certificate of the example network on all test images."""
    with jax.enable_x64(True):
        params = networks("example")
        features, labels = data.as_features(
            data.load("cifar10", "test", classes=(0, 1))
        )
        x, y = jnp.asarray(features, jnp.float64), jnp.asarray(labels)
        first = jax.tree.map(lambda array: array[:1], params)
        right = np.asarray(zero_one.predict(first, x) == y)
        measured = {}
        for norm in ("l2", "linf"):
            for box in (False, True):
                config = verification.Config(norm=norm, box=box)
                found, seconds = _timed(first, x, y, config)
                name = f"a vote, {norm}{', box' if box else ''}"
                measured[name] = _distances(found, right, seconds)
        config = verification.Config(joint=False)
        found, seconds = _timed(params, x, y, config)
        right = np.asarray(zero_one.predict(params, x) == y)
        measured["8 votes, l2, box: certificate"] = _distances(found, right, seconds)
        return measured


def speed_table(measured: Figures) -> tables.Table:
    """The times, as docs/results/speed.md quotes them."""
    rows = [
        [
            name,
            str(one["images"]),
            f"{one['seconds']:.0f}",
            f"{one['median_milliseconds']:.1f}",
            f"{one['median_nodes']:.0f}",
            one["median_lower"],
        ]
        for name, one in measured.items()
        if isinstance(one, dict)
    ]
    header = ("", "images", "s", "ms an image", "nodes", "median bound")
    return tables.Table("Verification, two processes", header, rows)


def _timed(
    params: zero_one.Params, x: jax.Array, y: jax.Array, config: verification.Config
) -> tuple[verification.Distances, float]:
    began = time.perf_counter()
    cores = os.cpu_count()
    found = verification.measure(params, x, y, config, workers=cores)
    return found, time.perf_counter() - began


def _distances(
    found: verification.Distances, right: np.ndarray, seconds: float
) -> Figures:
    """Condenses the distances of images labelled rightly."""
    lower, infimum = found.lower[right], found.infimum[right]
    known = infimum / np.where(lower > 0, lower, np.nan)
    return {
        "images": len(found.lower),
        "right": int(right.sum()),
        "median_lower": float(np.median(lower)),
        "median_upper": float(np.median(infimum)),
        "median_ratio": float(np.nanmedian(known)),
        "closed": float(np.mean(infimum <= lower * (1 + _CLOSED))),
        "median_milliseconds": float(1e3 * np.median(found.seconds[right])),
        "median_nodes": float(np.median(found.nodes[right])),
        "seconds": seconds,
    }


def _attacked(
    params: zero_one.Params, x: jax.Array, y: jax.Array
) -> dict[str, np.ndarray]:
    """The distances that attacks find, all from the same starts."""
    label_fn = zero_one.Vote.flat(params).labels
    train = data.as_features(data.load("cifar10", "train", classes=(0, 1)))
    pool = jnp.asarray(train[0][:1000], x.dtype)
    start = attacks.nearest_start(x, y, pool, label_fn(pool), "l2")
    made = {
        "hop_skip_jump": attacks.hop_skip_jump(norm="l2", iterations=40),
        "hop_skip_jump_adaptive": attacks.hop_skip_jump(
            norm="l2", iterations=40, radius="adaptive"
        ),
        "boundary": attacks.boundary(iterations=200),
    }
    found, adversaries = {}, {}
    for name, attack in made.items():
        result = attack(jax.random.key(_SEED), label_fn, x, y, start)
        found[name] = np.asarray(result.distance, np.float64)
        adversaries[name] = result.adversary
    polishing = verification.cell_polishing()
    for name, points in (
        ("cell_polishing", start),
        ("hop_skip_jump_adaptive, polished", adversaries["hop_skip_jump_adaptive"]),
    ):
        result = polishing(jax.random.key(_SEED), params, x, y, points)
        found[name] = np.asarray(result.distance, np.float64)
    return found


def table(stored: list[Figures]) -> tables.Table:
    """The distances of each ensemble, as docs/results/networks.md quotes them."""
    rows = [
        [
            one["name"],
            one["accuracy"],
            one["vote_exact"]["median_upper"],
            one["certificate"]["median_lower"],
            one["exact"]["median_lower"],
            f"{one['exact']['closed']:.0%}",
            *(
                f"{one['attacks'][name]['times_the_truth']:.2f}"
                for name in (
                    "hop_skip_jump_adaptive, polished",
                    "hop_skip_jump_adaptive",
                    "hop_skip_jump",
                    "boundary",
                )
            ),
        ]
        for one in stored
    ]
    header = (
        "networks",
        "test",
        "a vote: exact",
        "majority: certified",
        "majority: exact",
        "closed",
        "polished / exact",
        "HopSkipJump adaptive / exact",
        "HopSkipJump / exact",
        "Boundary / exact",
    )
    return tables.Table("Median L2 distances of 01 networks, 8 votes", header, rows)


def write(path: pathlib.Path, measured: Figures) -> None:
    """Keeps what was measured, with where and when."""
    measured |= {
        "hardware": f"{os.cpu_count()} CPU cores, {platform.machine()}",
        "jax": jax.__version__,
        "date": datetime.date.today().isoformat(),
        "revision": runs.git_revision(pathlib.Path(__file__)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with runs.replacing(path) as partial:
        partial.write_text(json.dumps(measured, indent=1) + "\n")


def stored() -> list[Figures]:
    """What was measured so far."""
    return [runs.read_json(path) for path in sorted(RESULTS.glob("*.json"))]


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME[:NOISE]")
    parser.add_argument("--speed", action="store_true", help="time it")
    parser.add_argument("--table", action="store_true", help="print what is stored")
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 2)
    for name in arguments.names:
        with jax.enable_x64(name in _FILES):
            measured = measure(name)
        write(RESULTS / f"{name.replace(':', '-noise-')}.json", measured)
        print(tables.markdown(table([measured])), flush=True)
    if arguments.speed:
        write(SPEED, speed())
    if arguments.table:
        print(tables.markdown(table(stored())))
        print(tables.markdown(speed_table(runs.read_json(SPEED))))


if __name__ == "__main__":
    main()
