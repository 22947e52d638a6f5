"""Trains every model of paper A, and counts what it labels rightly.

The other experiments of paper A take the models from here, and from the results the
images that all models label rightly.
"""

import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments import attack_task, attacked_models, command_line, published
from experiments.reproductions.paper_a.targets import (
    TargetRun,
    targets,
    with_classical,
)
from experiments.reproductions.plan import (
    Place,
    Reproduction,
    Results,
    Scale,
    read_result,
    write_table,
)
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import tables

TITLE = "CIFAR-10, class 0 against 1: accuracy without attacks"
_CHUNK = 1000


@dataclasses.dataclass(frozen=True)
class AccuracyRun(TargetRun):
    """Training of one model."""

    def settings(self) -> dict[str, Any]:
        """The model's."""
        return self.target.settings()

    def fill(self, run: run_files.RunDirectory, place: Place) -> None:
        """Trains the model and counts."""
        began = time.monotonic()
        with jax.enable_x64(self.target.double):
            model = self.target.model(place)
            seconds = time.monotonic() - began
            rights = {
                split: right(model, split, place.data_dir)
                for split in ("train", "test")
            }
        run.finish(
            {
                "config": self.settings(),
                "accuracy": {name: float(np.mean(r)) for name, r in rights.items()},
                "right": np.packbits(rights["test"]).tobytes().hex(),
                "images": len(rights["test"]),
                "seconds": round(seconds, 1),
                "session": run.sessions()[-1],
            }
        )


def runs(scale: Scale) -> Sequence[AccuracyRun]:
    """Lists the models of a scale."""
    return [AccuracyRun(target.label, target) for target in with_classical(scale)]


def right_of_all(place: Place, scale: Scale) -> np.ndarray:
    """Finds the test images that every model of a scale labels rightly.

    Args:
        place: where the results of `paper_a.accuracy` are.
        scale: its scale.

    Returns:
        Their places among the images of both classes, growing.

    Raises:
        command_line.UserError: results are missing.
    """
    folder = place.results / "paper_a" / "accuracy" / scale
    rights = []
    for run in (AccuracyRun(target.label, target) for target in targets(scale)):
        path = folder / f"{run.name}.json"
        if not path.exists() and run.missing():
            continue
        if not path.exists():
            raise command_line.UserError(
                f"{path} is not there: first run python -m experiments.reproduce "
                f"--what=paper_a.accuracy --scale={scale} with the same folders"
            )
        kept = read_result(path)
        bits = np.frombuffer(bytes.fromhex(kept["right"]), np.uint8)
        rights.append(np.unpackbits(bits, count=kept["images"]).astype(bool))
    return np.flatnonzero(np.all(rights, axis=0))


def report(results: Results, folder: pathlib.Path, runs_dir: pathlib.Path) -> str:
    """Draws the table.

    Args:
        results: of each model.
        folder: where to write.
        runs_dir: not looked at.

    Returns:
        The table in markdown.
    """
    del runs_dir
    rows = [
        [
            model,
            found["accuracy"]["train"],
            found["accuracy"]["test"],
            _authors(model),
            f"{found['seconds']:.0f}",
        ]
        for model, (found,) in results.items()
    ]
    header = ["model", "train", "test", "authors' test", "seconds to train"]
    return write_table(tables.Table(TITLE, header, rows), folder)


def _authors(model: str) -> str:
    known = published.CIFAR10_0V1_MODELS.get(model)
    return known.text if known else "-"


def right(model: attacked_models.Model, split: str, data_dir: str | None) -> np.ndarray:
    """Tells which images of its own data a model labels rightly, bool [n].

    Args:
        model: the model.
        split: "train" or "test".
        data_dir: folder of prepared data sets; None for the usual one.
    """
    source: Mapping[str, Any] = model.source._asdict()
    loaded = command_line.load(source["name"], split, source["classes"], data_dir)
    found = []
    for first in range(0, len(loaded.labels), _CHUNK):
        part = attack_task.picked(loaded, slice(first, first + _CHUNK))
        found.append(np.asarray(model.label_fn(model.images(part))) == part.labels)
    return np.concatenate(found)


ACCURACY = Reproduction(runs, report)
