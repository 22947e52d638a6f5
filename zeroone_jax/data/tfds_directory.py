"""Where prepared data sets are in a TFDS folder, without importing TFDS."""

import json
import pathlib
import re

from zeroone_jax.data.catalog import CATALOG

_INFO_FILE = "dataset_info.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def find(name: str, data_dir: pathlib.Path) -> pathlib.Path | None:
    """Finds a prepared data set.

    Args:
        name: TFDS name, `set` or `set/config`, with `:1.0.0` for a version.
        data_dir: the folder of all TFDS data sets.

    Returns:
        Its directory, of the catalog's version or else of the highest one; None if
        there is none.
    """
    path, _, version = name.partition(":")
    if not version and path in CATALOG:
        version = CATALOG[path].version
    found = [
        info.parent
        for info in (data_dir / path).glob(f"*/{_INFO_FILE}")
        if _VERSION.fullmatch(info.parent.name) and version in ("", info.parent.name)
    ]
    return max(found, key=_version_number, default=None)


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


def _info(directory: pathlib.Path) -> dict:
    return json.loads((directory / _INFO_FILE).read_text())


def _version_number(directory: pathlib.Path) -> tuple[int, ...]:
    return tuple(int(part) for part in directory.name.split("."))
