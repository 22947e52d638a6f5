"""Paper A's table of least distortions (A4, A5), and what it leaves out (A6).

Each model is attacked as the paper did and as its authors did in 2021, then with
HopSkipJump's radius tuned, along gradients or by polishing where the model allows that,
and 01 networks and binarized ones are measured exactly.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from zeroone_jax import attacks, verification
from zeroone_jax.attacks import directions
from zeroone_jax.evaluation import attack_figures, tables

from ...attacked_models import Model
from ...published import HOP_SKIP_JUMP_0V1
from ...studies import attacking
from ...studies.attacking import STUDY, Piece, median, nearest
from ...studies.bench import Bench, ModelRun, each
from ...studies.columns import Cell, Columns, numbers, published, table
from ...studies.study import Drawn, Row, Scale, Study
from . import exact, pictures
from .accuracy import right_of_all
from .targets import (
    CONVOLUTIONAL,
    directories,
    with_certified,
)

PAPER_IMAGES = (0, 288, 5, 9, 6, 800, 1991, 1000, 1500, 1800)
"""The ten images of paper A, places among CIFAR-10's test images of classes 0 and 1."""

Radius: TypeAlias = float | Literal["adaptive"]

_RADIUS = "radius "


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How much is attacked, and how hard.

    Attributes:
        images: how many of the images that all models label rightly.
        repeats: of the attacks on the paper's ten images.
        iterations: of HopSkipJump on these; the paper has 100.
        boundary_queries: of the Boundary Attack an image; None has no limit.
        study_iterations: of HopSkipJump on the common images, as the study of 2021 has.
        radii: of HopSkipJump, beside its default of .01, to find each model's own.
        exact_images: how many common images exact distances are of.
        exact_seconds: the most that a majority's may take.
        law: of the directions at the default radius; random signs come as near as the
            paper's "gaussian" in a third of the time.
    """

    images: int = 100
    repeats: int = 10
    iterations: int = 40
    boundary_queries: int | None = 10_000
    study_iterations: int = 40
    radii: tuple[Radius, ...] = (1.0, "adaptive")
    exact_images: int = 10
    exact_seconds: float = 5.0
    law: directions.Law = "signs"


PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(
        images=3,
        repeats=1,
        iterations=1,
        boundary_queries=300,
        study_iterations=2,
        radii=("adaptive",),
        exact_images=2,
        exact_seconds=1.0,
    ),
    "laptop": Protocol(),
    "paper": Protocol(
        iterations=100,
        boundary_queries=None,
        radii=(0.1, 0.3, 1.0, "adaptive"),
        exact_images=100,
        exact_seconds=600.0,
        law="gaussian",
    ),
}
"""By scale."""

# A CPU asks convolutional networks some twenty times as slowly as the others.
_CONVOLUTIONAL = dataclasses.replace(PROTOCOLS["laptop"], images=10, repeats=1)


def distortion_runs(scale: Scale) -> list[ModelRun]:
    """Lists the models of a scale."""
    among = directories(scale)
    measure = functools.partial(_measured, scale)
    runs = each(with_certified(scale), measure, PROTOCOLS[scale], among=among)
    if scale == "smoke":
        # Compiling takes most of a smoke test.
        return runs[:1]
    if scale == "paper":
        return runs
    return [
        dataclasses.replace(run, protocol=_CONVOLUTIONAL)
        if run.targets[0].name in CONVOLUTIONAL
        else run
        for run in runs
    ]


def _measured(scale: Scale, bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Attacks, a piece after another, and measures."""
    subject = bench.subject
    indices = right_of_all(bench.place, scale)
    # Of the paper's models all are right; ours may be wrong on some of these.
    indices = indices[subject.right("test")[indices]][: protocol.images]
    common = subject.test_from_others(indices)
    planned = _attacks(protocol, subject)
    bench.expect(len(planned) + (subject.networks is not None))
    found = attacking.attacked(
        bench, "piece", subject, planned, common, subject.test(np.array(PAPER_IMAGES))
    )
    shape = subject.split("test").images.shape[1:]
    pictures.keep(bench.run.path, shape, np.asarray(common.x), found)
    return {
        "indices": indices.tolist(),
        "norms": {name: str(arrays["norm"]) for name, arrays in found.items()},
        "pieces": {name: attacking.short(arrays) for name, arrays in found.items()},
        "exact": exact.measured(
            bench, common, protocol.exact_images, protocol.exact_seconds
        ),
    }


