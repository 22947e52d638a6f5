"""Reproduces tables and figures of the papers, at one of three sizes.

    python -m experiments.reproduce
    python -m experiments.reproduce --what=paper_b.toy
    python -m experiments.reproduce --what=paper_b.mnist --scale=laptop --shard=1/2
    python -m experiments.reproduce --what=paper_b.mnist --scale=laptop --only_report

Without flags it makes a smoke test of paper B's MNIST table, in minutes.

What was measured is kept under results/ as small JSON files, one a run, and the table
and figures beside them are drawn from those. What is there already is not made again,
whoever made it; a killed process goes on where it was. Several processes divide the
work by --shard: give 1/2 to one and 2/2 to the other.
"""

import pathlib
import time
from collections.abc import Sequence
from typing import Any

from absl import flags, logging

from experiments import command_line
from experiments.reproductions import cross_checks, methods, toy
from experiments.reproductions.paper_a import (
    accuracy,
    cnn_report,
    distortion_report,
    pairs_report,
    peer_study,
    rounding,
    sensitivity,
    substitute,
    white_box,
)
from experiments.reproductions.plan import (
    SCALES,
    Place,
    Reproduction,
    Run,
    read_result,
    shard_of,
    stored,
)
from zeroone_jax import runs

REPRODUCTIONS: dict[str, Reproduction] = {
    "paper_a.accuracy": accuracy.ACCURACY,
    "paper_a.distortion": distortion_report.DISTORTION,
    "paper_a.substitute": substitute.SUBSTITUTE,
    "paper_a.peer_study": peer_study.PEER_STUDY,
    "paper_a.rounding": rounding.ROUNDING,
    "paper_a.pairs": pairs_report.PAIRS,
    "paper_a.searches": pairs_report.SEARCHES_ON_PAIRS,
    "paper_a.cnn": cnn_report.CNN,
    "paper_a.sensitivity": sensitivity.SENSITIVITY,
    "paper_a.white_box": white_box.WHITE_BOX,
    "paper_b.mnist": methods.MNIST,
    "paper_b.toy": toy.TOY,
    "paper_b.sensitivity": methods.SENSITIVITY,
    "paper_b.capacity": methods.CAPACITY,
    "paper_b.comparison": methods.COMPARISON,
    "paper_b.transfer": cross_checks.TRANSFER,
    "paper_b.masking": cross_checks.MASKING,
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
        "smoke: seconds a run; laptop: real data, short training; paper: as published.",
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
    place = Place(pathlib.Path(options.runs_dir), root, options.data_dir)
    results.mkdir(parents=True, exist_ok=True)
    reproduction = REPRODUCTIONS[what]
    all_runs = reproduction.runs(scale)
    try:
        mine = [] if options.only_report else list(shard_of(all_runs, options.shard))
    except ValueError as error:
        raise command_line.UserError(str(error)) from error
    for number, run in enumerate(mine, 1):
        path = results / f"{run.name}.json"
        if path.exists():
            _check_same(path, run)
            continue
        if run.missing():
            logging.warning("%s: %s is left out: %s", what, run.name, run.missing())
            continue
        logging.info("%s: run %d of %d: %s", what, number, len(mine), run.name)
        runs.write_json(path, _made(run, place))
    found = stored(results, all_runs)
    if not found and all_runs:
        raise command_line.UserError(f"There are no results in {results} yet")
    print(reproduction.report(found, results, place.runs))
    print(f"Results: {results}")


def _made(run: Run, place: Place) -> dict[str, Any]:
    """Makes a run, or goes on with it, and gives its summary."""
    began = time.monotonic()
    folder = place.runs / run.directory
    try:
        with runs.RunDirectory(
            folder,
            run.settings(),
            resume=True,
            revision=runs.git_revision(pathlib.Path(__file__)),
        ) as directory:
            if directory.summary() is None:
                run.fill(directory, place)
            summary = directory.summary()
    except runs.RunError as error:
        raise command_line.UserError(str(error)) from error
    if summary is None:
        raise AssertionError(f"{folder} has no summary")
    logging.info("%s took %.0f s", run.name, time.monotonic() - began)
    return {"method": run.method, "run": run.directory, **summary}


def _check_same(path: pathlib.Path, run: Run) -> None:
    """Refuses a stored result of other settings."""
    if not run.is_same(read_result(path)["config"]):
        raise command_line.UserError(
            f"{path} was made with other settings: move it away to make it again"
        )


if __name__ == "__main__":
    command_line.run(main, define_flags)
