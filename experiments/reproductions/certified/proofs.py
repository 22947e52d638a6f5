"""What is proved of a model: exactly, by counts, by margins, or by noise.

01 networks are measured exactly in the pixel box, Lipschitz networks by their logits,
and others are smoothed by noise (Cohen et al. 2019), whose radii are wrong with a small
probability each.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from zeroone_jax import losses, verification
from zeroone_jax.evaluation import certified_accuracy
from zeroone_jax.models import lipschitz
from zeroone_jax.types import Array

from ... import cores
from ...progress import Progress
from ...studies.attacking import as_json
from ...studies.bench import Bench
from ...studies.columns import Cell, Columns, at, middle, numbers
from ...studies.study import Row, Scale

Norm = Literal["l2", "linf"]

_CLOSED = 1e-5


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How much is proved, and how hard.

    Attributes:
        images: how many of the first test images.
        smoothed: how many of them noise is asked about, which takes longest.
        seconds: the most that an exact distance may take.
        samples: noisy copies that bound a probability.
        error: how probable it may be that a smoothed radius is too large.
    """

    images: int = 2000
    smoothed: int = 500
    seconds: float = 60.0
    samples: int = 10_000
    error: float = 0.001


PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(images=4, smoothed=4, seconds=5.0, samples=100),
    "laptop": Protocol(),
    "paper": Protocol(smoothed=2000, seconds=600.0, samples=100_000),
}
"""By scale."""


def fewer(scale: Scale, images: int, seconds: float | None = None) -> Protocol:
    """The protocol of a scale, of so many images and, if given, seconds for each."""
    protocol = PROTOCOLS[scale]
    images = min(images, protocol.images)
    seconds = protocol.seconds if seconds is None else seconds
    return dataclasses.replace(protocol, images=images, seconds=seconds)


