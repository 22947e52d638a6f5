"""Standard TFDS directories: write and read them without TensorFlow.

The only module that imports tensorflow-datasets, and only when a directory is
written or decoded.
"""

import contextlib
import hashlib
import io
import json
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from zeroone_jax.data import raw
from zeroone_jax.data.catalog import CATALOG, Dataset
from zeroone_jax.data.progress import Progress
from zeroone_jax.data.split import Split

_INFO_FILE = "dataset_info.json"


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
        if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
        and version in ("", info.parent.name)
    ]
    return max(found, key=_version_number, default=None)


def prepared(data_dir: pathlib.Path) -> list[str]:
    """Names of the data sets in a folder, with their configs, sorted."""
    folders = {info.parent.parent for info in data_dir.glob(f"*/*/{_INFO_FILE}")}
    folders |= {info.parent.parent for info in data_dir.glob(f"*/*/*/{_INFO_FILE}")}
    names = (folder.relative_to(data_dir).as_posix() for folder in folders)
    return sorted(name for name in names if not name.startswith("."))


def split_names(directory: pathlib.Path) -> list[str]:
    """Names of the splits that a TFDS directory holds."""
    info = json.loads((directory / _INFO_FILE).read_text())
    return [split["name"] for split in info.get("splits", [])]


def write(
    dataset: Dataset,
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
    data_dir: pathlib.Path,
    progress: Progress,
) -> pathlib.Path:
    """Writes a TFDS directory through the builder that TFDS registers.

    Examples carry PNG bytes, which TFDS stores as they are; arrays it would encode
    with TensorFlow. TFDS shows its own progress on a terminal only.

    Args:
        dataset: what is written.
        splits: split name to images u8 [n, h, w, c] and labels i32 [n].
        data_dir: where to create `<name>/<version>/`.
        progress: told how many examples are encoded.

    Returns:
        The directory written.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import registered

    registered_class: Any = tfds.builder_cls(dataset.name)

    def split_generators(builder: Any, dl_manager: Any) -> Any:
        del dl_manager
        features = builder.info.features
        if tuple(features["label"].names) != dataset.class_names:
            features["label"].names = dataset.class_names
        return {
            split: _examples(split, *arrays, "id" in features, progress)
            for split, arrays in splits.items()
        }

    # The same name and module, so that the directory says what TFDS's own would.
    with registered.skip_registration():
        builder_class = type(
            registered_class.__name__,
            (registered_class,),
            {
                "__module__": registered_class.__module__,
                "_split_generators": split_generators,
            },
        )
    builder = builder_class(
        data_dir=data_dir, version=dataset.version, file_format="array_record"
    )
    tfds.display_progress_bar(sys.stderr.isatty())
    # TFDS prints to standard output, which belongs to the caller.
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(download_dir=data_dir / "downloads")
    return pathlib.Path(builder.data_path)


def read(name: str, directory: pathlib.Path, split: str) -> Split:
    """Decodes a split of a TFDS directory.

    TFDS stores examples in the order of a hash of their keys. The original order is
    recovered for the catalog's sets, whose content is then compared with their
    checksums, and for sets whose examples have an `id` that ends in their number
    (`train_00042`). Any other set comes as stored.

    Args:
        name: TFDS name, for messages and the catalog.
        directory: `<data_dir>/<name>/<version>`.
        split: one of its splits.

    Returns:
        The whole split.

    Raises:
        ValueError: the directory is not of array_record files, or not one image and
            one label an example, or its images differ in shape.
        DamagedError: a catalog set's content differs from its checksums.
    """
    import tensorflow_datasets as tfds

    file_format = json.loads((directory / _INFO_FILE).read_text()).get("fileFormat")
    if file_format != "array_record":
        raise ValueError(
            f"{directory} holds {file_format or 'tfrecord'} files, which need "
            "TensorFlow to read. Convert them with `tfds convert_format "
            f"--dataset_dir={directory} --out_file_format=array_record "
            "--out_path=...`, or give another data_dir"
        )
    builder = tfds.builder_from_directory(directory)
    image_key, label_key = _keys(builder.info, directory)
    examples = list(builder.as_data_source(split))
    shapes = {example[image_key].shape for example in examples}
    if len(shapes) != 1:
        raise ValueError(f"images of {directory} differ in shape: {sorted(shapes)}")
    images = np.stack([example[image_key] for example in examples])
    labels = np.array([example[label_key] for example in examples], np.int32)
    class_names = tuple(builder.info.features[label_key].names)

    dataset = CATALOG.get(name.partition(":")[0])
    stored_at = (
        _order_by_id(examples) if dataset is None else _order_by_key(split, len(images))
    )
    images, labels = images[stored_at], labels[stored_at]
    if dataset is not None:
        raw.check(dataset, split, raw.pack(dataset, split, images, labels))
    return Split(images, labels, np.arange(len(images), dtype=np.int32), class_names)


def _version_number(directory: pathlib.Path) -> tuple[int, ...]:
    return tuple(int(part) for part in directory.name.split("."))


def _examples(
    split: str,
    images: np.ndarray,
    labels: np.ndarray,
    with_id: bool,
    progress: Progress,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields TFDS's keys and examples: the key is the running index."""
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        picture = io.BytesIO()
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
            picture, "PNG"
        )
        picture.seek(0)
        example: dict[str, Any] = {"image": picture, "label": int(label)}
        if with_id:
            example["id"] = f"{split}_{index:05d}"
        yield index, example
        progress(f"encoding {split}", index + 1, len(images))


def _keys(info: Any, directory: pathlib.Path) -> tuple[str, str]:
    """Finds the image and the label of an example by their feature types."""
    import tensorflow_datasets as tfds

    kinds = (tfds.features.Image, tfds.features.ClassLabel)
    named = [
        [key for key, feature in info.features.items() if isinstance(feature, kind)]
        for kind in kinds
    ]
    match info.supervised_keys:
        case (image_key, label_key) if image_key in named[0] and label_key in named[1]:
            return image_key, label_key
    if [len(keys) for keys in named] != [1, 1]:
        raise ValueError(
            f"{directory} is not one image and one label an example: images "
            f"{named[0]}, labels {named[1]} of features {list(info.features)}"
        )
    return named[0][0], named[1][0]


def _order_by_key(split: str, count: int) -> np.ndarray:
    """Where each of `count` examples with keys 0, 1, ... is stored.

    TFDS sorts by the md5 of the split's name followed by the key.
    """
    hashes = [
        hashlib.md5(f"{split}{key}".encode(), usedforsecurity=False).digest()
        for key in range(count)
    ]
    return np.argsort(sorted(range(count), key=hashes.__getitem__))


def _order_by_id(examples: list[dict[str, Any]]) -> np.ndarray:
    """Where each example is stored if ids end in 0, 1, ...; else as stored."""
    as_stored = np.arange(len(examples))
    ends = [re.search(rb"\d+$", example.get("id", b"")) for example in examples]
    numbers = np.array([int(end[0]) for end in ends if end])
    order = np.argsort(numbers)
    if len(numbers) == len(examples) and (numbers[order] == as_stored).all():
        return order
    return as_stored
