"""Decoded arrays kept beside the TFDS files, so that a second load is instant.

A split's images and labels are two `.npy` files, mapped rather than read, and a
manifest with their checksums. The manifest is written last: a kill on the way leaves
a cache that does not verify and is built again.
"""

import functools
import json
import pathlib
import uuid

import numpy as np
from absl import logging

from zeroone_jax import files
from zeroone_jax.data.split import Split

_FOLDER = "decoded"
_ARRAYS = ("images", "labels")


def write(directory: pathlib.Path, split: str, decoded: Split) -> None:
    """Keeps a whole split, in its original order, in its TFDS directory.

    A directory that cannot be written is said and otherwise ignored: the next load
    decodes again.
    """
    folder = directory / _FOLDER
    # Another process may decode the same split meanwhile.
    replacing = functools.partial(files.replacing, writer=f"{uuid.uuid4()}-")
    checksums = {}
    try:
        folder.mkdir(exist_ok=True)
        for name in _ARRAYS:
            with replacing(folder / f"{split}_{name}.npy") as path:
                np.save(path, getattr(decoded, name), allow_pickle=False)
                checksums[name] = files.checksum(path)
        manifest = {"class_names": decoded.class_names, "crc32": checksums}
        with replacing(folder / f"{split}.json") as path:
            path.write_text(json.dumps(manifest))
    except OSError as error:
        logging.warning("cannot keep decoded arrays in %s: %s", folder, error)


def read(directory: pathlib.Path, split: str) -> Split | None:
    """Reads what `write` kept; None if it is not kept, or damaged, which is logged."""
    folder = directory / _FOLDER
    manifest_file = folder / f"{split}.json"
    if not manifest_file.is_file():
        return None
    try:
        manifest = files.read_json(manifest_file)
        arrays = {}
        for name in _ARRAYS:
            path = folder / f"{split}_{name}.npy"
            if files.checksum(path) != manifest["crc32"][name]:
                raise ValueError(f"{path.name} does not match its checksum")
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            arrays[name] = np.asarray(mapped)
        class_names = tuple(manifest["class_names"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        logging.warning(
            "decoded arrays in %s are damaged and built again: %s", folder, error
        )
        return None
    indices = np.arange(len(arrays["labels"]), dtype=np.int32)
    return Split(arrays["images"], arrays["labels"], indices, class_names)
