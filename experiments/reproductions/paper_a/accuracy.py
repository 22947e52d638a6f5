"""Trains every model of paper A, and counts what it labels rightly.

The other studies of paper A take the models from here, and from the results the images
that all models label rightly.
"""

from typing import Any

import numpy as np

from ... import command_line
from ...published import CIFAR10_0V1_MODELS
from ...studies.bench import Bench, each
from ...studies.columns import at, published, sheet
from ...studies.study import Place, Scale, Study, read_result
from .targets import targets, with_classical


def _counted(bench: Bench, protocol: None) -> dict[str, Any]:
    """The accuracy, and of the test images which are right, in hexadecimal bits."""
    del protocol
    rights = {split: bench.subject.right(split) for split in ("train", "test")}
    return {
        "accuracy": {split: float(np.mean(right)) for split, right in rights.items()},
        "right": np.packbits(rights["test"]).tobytes().hex(),
        "images": len(rights["test"]),
        "seconds": round(bench.training, 1),
    }


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
    for run in each(targets(scale), _counted):
        path = folder / f"{run.name}.json"
        if path.exists():
            kept = read_result(path)
            bits = np.frombuffer(bytes.fromhex(kept["right"]), np.uint8)
            rights.append(np.unpackbits(bits, count=kept["images"]).astype(bool))
        elif not run.missing():
            raise command_line.UserError(
                f"{path} is not there: first run python -m experiments.reproduce "
                f"--what=paper_a.accuracy --scale={scale} with the same folders"
            )
    return np.flatnonzero(np.all(rights, axis=0))


ACCURACY = Study(
    runs=lambda scale: each(with_classical(scale), _counted),
    tables={
        "table.md": sheet(
            "CIFAR-10, class 0 against 1: accuracy without attacks",
            {
                "model": at("method"),
                "train": at("accuracy", "train"),
                "test": at("accuracy", "test"),
                "authors' test": published(CIFAR10_0V1_MODELS),
                "seconds to train": lambda row: f"{row['seconds']:.0f}",
            },
        )
    },
)
