"""Where prepared data sets are in a TFDS folder, without importing TFDS."""

import pathlib
import re
from typing import Any

from zeroone_jax import files
from zeroone_jax.data.catalog import CATALOG

_INFO_FILE = "dataset_info.json"
REMEDY = "prepare the data set again with TFDS (`tfds build`)"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def find(name: str, data_dir: pathlib.Path) -> pathlib.Path | None:
    """Finds a prepared data set.

    Args:
        name: TFDS name, `set` or `set/config`, with `:1.0.0` for a version. Without it,
            the catalog's version is meant, or else the highest one.
        data_dir: the folder of all TFDS data sets.

    Returns:
        Its directory, or None. One that is damaged is found where no other is.
    """
    path, _, version = name.partition(":")
    if not version and path in CATALOG:
        version = CATALOG[path].version
    found = [
        entry
        for entry in (data_dir / path).glob("*")
        if _VERSION.fullmatch(entry.name) and version in ("", entry.name)
        if entry.is_dir() and any(entry.iterdir())
    ]
    return max(found, key=_rank, default=None)


def prepared(data_dir: pathlib.Path) -> list[str]:
    """Names of the data sets in a folder, with their configs, sorted."""
    infos = [*data_dir.glob(f"*/*/{_INFO_FILE}"), *data_dir.glob(f"*/*/*/{_INFO_FILE}")]
    versions = [info.parent for info in infos if _VERSION.fullmatch(info.parent.name)]
    names = {version.parent.relative_to(data_dir).as_posix() for version in versions}
    return sorted(name for name in names if not name.startswith("."))


def split_names(directory: pathlib.Path) -> list[str]:
    """Names of the splits that a TFDS directory holds."""
    return [split["name"] for split in _info(directory).get("splits", [])]


def file_format(directory: pathlib.Path) -> str:
    """How a TFDS directory keeps its records, `array_record` or another."""
    # Directories from before TFDS had a choice do not say.
    return _info(directory).get("fileFormat", "tfrecord")


def check(directory: pathlib.Path) -> None:
    """Raises DamagedError if what describes the records is missing or torn."""
    for name in (_INFO_FILE, "features.json"):
        if not (directory / name).is_file():
            raise files.damaged(directory / name, "it is missing", REMEDY)
        files.read_json(directory / name, REMEDY)


def _info(directory: pathlib.Path) -> dict[str, Any]:
    return files.read_json(directory / _INFO_FILE, REMEDY)


def _rank(directory: pathlib.Path) -> tuple[bool, tuple[int, ...]]:
    """Puts directories that say what they hold first, then higher versions."""
    version = tuple(int(part) for part in directory.name.split("."))
    return (directory / _INFO_FILE).is_file(), version
