import importlib
import logging
import multiprocessing
import os
import pathlib
import shutil
import signal

import numpy as np
import pytest

from tests.data import small_sets
from zeroone_jax import data
from zeroone_jax.data import Split, tfds_directory
from zeroone_jax.data.catalog import CATALOG

# `zeroone_jax.data.prepare` is the function; this is its module.
prepare_module = importlib.import_module("zeroone_jax.data.prepare")

# Fresh interpreters: JAX's threads do not survive a fork.
PROCESSES = multiprocessing.get_context("spawn")


def visible(folder: pathlib.Path) -> list[str]:
    """What a data folder holds besides the lock and the archives."""
    names = (path.name for path in folder.iterdir())
    return sorted(name for name in names if not name.endswith((".lock", "downloads")))


def assert_is_small(split: Split, name: str, split_name: str = "train") -> None:
    images, labels = small_sets.arrays(CATALOG[name])[split_name]
    np.testing.assert_array_equal(split.images, images)
    np.testing.assert_array_equal(split.labels, labels)


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_load_prepares_from_the_manual_directory(data_dir, name):
    for split in ("train", "test"):
        assert_is_small(data.load(name, split, data_dir=data_dir), name, split)
    assert visible(data_dir) == [name]
    version = data_dir / name / CATALOG[name].version
    assert data.prepare(name, data_dir) == version


def test_manual_dir_elsewhere(data_dir, tmp_path):
    root = tmp_path / "root"
    directory = data.prepare("mnist", root, data_dir / "downloads" / "manual")
    assert directory == root / "mnist" / "3.0.1"


def test_a_prepared_directory_comes_first(data_dir, monkeypatch):
    directory = data.prepare("mnist", data_dir)
    monkeypatch.setattr(prepare_module, "sources", None)
    assert data.prepare("mnist", data_dir) == directory


def test_without_source_it_says_what_to_place_where(tmp_path, small_mnist, caplog):
    with pytest.raises(data.NoSourceError) as caught:
        data.load("mnist", "train", data_dir=tmp_path)
    message = str(caught.value)
    assert "train-images-idx3-ubyte.gz (https://" in message
    assert str(tmp_path / "downloads" / "manual") in message
    assert visible(tmp_path) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "other"])
def test_a_damaged_archive_is_said_and_not_used(data_dir, caplog, damage):
    archive = data_dir / "downloads" / "manual" / "cifar-10-binary.tar.gz"
    content = archive.read_bytes()
    files = small_sets.raw_files(CATALOG["cifar10"])
    files["data_batch_3.bin"] = bytes(len(files["data_batch_3.bin"]))
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    damaged = {
        "flip": bytes(flipped),
        "cut": content[: len(content) // 2],
        "other": small_sets.tar_of(files),
    }
    archive.write_bytes(damaged[damage])
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(data.NoSourceError, match=r"cifar-10-binary\.tar\.gz"),
    ):
        data.prepare("cifar10", data_dir)
    assert "damaged" in caplog.text
    assert visible(data_dir) == []


def test_damage_at_one_source_leads_to_the_next(data_dir, monkeypatch, caplog):
    right = small_sets.raw_files(CATALOG["mnist"])
    wrong = {**right, "t10k-labels-idx1-ubyte": b"no labels"}
    monkeypatch.setattr(
        prepare_module,
        "sources",
        lambda *_: [("one", lambda: wrong), ("another", lambda: right)],
    )
    with caplog.at_level(logging.WARNING):
        assert_is_small(data.load("mnist", "train", data_dir=data_dir), "mnist")
    assert "not from one: t10k-labels-idx1-ubyte" in caplog.text


