"""Reproduces tables and figures of the papers, at a size that time allows.

    python -m experiments.reproduce
    python -m experiments.reproduce --what=paper_b.toy
    python -m experiments.reproduce --what=paper_b.mnist --scale=laptop --shard=1/2
    python -m experiments.reproduce --what=paper_b.mnist --scale=laptop --only_report

Without flags it makes a smoke test of paper B's MNIST table, in minutes.

Results are kept under results/ as small JSON files, one for each run; the tables and
figures beside them are drawn from these. A run whose file exists is not made again, and
a killed process resumes. Several processes divide the work by --shard: give 1/2 to one
and 2/2 to the other.
"""

import pathlib
from collections.abc import Sequence

from absl import flags

from . import command_line
from .reproductions.certified import cubes, digits, radii
from .reproductions.paper_a import (
    accuracy,
    challenge,
    cnn,
    distortion,
    labels,
    pairs,
    peer_study,
    rounding,
    sensitivity,
    substitute,
    white_box,
)
from .reproductions.paper_b import capacity, checks, methods, toy
from .studies.study import SCALES, Place, Study, complete, shard_of, stored

REPRODUCTIONS: dict[str, Study] = {
    "paper_a.accuracy": accuracy.ACCURACY,
    "paper_a.distortion": distortion.DISTORTION,
    "paper_a.substitute": substitute.SUBSTITUTE,
    "paper_a.peer_study": peer_study.PEER_STUDY,
    "paper_a.rounding": rounding.ROUNDING,
    "paper_a.pairs": pairs.PAIRS,
    "paper_a.searches": pairs.SEARCHES_ON_PAIRS,
    "paper_a.cnn": cnn.CNN,
    "paper_a.sensitivity": sensitivity.SENSITIVITY,
    "paper_a.white_box": white_box.WHITE_BOX,
    "paper_a.challenge": challenge.CHALLENGE,
    "paper_a.labels": labels.LABELS,
    "certified.radii": radii.CERTIFIED_RADII,
    "certified.others": radii.CERTIFIED_OTHERS,
    "certified.sensible": radii.CERTIFIED_SENSIBLE,
    "certified.linf": cubes.CERTIFIED_LINF,
    "certified.mnist": digits.CERTIFIED_MNIST,
    "paper_b.mnist": methods.MNIST,
    "paper_b.speedrun": methods.SPEEDRUN,
    "paper_b.contrast": methods.CONTRAST,
    "paper_b.toy": toy.TOY,
    "paper_b.sensitivity": methods.SENSITIVITY,
    "paper_b.capacity": capacity.CAPACITY,
    "paper_b.comparison": methods.COMPARISON,
    "paper_b.transfer": checks.TRANSFER,
    "paper_b.masking": checks.MASKING,
}


def define_flags(argv: Sequence[str]) -> None:
    """Defines the flags of this launcher."""
    del argv
    names = list(REPRODUCTIONS)
    flags.DEFINE_enum("what", "paper_b.mnist", names, "What to reproduce.")
    flags.DEFINE_enum(
        "scale",
        SCALES[0],
        SCALES,
        "smoke: seconds a run; laptop: real data, short training; overnight: networks "
        "that fit CIFAR-10, paper_b.comparison only; paper: as published.",
    )
    flags.DEFINE_string("shard", "1/1", "Which part of the runs to make, as in 1/2.")
    flags.DEFINE_string("runs_dir", "runs/reproduce", "Where run directories go.")
    flags.DEFINE_string(
        "results_dir",
        None,
        "Where results go. Default: results, and of a smoke test the runs' directory.",
    )
    flags.DEFINE_bool("only_report", False, "Only draw what is there.")
    command_line.define_folders()


def main(_: None) -> None:
    """Runs the launcher."""
    options = flags.FLAGS
    what, scale = options.what, options.scale
    default = options.runs_dir if scale == "smoke" else "results"
    root = pathlib.Path(options.results_dir or default)
    results = root.joinpath(*what.split("."), scale)
    place = Place(pathlib.Path(options.runs_dir), root)
    results.mkdir(parents=True, exist_ok=True)
    study = REPRODUCTIONS[what]
    if scale not in study.scales:
        raise command_line.UserError(
            f"{what} has no runs of scale {scale!r}, only of {', '.join(study.scales)}"
        )
    runs = study.runs(scale)
    if not options.only_report:
        complete(shard_of(runs, options.shard), results, place)
    found = stored(results, runs)
    if runs and not found:
        raise command_line.UserError(f"There are no results in {results} yet")
    print(study.report(found, results, place.runs))
    print(f"Results: {results}")


if __name__ == "__main__":
    command_line.run(main, define_flags)
