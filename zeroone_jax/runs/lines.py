"""Files of one JSON object a line, to which a run appends."""

import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zeroone_jax import files


def append(path: pathlib.Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Appends records of JSON's types, and waits until they are on the disk."""
    with path.open("a") as lines:
        lines.write("".join(json.dumps(record) + "\n" for record in records))
        lines.flush()
        os.fsync(lines.fileno())


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """Reads the records of the complete lines; a kill may have torn the last.

    There are none where there is no such file.

    Raises:
        files.DamagedError: a complete line is no JSON object.
    """
    *complete, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    records = []
    for number, line in enumerate(complete, 1):
        try:
            records.append(files.json_object(line))
        except ValueError as error:
            raise files.damaged(
                path,
                f"line {number}: {error}",
                "remove that line to go on without what it says",
            ) from error
    return records


def cut(path: pathlib.Path, keep: Callable[[Mapping[str, Any]], bool]) -> None:
    """Rewrites a file, or makes it, without a torn line and what `keep` refuses.

    Raises:
        files.DamagedError: a complete line is no JSON object.
    """
    kept = [record for record in read(path) if keep(record)]
    with files.replacing(path) as partial:
        partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