def exact(bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Distances of 01 networks in the box, kept image by image."""
    return _measured(bench, protocol, "exact", verification.Config())


def by_votes(bench: Bench, protocol: Protocol, norm: Norm) -> dict[str, Any]:
    """What the votes of 01 networks certify, each alone, outside the box too."""
    config = verification.Config(norm=norm, box=False, joint=False)
    return _measured(bench, protocol, "votes", config)


def _measured(
    bench: Bench, protocol: Protocol, proof: str, config: verification.Config
) -> dict[str, Any]:
    networks = bench.subject.networks
    if networks is None:
        raise TypeError(f"{bench.name} is no 01 network")
    x, y, _ = bench.subject.test(slice(protocol.images))
    progress = Progress(f"proving {bench.name}", len(y))

    def made() -> dict[str, np.ndarray]:
        found = verification.bounds(
            bench.run.path / "bounds.npz",
            networks,
            x,
            y,
            dataclasses.replace(config, seconds=protocol.seconds),
            workers=cores.verifiers(len(y)),
            report=progress.report,
        )
        return {"lower": found.lower, "infimum": found.infimum}

    arrays = bench.kept(proof, made)
    closed = arrays["infimum"] <= arrays["lower"] * (1 + _CLOSED)
    return {
        **_found(proof, arrays["lower"], float(np.mean(~bench.subject.fooled(x, y)))),
        "closed": float(np.mean(closed)),
    }


def by_counts(bench: Bench, protocol: Protocol, norm: Norm) -> dict[str, Any]:
    """Radii of 01 networks of one class against all others, outside the box too."""
    networks = bench.subject.networks
    if networks is None:
        raise TypeError(f"{bench.name} is no 01 network")
    x, y, _ = bench.subject.test(slice(protocol.images))
    progress = Progress(f"proving {bench.name}", len(y))

    def made() -> dict[str, np.ndarray]:
        config = verification.Config(norm=norm, box=False, seconds=protocol.seconds)
        workers = cores.verifiers(len(y))
        found = verification.counted(
            networks, x, y, config, workers=workers, report=progress.report
        )
        return {"lower": found}

    lower = bench.kept("counts", made)["lower"]
    return _found("counts", lower, float(np.mean(~bench.subject.fooled(x, y))))


def by_margins(bench: Bench, protocol: Protocol, norm: Norm = "l2") -> dict[str, Any]:
    """Radii that the logits of Lipschitz networks tell.

    A cube lies in the ball of L2 that is longer by the root of the number of pixels.
    """
    x, y, _ = bench.subject.test(slice(protocol.images))
    longest = 1.0 if norm == "l2" else math.sqrt(x[0].size)

    def made() -> dict[str, np.ndarray]:
        radius = lipschitz.certified_radius(bench.subject.logits_fn(x), y)
        return {"lower": np.maximum(np.asarray(radius, np.float64), 0) / longest}

    lower = bench.kept("margins", made)["lower"]
    return _found("margin", lower, float(np.mean(~bench.subject.fooled(x, y))))


def by_slope(bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Exact distances in Linf of linear networks of two classes, outside the box."""
    x, y, _ = bench.subject.test(slice(protocol.images))

    def difference(images: Array) -> Array:
        return losses.margin(bench.subject.logits_fn(images), y[: len(images)])

    def made() -> dict[str, np.ndarray]:
        # It is the same at every image, but for its sign.
        slope = jax.grad(lambda image: difference(image[None])[0])(x[0])
        margin = -np.asarray(difference(x), np.float64)
        return {"lower": np.maximum(margin, 0) / float(jnp.sum(jnp.abs(slope)))}

    lower = bench.kept("slope", made)["lower"]
    return _found("slope", lower, float(np.mean(~bench.subject.fooled(x, y))))


def by_noise(sigma: float, bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Radii of the classifier that noise smooths, 0 where it abstains or is wrong."""
    x, y, _ = bench.subject.test(slice(protocol.smoothed))
    progress = Progress(f"proving {bench.name}", len(y))

    def clipped(noisy: Array) -> Array:
        """As in training, where noise is cut off at the box."""
        return bench.subject.logits_fn(jnp.clip(noisy, 0, 1))

    def made() -> dict[str, np.ndarray]:
        found = verification.smoothed(
            jax.random.key(0),
            clipped,
            x,
            sigma,
            samples=protocol.samples,
            error=protocol.error,
            report=progress.report,
        )
        return {"lower": np.where(found.labels == np.asarray(y), found.radius, 0.0)}

    lower = bench.kept("smoothed", made)["lower"]
    return _found("smoothing", lower, float(np.mean(lower > 0)))


def _found(proof: str, lower: np.ndarray, clean: float) -> dict[str, Any]:
    # What is kept is rounded, but never upwards.
    kept = as_json(np.floor(lower * 1e5) / 1e5)
    return {"proof": proof, "clean": clean, "lower": kept}


def share(radius: float) -> Cell:
    """The share of images that are right within a radius."""
    return lambda row: float(
        certified_accuracy.shares(numbers(row["lower"]), [radius])[0]
    )


def columns(radii: Mapping[str, float]) -> Columns:
    """Columns of a table of shares proved right, at radii by name."""
    return {
        "model": at("method"),
        "proof": at("proof"),
        "clean": at("clean"),
        **{name: share(radius) for name, radius in radii.items()},
        "median distance": middle("lower"),
        "closed": lambda row: f"{row['closed']:.2%}" if "closed" in row else "-",
        "seconds to prove": lambda row: f"{row['seconds']:.0f}",
    }


COLUMNS = columns({"0.25": 0.25, "0.5": 0.5, "1.0": 1.0})
"""In L2, on the [0,1] pixel scale."""


def title(rows: Sequence[Row], norm: str = "L2") -> str:
    """What the columns show."""
    smoothed = [len(row["lower"]) for row in rows if row["proof"] == "smoothing"]
    fewer = f", of smoothed networks the first {smoothed[0]}" if smoothed else ""
    return (
        "CIFAR-10, two classes, 0 and 1 unless named: accuracy, and share proved right "
        f"within a radius of {norm}, {len(rows[0]['lower'])} test images{fewer}"
    )


def figure(rows: Sequence[Row], norm: str = "L2") -> Figure:
    """Draws the shares proved right against the radius."""
    curves = {row["method"]: numbers(row["lower"]) for row in rows}
    return certified_accuracy.figure(curves, norm)
