"""What the challenge shows: its table, and one file of all adversaries."""

import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zeroone_jax import runs

from ...published import WHITE_BOX_0V1
from ...studies.columns import Columns, at, numbers, sheet
from ...studies.study import Drawn, Row

EPSILONS = (4, 8, 16)
"""Radii of the table, in levels of 255; the authors' is the last."""


def keep(rows: Sequence[Row]) -> Drawn:
    """Keeps the adversaries of both runs as one small file.

    For each way, its name: "index", int32 [n], places among the test images of classes
    0 and 1, and "moves", int8 or int16 [n, d], in levels of 255. Where a run directory
    is not here, nothing is kept anew.
    """
    if not all(row["folder"].exists() for row in rows):
        return None
    parts: dict[str, list[Mapping[str, np.ndarray]]] = {}
    for row in rows:
        for path in sorted(row["folder"].glob("*-*.npz")):
            made = runs.read_npz(path)
            if "levels" in made:
                parts.setdefault(path.stem.split("-")[0], []).append(made)
    if not parts:
        return None
    stored: dict[str, Any] = {}
    for way, some in parts.items():
        index, moves = (
            np.concatenate([part[key] for part in some]) for key in ("index", "levels")
        )
        order = np.argsort(index)
        order = order[np.any(moves[order], axis=1)]
        small = np.int8 if np.abs(moves).max() < 128 else np.int16
        stored[f"{way}_index"] = index[order].astype(np.int32)
        stored[f"{way}_moves"] = moves[order].astype(small)

    def write(path: pathlib.Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, **stored)

    return write


def _ways(rows: Sequence[Row]) -> Iterator[Row]:
    """A row for each way to adversaries."""
    for row in rows:
        for name, found in row["found"].items():
            yield {
                "way": f"{row['method'].replace('-', ' ')}: {name}",
                "accuracy": row["accuracy"],
                "l2": numbers(found["l2"]),
                "levels": numbers(found["levels"]),
                "queries": found.get("queries", "-"),
                "bound": numbers(row["bound"]),
            }


def _left(epsilon: int) -> Callable[[Row], float]:
    """The accuracy that is left in a ball of so many levels."""
    return lambda row: float(row["accuracy"] * np.mean(row["levels"] > epsilon))


def _above(row: Row) -> np.ndarray:
    """How many times what is proved, infinite where there is no adversary."""
    far: np.ndarray = np.full(len(row["l2"]), np.inf)
    return np.divide(row["l2"], row["bound"], out=far, where=np.isfinite(row["l2"]))


_COLUMNS: Columns = {
    "adversaries": at("way"),
    "images": lambda row: len(row["l2"]),
    "queries": at("queries"),
    **{f"left at {epsilon}/255": _left(epsilon) for epsilon in EPSILONS},
    "authors: PGD 16/255": lambda row: WHITE_BOX_0V1["authors"].text,
    "median L2": lambda row: float(np.median(row["l2"])),
    "proved bound": lambda row: float(np.median(row["bound"])),
    "L2 / bound": lambda row: f"{np.median(_above(row)):.2f}",
}
table = sheet(
    "The authors' networks on the grid of eight bits: accuracy left, and L2",
    _COLUMNS,
    _ways,
)
"""Makes the table."""
