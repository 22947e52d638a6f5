"""Pieces of a run that are kept as files, so that each is made once.

A piece that is damaged is made again, which is logged.
"""

import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from absl import logging
from matplotlib.figure import Figure

from zeroone_jax import runs
from zeroone_jax.evaluation import figures

_Piece = TypeVar("_Piece")


def arrays(
    path: pathlib.Path, make: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz file, which are made first if they are not there."""
    found = kept(path, runs.read_npz)
    if found is not None:
        return found
    write(path, make())
    return runs.read_npz(path)


def timed_arrays(
    path: pathlib.Path, make: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Does as `arrays`, and keeps the "seconds" that it took to make them."""

    def timed() -> dict[str, np.ndarray]:
        began = time.monotonic()
        made = dict(make())
        return {**made, "seconds": np.array(time.monotonic() - began)}

    return arrays(path, timed)


def record(path: pathlib.Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Reads a .json file's record, which is made first if it is not there."""
    found = kept(path, runs.read_json)
    if found is not None:
        return found
    runs.write_json(path, make())
    return runs.read_json(path)


def write(path: pathlib.Path, content: str | Figure | Mapping[str, np.ndarray]) -> None:
    """Writes a text, a figure, or arrays as .npz: completely or not at all."""
    with runs.replacing(path) as partial:
        if isinstance(content, str):
            partial.write_text(content, encoding="utf-8")
        elif isinstance(content, Figure):
            figures.write(content, partial)
        else:
            runs.write_npz(partial, content)


def kept(path: pathlib.Path, read: Callable[[pathlib.Path], _Piece]) -> _Piece | None:
    """Reads a piece; None if it is to be made: it is not there, or damaged."""
    if not path.exists():
        return None
    try:
        return read(path)
    except runs.DamagedError as error:
        logging.warning("%s: it is made again", error)
        return None
