"""Decodes a split of a TFDS directory without TensorFlow."""

import hashlib
import pathlib
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from zeroone_jax.data import raw
from zeroone_jax.data.catalog import CATALOG
from zeroone_jax.data.split import Split
from zeroone_jax.data.tfds_directory import REMEDY, file_format
from zeroone_jax.extras import imported
from zeroone_jax.files import DamagedError, damaged

_FORMATS = ("array_record", "tfrecord")


def read(name: str, directory: pathlib.Path, split: str) -> Split:
    """Decodes a split.

    TFDS stores examples in the order of a hash of their keys. The original order is
    recovered for the catalog's sets, whose content is then compared with their
    checksums, and for sets whose examples have an `id` that ends in their number
    (`train_00042`). Any other set comes as stored.

    Raises:
        ValueError: records of a format that needs TensorFlow, examples that are not
            one image and one label, or images that differ in shape.
        DamagedError: records or metadata cannot be read, or a catalog set's content
            differs from its checksums.
    """
    found_format = file_format(directory)
    if found_format not in _FORMATS:
        raise ValueError(
            f"{directory} holds {found_format} files, and only "
            f"{' and '.join(_FORMATS)} are read without TensorFlow: prepare it again "
            "with `tfds build --file_format=array_record`"
        )
    builder = opened(directory)
    image_key, label_key = keys(builder.info, directory)
    try:
        examples = (
            list(builder.as_data_source(split))
            if found_format == "array_record"
            else list(_examples_of_tfrecords(builder.info, split))
        )
    # Which errors array_record and the image decoders raise on damage.
    except (RuntimeError, OSError, ValueError, struct.error) as error:
        raise damaged(directory, error, REMEDY) from error
    shapes = {example[image_key].shape for example in examples}
    if len(shapes) != 1:
        raise ValueError(f"images of {directory} differ in shape: {sorted(shapes)}")
    images = np.stack([example[image_key] for example in examples])
    labels = np.array([example[label_key] for example in examples], np.int32)

    dataset = CATALOG.get(name.partition(":")[0])
    if dataset is None:
        class_names = names_of_classes(builder.info.features, label_key, directory)
        order = order_by_id(examples)
    else:
        class_names = dataset.class_names
        order = order_by_key(split, len(images))
    images, labels = images[order], labels[order]
    if dataset is not None:
        try:
            raw.check(dataset, split, raw.pack(dataset, split, images, labels))
        except DamagedError as error:
            raise DamagedError(f"{directory} is not {name}: {error}") from error
    return Split(images, labels, np.arange(len(images), dtype=np.int32), class_names)


def opened(directory: pathlib.Path) -> Any:
    """Makes TFDS's builder of a directory.

    Raises:
        DamagedError: its metadata cannot be read.
    """
    tfds = imported("tensorflow_datasets", "tensorflow-datasets", "data")
    try:
        return tfds.builder_from_directory(directory)
    except ImportError:
        raise
    # TFDS raises what its parsers raise on damage, protobuf's own errors among it.
    except Exception as error:
        raise damaged(directory, error, REMEDY) from error


def keys(info: Any, directory: pathlib.Path) -> tuple[str, str]:
    """Finds the image and the label of an example by their feature types."""
    tfds = imported("tensorflow_datasets", "tensorflow-datasets", "data")

    kinds = (tfds.features.Image, tfds.features.ClassLabel)
    images, labels = (
        sorted(key for key, value in info.features.items() if isinstance(value, kind))
        for kind in kinds
    )
    match info.supervised_keys:
        case (image_key, label_key) if image_key in images and label_key in labels:
            return image_key, label_key
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            f"{directory} is not one image and one label an example: images {images}, "
            f"labels {labels} of features {sorted(info.features)}"
        )
    return images[0], labels[0]


def names_of_classes(
    features: Any, key: str, directory: pathlib.Path
) -> tuple[str, ...]:
    """Reads the names of the classes, of which TFDS would take a torn file too."""
    path = directory / f"{key}.labels.txt"
    if not path.exists():
        return tuple(features[key].names)
    try:
        text = path.read_text(encoding="utf-8")
    except ValueError as error:
        raise damaged(path, error, REMEDY) from error
    names = tuple(line.strip() for line in text.split("\n") if line.strip())
    count = features[key].num_classes
    if len(names) != count or not text.endswith("\n"):
        raise damaged(path, f"{count} whole lines were expected", REMEDY)
    return names


def _examples_of_tfrecords(info: Any, split: str) -> Iterator[dict[str, Any]]:
    for path in info.splits[split].filepaths:
        for record in _tfrecords(pathlib.Path(path)):
            yield info.features.deserialize_example_np(record)


def _tfrecords(path: pathlib.Path) -> Iterator[bytes]:
    """Yields the records of a file: each is length, its crc, content, its crc.

    Damage shows in the content: images carry or break their own checksums.
    """
    with path.open("rb") as file:
        while header := file.read(12):
            (length,) = struct.unpack_from("<Q", header)
            content = file.read(length)
            if len(content) < length or len(file.read(4)) < 4:
                raise damaged(path, "it breaks off", REMEDY)
            yield content


def order_by_key(split: str, count: int) -> np.ndarray:
    """Where each of `count` examples with keys 0, 1, ... is stored.

    TFDS sorts by the md5 of the split's name followed by the key.
    """
    hashes = [
        hashlib.md5(f"{split}{key}".encode(), usedforsecurity=False).digest()
        for key in range(count)
    ]
    return np.argsort(sorted(range(count), key=hashes.__getitem__))


def order_by_id(examples: list[dict[str, Any]]) -> np.ndarray:
    """Where each example is stored if ids end in 0, 1, ...; else as stored."""
    as_stored = np.arange(len(examples))
    ends = [re.search(rb"\d+$", _id(example)) for example in examples]
    numbers = np.array([int(end[0]) for end in ends if end])
    order = np.argsort(numbers)
    if len(numbers) == len(examples) and (numbers[order] == as_stored).all():
        return order
    return as_stored


def _id(example: dict[str, Any]) -> bytes:
    """An example's id, empty if it has none or one that is no text."""
    found = example.get("id", b"")
    return found if isinstance(found, bytes) else b""