def _attacks(protocol: Protocol, subject: Model) -> list[Piece]:
    """Those of the paper, those by labels, and those that see the weights."""
    jump, law = attacks.hop_skip_jump, protocol.law
    steps, repeats = protocol.study_iterations, protocol.repeats
    boundary = attacks.boundary(
        iterations=100, samples=100, law=law, max_queries=protocol.boundary_queries
    )
    linf = jump(
        norm="linf",
        iterations=protocol.iterations,
        law="uniform" if law == "gaussian" else law,
    )
    found = [
        Piece("boundary", boundary, repeats),
        Piece("hop_skip_jump", jump(iterations=protocol.iterations, law=law), repeats),
        Piece("hop_skip_jump linf", linf, repeats),
        Piece(STUDY, jump(iterations=steps, law=law)),
        *(
            Piece(f"{_RADIUS}{radius}", jump(iterations=steps, radius=radius))
            for radius in protocol.radii
        ),
        Piece(
            "linf radius adaptive",
            jump(norm="linf", iterations=steps, radius="adaptive"),
        ),
    ]
    if subject.networks is not None:
        return [*found, Piece("polished", verification.cell_polishing())]
    for norm in ("l2", "linf"):
        found.append(Piece(f"fab {norm}", attacks.fab(norm=norm)))
        found.append(Piece(f"deep_fool {norm}", attacks.deep_fool(norm=norm)))
    return found


def _tables(rows: Sequence[Row]) -> list[tables.Table]:
    """As the paper, with the radius tuned, and what is certain of sign networks."""
    first = rows[0]
    repeats, images = np.shape(first["pieces"]["boundary"]["distance"])
    count = len(first["indices"])
    radii = [name for name in first["pieces"] if name.startswith(_RADIUS)]
    name: Cell = functools.partial(_named, _effort(first))
    paper: Columns = {
        "model": name,
        "Boundary L2: mean / median / mean of least": _repeated("boundary"),
        "HopSkipJump L2": _repeated("hop_skip_jump"),
        "HopSkipJump Linf": _repeated("hop_skip_jump linf"),
        "study of 2021: median L2": median(STUDY),
        "authors": published(HOP_SKIP_JUMP_0V1),
    }
    tuned: Columns = {
        "model": name,
        "default .01": median(STUDY),
        **{radius: median(radius) for radius in radii},
        "other attacks": _others,
        "nearest of all": lambda row: float(np.median(nearest(row))),
        "Linf, adaptive": median("linf radius adaptive"),
    }
    return [
        table(
            f"As the paper: {images} images, {repeats} times from noise; as the study, "
            f"{count} images from the other class (means are of the images for which "
            "noise found a start)",
            rows,
            paper,
        ),
        table(
            f"HopSkipJump's radius tuned, and any attack: median L2, {count} images",
            rows,
            tuned,
        ),
        exact.table_of_signs(rows),
    ]


def _effort(row: Row) -> tuple[int, int]:
    return len(row["pieces"]["boundary"]["distance"]), len(row["indices"])


def _named(usual: tuple[int, int], row: Row) -> str:
    """A model's name, and how much it met if that is less than usual."""
    repeats, images = effort = _effort(row)
    if effort == usual:
        return str(row["method"])
    return f"{row['method']} (repeats {repeats}, images {images})"


def _repeated(piece: str) -> Cell:
    """Mean, median and mean of the least of [repeats, n]; without a start infinite."""

    def cell(row: Row) -> str:
        repeats = numbers(row["pieces"][piece]["distance"])
        least, started = repeats.min(axis=0), np.isfinite(repeats)
        mean, least_mean = repeats[started].mean(), least[np.isfinite(least)].mean()
        text = f"{mean:.3f} / {np.median(repeats):.3f} / {least_mean:.3f}"
        if started.all():
            return text
        return f"{text} ({np.mean(~started):.0%} without a start)"

    return cell


def _others(row: Row) -> str:
    return ", ".join(
        f"{name.removesuffix(' l2')} {median(name)(row):.4f}"
        for name in row["pieces"]
        if name in ("fab l2", "deep_fool l2", "polished")
    )


def _figure(rows: Sequence[Row]) -> Drawn:
    bars = {
        "HopSkipJump, default": {
            row["method"]: attacking.distances(row, STUDY) for row in rows
        },
        "nearest of all attacks": {row["method"]: nearest(row) for row in rows},
        "of the exact search": {
            row["method"]: numbers(row["exact"]["infimum"])
            for row in rows
            # Where it closed few, attacks found nearer ones.
            if row["exact"] is not None and row["exact"]["closed"][0] >= 0.5
        },
    }
    return attack_figures.distortions(bars, "L2")


def _without_noise(rows: Sequence[Row]) -> Drawn:
    """The figure of the README."""
    few = [row for row in rows if "-noise-" not in row["method"]]
    return _figure(few) if few else None


DISTORTION = Study(
    runs=distortion_runs,
    tables={"table.md": _tables},
    figures={
        "distortion.png": _figure,
        "without_noise.png": _without_noise,
        "adversaries.png": pictures.grid,
    },
)
