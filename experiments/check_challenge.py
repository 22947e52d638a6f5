"""Checks the adversaries of the authors' networks, with NumPy alone.

    python -m experiments.check_challenge --images=cifar-10-binary.tar.gz

The networks, the images and the adversaries are read anew and everything is computed in
float64, by none of the code that made the adversaries. For each way in which they were
made it tells how many are labelled wrongly, lie in the box, and lie in balls around
their images; the exit status is 1 where one is labelled rightly or leaves the box.
"""

import argparse
import hashlib
import pathlib
import sys
import tarfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_ROOT = pathlib.Path(__file__).parents[1]
NETWORKS = _ROOT.parent / "shared" / "reference" / "authors_mlp01_8votes.npz"
ADVERSARIES = _ROOT / "results/paper_a/challenge/laptop/adversaries.npz"
MD5 = "803d5f7f4d78ea53de84dbe85f74fb6d"
"""Of CIFAR-10's test_batch.bin."""

_LEVELS = 255
_EPSILONS = (4, 8, 16)
_CHUNK = 256


class Checked(NamedTuple):
    """What is found of adversaries, a number or a truth for each.

    Attributes:
        places: among the test images of classes 0 and 1.
        wrong: whether the majority labels the image rightly and the adversary wrongly.
        boxed: whether it lies in the box.
        levels: the largest change of a value, in levels of 255.
        l2: the distance, on the scale of [0,1].
        clear: how far from 0 the nearest score of a network is.
    """

    places: np.ndarray
    wrong: np.ndarray
    boxed: np.ndarray
    levels: np.ndarray
    l2: np.ndarray
    clear: np.ndarray


class Networks(NamedTuple):
    """The authors' networks: a unit is on where its projection is not below 0.

    Attributes:
        w1: float64 [votes, units, d].
        b1: float64 [votes, units].
        w2: float64 [votes, units].
        b2: float64 [votes].
        scale: a unit's value is scale where it is on, else -scale.
    """

    w1: np.ndarray
    b1: np.ndarray
    w2: np.ndarray
    b2: np.ndarray
    scale: float

    @classmethod
    def read(cls, path: pathlib.Path) -> "Networks":
        """Reads the authors' file."""
        with np.load(path) as stored:
            w1, b1, w2, b2 = (
                stored[name].astype(np.float64) for name in ("w1", "b1", "w2", "b2")
            )
            return cls(w1, b1, w2, b2, float(stored["hidden_scale"]))

    def look(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels images, int [n, d] in levels, and tells the score nearest to 0.

        Returns:
            bool [n], whether more than half the votes are for class 1; float [n].
        """
        labels, least = [], []
        for first in range(0, len(levels), _CHUNK):
            x = levels[first : first + _CHUNK] / np.float64(_LEVELS)
            projection = np.einsum("nd,vud->vnu", x, self.w1, optimize=True)
            on = projection + self.b1[:, None] >= 0
            hidden = np.where(on, self.scale, -self.scale)
            scores = np.einsum("vnu,vu->vn", hidden, self.w2) + self.b2[:, None]
            labels.append(2 * (scores > 0).sum(axis=0) > len(scores))
            least.append(np.abs(scores).min(axis=0))
        return np.concatenate(labels), np.concatenate(least)


def read_images(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads CIFAR-10's test images of classes 0 and 1.

    Args:
        path: cifar-10-binary.tar.gz as published, or its test_batch.bin.

    Returns:
        Levels int64 [n, d], a pixel's three colours side by side, and labels.

    Raises:
        ValueError: these are not the images.
    """
    content = path.read_bytes()
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            file = archive.extractfile("cifar-10-batches-bin/test_batch.bin")
            content = b"" if file is None else file.read()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5:
        raise ValueError(f"{path} does not hold CIFAR-10's test_batch.bin")
    rows = np.frombuffer(content, np.uint8).reshape(10_000, -1)
    rows = rows[rows[:, 0] < 2]
    planes = rows[:, 1:].reshape(len(rows), 3, -1).transpose(0, 2, 1)
    return planes.reshape(len(rows), -1).astype(np.int64), rows[:, 0]


def check(
    networks: Networks,
    images: np.ndarray,
    labels: np.ndarray,
    index: np.ndarray,
    moves: np.ndarray,
) -> Checked:
    """Checks adversaries.

    Args:
        networks: the networks.
        images: int [m, d], in levels.
        labels: int [m], 0 or 1.
        index: int [n], which of the images were moved.
        moves: int [n, d], by how many levels.
    """
    x, y = images[index], labels[index] == 1
    wide = moves.astype(np.int64)
    there = x + wide
    said, clear = networks.look(there)
    return Checked(
        places=index,
        wrong=(networks.look(x)[0] == y) & (said != y),
        boxed=((there >= 0) & (there <= _LEVELS)).all(axis=1),
        levels=np.abs(wide).max(axis=1),
        l2=np.linalg.norm(wide / _LEVELS, axis=1),
        clear=clear,
    )


def report(way: str, checked: Checked, right: np.ndarray) -> str:
    """Tells of one way; `right` are the places of the images labelled rightly."""
    good = checked.wrong & checked.boxed
    covered = np.isin(right, checked.places[good]).sum()
    near = ", ".join(
        f"{(good & (checked.levels <= epsilon)).sum()} within {epsilon}/255"
        for epsilon in _EPSILONS
    )
    return (
        f"{way}: {len(good)} adversaries, {good.sum()} labelled wrongly and in the box "
        f"(of {covered} of the {len(right)} images that are labelled rightly), {near}; "
        f"L2 median {np.median(checked.l2):.4f}, largest {checked.l2.max():.4f}; "
        f"score nearest to 0: {checked.clear.min():.1e}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks what a file holds, and gives the exit status."""
    # The wheel has this under another name.
    called = __doc__.replace("-m experiments", f"-m {__package__ or 'experiments'}")
    parser = argparse.ArgumentParser(
        description=called, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images",
        type=pathlib.Path,
        required=True,
        help="cifar-10-binary.tar.gz as published, or its test_batch.bin",
    )
    parser.add_argument("--networks", type=pathlib.Path, default=NETWORKS)
    parser.add_argument("--adversaries", type=pathlib.Path, default=ADVERSARIES)
    options = parser.parse_args(arguments)
    for path in (options.images, options.networks, options.adversaries):
        if not path.exists():
            parser.error(f"{path} is not there")
    networks = Networks.read(options.networks)
    images, labels = read_images(options.images)
    said, _ = networks.look(images)
    right = np.flatnonzero(said == (labels == 1))
    print(f"accuracy {len(right) / len(images):.4f} of {len(images)} images")
    fine = True
    with np.load(options.adversaries) as stored:
        for way in sorted(
            name.removesuffix("_moves") for name in stored if name.endswith("_moves")
        ):
            index, moves = stored[f"{way}_index"], stored[f"{way}_moves"]
            found = check(networks, images, labels, index, moves)
            fine &= bool((found.wrong & found.boxed).all())
            print(report(way, found, right))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