@pytest.mark.parametrize("name", ["train.json", "train_images.npy"])
def test_a_damaged_cache_is_built_again(data_dir, caplog, name):
    directory = data.prepare("cifar10", data_dir)
    path = directory / "decoded" / name
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes(20))
    with caplog.at_level(logging.WARNING):
        assert_is_small(data.load("cifar10", "train", data_dir=data_dir), "cifar10")
    assert "damaged" in caplog.text
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "other"])
def test_a_damaged_directory_is_set_aside_and_prepared_again(
    data_dir, caplog, damage, monkeypatch
):
    directory = data.prepare("mnist", data_dir)
    for kept in (directory / "decoded").iterdir():
        kept.unlink()
    (records,) = directory.glob("*train*array_record*")
    content = bytearray(records.read_bytes())
    content[len(content) // 2] ^= 255
    if damage == "gone":
        records.unlink()
    elif damage == "other":
        (other,) = directory.glob("*test*array_record*")
        records.write_bytes(other.read_bytes())
    else:
        half = content[: len(content) // 2]
        records.write_bytes(content if damage == "flip" else half)
    with caplog.at_level(logging.WARNING):
        assert_is_small(data.load("mnist", "train", data_dir=data_dir), "mnist")
    assert "set aside" in caplog.text
    assert visible(data_dir) == [".mnist.damaged1", "mnist"]


METADATA = ("dataset_info.json", "features.json")


@pytest.mark.parametrize("is_decoded", [False, True])
@pytest.mark.parametrize("damage", ["empty", "cut", "gone", "other"])
@pytest.mark.parametrize("name", METADATA)
def test_damaged_metadata_is_repaired(data_dir, caplog, name, damage, is_decoded):
    directory = data.prepare("mnist", data_dir)
    if not is_decoded:
        shutil.rmtree(directory / "decoded")
    path = directory / name
    whole = path.read_text()
    torn = {"empty": "", "cut": whole[: len(whole) // 2], "other": "[1]"}
    path.unlink() if damage == "gone" else path.write_text(torn[damage])
    with caplog.at_level(logging.WARNING):
        assert_is_small(data.load("mnist", "train", data_dir=data_dir), "mnist")
    assert f"{path} is damaged" in caplog.text
    assert path.read_text() == whole
    assert visible(data_dir) == [".mnist.damaged1", "mnist"]


@pytest.mark.parametrize("name", METADATA)
def test_without_source_decoded_arrays_do_without_metadata(data_dir, caplog, name):
    directory = data.prepare("mnist", data_dir)
    (directory / name).write_text("")
    shutil.rmtree(data_dir / "downloads")
    with caplog.at_level(logging.WARNING):
        assert_is_small(data.load("mnist", "train", data_dir=data_dir), "mnist")
    assert "place train-images-idx3-ubyte.gz" in caplog.text
    shutil.rmtree(directory / "decoded")
    with pytest.raises(data.NoSourceError):
        data.load("mnist", "train", data_dir=data_dir)


def test_a_split_that_the_metadata_lost_is_repaired(data_dir):
    directory = data.prepare("mnist", data_dir)
    shutil.rmtree(directory / "decoded")
    (directory / "dataset_info.json").write_text('{"fileFormat": "array_record"}')
    assert_is_small(data.load("mnist", "train", data_dir=data_dir), "mnist")


def test_class_names_are_the_catalogs(data_dir):
    directory = data.prepare("cifar10", data_dir)
    shutil.rmtree(directory / "decoded")
    (directory / "label.labels.txt").write_text("airpl")
    split = data.load("cifar10", "train", data_dir=data_dir)
    assert split.class_names == CATALOG["cifar10"].class_names


def test_an_unwritable_cache_does_not_matter(data_dir, caplog):
    directory = data.prepare("mnist", data_dir)
    for kept in (directory / "decoded").iterdir():
        kept.unlink()
    (directory / "decoded").rmdir()
    (directory / "decoded").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        assert_is_small(data.load("mnist", "train", data_dir=data_dir), "mnist")
    assert "cannot keep" in caplog.text


def install_small_mnist() -> None:
    """The small set in a fresh interpreter, which has no fixtures."""
    CATALOG["mnist"] = small_sets.small("mnist")  # type: ignore[index]


def prepare_together(folder: pathlib.Path, start, results) -> None:
    install_small_mnist()
    alone = prepare_module._prepare_alone
    prepared = []

    def counted(*arguments):
        prepared.append(arguments)
        return alone(*arguments)

    prepare_module._prepare_alone = counted
    start.wait()
    split = data.load("mnist", "train", data_dir=folder)
    results.put((split.labels.tolist(), len(prepared)))


@pytest.mark.slow("starts processes")
def test_two_processes_at_once_make_one_good_copy(data_dir):
    start, results = PROCESSES.Barrier(2), PROCESSES.Queue()
    workers = [
        PROCESSES.Process(target=prepare_together, args=(data_dir, start, results))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=100) for _ in workers]
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    _, labels = small_sets.arrays(CATALOG["mnist"])["train"]
    assert [result[0] for result in found] == [labels.tolist()] * 2
    assert sorted(result[1] for result in found) == [0, 1]
    assert visible(data_dir) == ["mnist"]
    assert visible(data_dir / "mnist") == ["3.0.1"]


def prepare_and_die(folder: pathlib.Path) -> None:
    install_small_mnist()

    class Deadly:
        def __call__(self, stage: str, done: int, total: int) -> None:
            if stage == "encoding test" and done == 5:
                os.kill(os.getpid(), signal.SIGKILL)

    prepare_module.Progress = Deadly
    data.prepare("mnist", folder)


@pytest.mark.slow("starts processes")
def test_a_kill_leaves_no_half_directory(data_dir):
    worker = PROCESSES.Process(target=prepare_and_die, args=(data_dir,))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert tfds_directory.find("mnist", data_dir) is None
    assert not (data_dir / "mnist").exists()
    # What the killed process left is hidden, and goes with the next attempt.
    assert visible(data_dir) == [".mnist.preparing"]
    assert_is_small(data.load("mnist", "train", data_dir=data_dir), "mnist")
    assert visible(data_dir) == ["mnist"]
