"""Files that are written completely or not at all, and read with care.

What is read back may be torn: by a full disk, a power cut, a copy that broke off. Such
a file is a `DamagedError`, whose one line names the file and what to do about it.
"""

import contextlib
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_PARTIAL = ".partial-"
_PIECE = 1 << 20
_DAMAGED_NPZ = "damaged or no .npz file"


class DamagedError(ValueError):
    """A file does not hold what it should; the message names it and the remedy."""


def damaged(
    path: pathlib.Path, why: object, remedy: str = "", what: str = "damaged"
) -> DamagedError:
    """Makes the error that says that a file is damaged.

    Args:
        path: the file.
        why: what is wrong with it; of an error, its first line is told.
        remedy: what the reader can do, if anything is known.
        what: what the file is, where it need not be damage.

    Returns:
        The error, whose message is one line.

    Example:
        >>> str(damaged(pathlib.Path("a.json"), "it is empty", "remove it"))
        'a.json is damaged (it is empty): remove it'
    """
    told = (str(why).splitlines() or [type(why).__name__])[0]
    return DamagedError(f"{path} is {what} ({told}){f': {remedy}' if remedy else ''}")


@contextlib.contextmanager
def replacing(path: pathlib.Path, writer: str = "") -> Iterator[pathlib.Path]:
    """Writes a file completely or not at all.

    Args:
        path: where the file shall be; an old one is replaced.
        writer: another for each of those who may write the file at the same time.

    Yields:
        A path beside it, with the same ending, to write to; a kill may leave it there.
    """
    partial = path.with_name(f"{_PARTIAL}{writer}{path.name}")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def is_partial(path: pathlib.Path) -> bool:
    """Whether a file is one that a killed process had not finished."""
    return path.name.startswith(_PARTIAL)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a value of JSON's types to a file, completely or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: pathlib.Path, remedy: str = "") -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Args:
        path: the file.
        remedy: what the reader can do if it is damaged.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is no JSON, or no object.
    """
    content = path.read_bytes()
    if not content.strip():
        raise damaged(path, "it is empty", remedy)
    try:
        return json_object(content)
    except ValueError as error:
        raise damaged(path, error, remedy) from error


def json_object(text: bytes) -> dict[str, Any]:
    """Reads a JSON object; raises ValueError if the text is no JSON, or another."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object was expected, not {type(value).__name__}")
    return value


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
    """Writes arrays to an `.npz` file.

    Args:
        path: where, ending in ".npz"; the caller sees to it that no half file is left.
        arrays: by name.

    Raises:
        ValueError: an array holds objects, which only Python could read.
    """
    named: dict[str, Any] = {name: np.asarray(one) for name, one in arrays.items()}
    objects = [name for name, array in named.items() if array.dtype.hasobject]
    if objects:
        raise ValueError(f"{path}: {', '.join(objects)} hold objects, not numbers")
    # Of NumPy's `allow_pickle`, older versions would make one more array.
    np.savez(path, **named)


def read_npz(
    path: pathlib.Path, remedy: str = "", skip: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Reads the arrays of an `.npz` file.

    Args:
        path: the file.
        remedy: what the reader can do if it is damaged.
        skip: names of arrays that are left unread, to save time and memory.

    Returns:
        The arrays by name.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is damaged, or no `.npz` file.
    """
    # NumPy leaves a file that it opened itself open where it cannot read it.
    with path.open("rb") as stream:
        try:
            content = np.load(stream, allow_pickle=False)
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise ValueError("it is a lone array and no .npz file")
            with content:
                wanted = [name for name in content.files if name not in skip]
                arrays = {name: content[name] for name in wanted}
        except _UNREADABLE as error:
            raise damaged(path, error, remedy, _DAMAGED_NPZ) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise damaged(path, f"{name} is no array", remedy, _DAMAGED_NPZ)
    return arrays


# Which errors NumPy and zipfile raise on damage, by a test that flips every byte.
_UNREADABLE = (
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def checksum(path: pathlib.Path) -> int:
    """Computes the crc32 of a file's content."""
    found = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found = zlib.crc32(piece, found)
    return found
