"""The raw files of a data set, as its authors published them, to arrays and back.

Raw files are held as a mapping from file name to content; both layouts are small
enough for memory (CIFAR-10: 184 MB).
"""

import hashlib
import struct
from collections.abc import Mapping

import numpy as np

from zeroone_jax.data.catalog import Dataset
from zeroone_jax.files import DamagedError

_IDX_IMAGES = 0x803
_IDX_LABELS = 0x801


def check(dataset: Dataset, split: str, files: Mapping[str, bytes]) -> None:
    """Raises DamagedError where a split's file is missing, or its md5 differs."""
    for name in dataset.splits[split]:
        expected = dataset.md5[name]
        if name not in files:
            raise DamagedError(f"{name} of {dataset.name} is missing")
        found = hashlib.md5(files[name], usedforsecurity=False).hexdigest()
        if found != expected:
            raise DamagedError(
                f"{name} of {dataset.name} is damaged: md5 {found}, not {expected}"
            )


def parse(
    dataset: Dataset, split: str, files: Mapping[str, bytes]
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a split's raw files, which have passed `check`.

    Returns:
        Images u8 [n, h, w, c] and labels i32 [n], in the authors' order.
    """
    height, width, channels = dataset.image_shape
    names = dataset.splits[split]
    if dataset.layout == "cifar":
        content = b"".join(files[name] for name in names)
        rows = np.frombuffer(content, np.uint8).reshape(
            -1, 1 + height * width * channels
        )
        planes = rows[:, 1:].reshape(-1, channels, height, width)
        images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        return images, rows[:, 0].astype(np.int32)
    image_file, label_file = (files[name] for name in names)
    pixels = np.frombuffer(image_file, np.uint8, offset=16)
    labels = np.frombuffer(label_file, np.uint8, offset=8)
    return pixels.reshape(-1, height, width, channels), labels.astype(np.int32)


def pack(
    dataset: Dataset, split: str, images: np.ndarray, labels: np.ndarray
) -> dict[str, bytes]:
    """Rebuilds a split's raw files from arrays, the inverse of `parse`."""
    names = dataset.splits[split]
    codes = labels.astype(np.uint8)
    if dataset.layout == "cifar":
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        rows = np.concatenate([codes[:, None], planes], axis=1)
        batches = np.array_split(rows, len(names))
        return {
            name: batch.tobytes() for name, batch in zip(names, batches, strict=True)
        }
    image_file, label_file = names
    header = struct.pack(">4I", _IDX_IMAGES, len(images), *images.shape[1:3])
    return {
        image_file: header + images.tobytes(),
        label_file: struct.pack(">2I", _IDX_LABELS, len(codes)) + codes.tobytes(),
    }
