import json
import logging

import numpy as np
import pytest

from zeroone_jax.data import Split, cache


@pytest.fixture
def split():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (9, 4, 3, 2), np.uint8)
    row = np.arange(9, dtype=np.int32)
    return Split(images, row % 3, row, ("cat", "dog", "frog"))


def assert_same(found, expected):
    for array, wanted in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(array, wanted)
        assert array.dtype == wanted.dtype
    assert found.class_names == expected.class_names


def test_reads_what_it_wrote(tmp_path, split):
    assert cache.read(tmp_path, "train") is None
    cache.write(tmp_path, "train", split)
    assert_same(cache.read(tmp_path, "train"), split)
    assert cache.read(tmp_path, "test") is None


def test_overwrites_and_leaves_nothing_else(tmp_path, split):
    cache.write(tmp_path, "train", split)
    cache.write(tmp_path, "train", split._replace(labels=split.labels[::-1]))
    assert cache.read(tmp_path, "train").labels[0] == split.labels[-1]
    names = sorted(path.name for path in (tmp_path / "decoded").iterdir())
    assert names == ["train.json", "train_images.npy", "train_labels.npy"]


@pytest.mark.parametrize("name", ["train.json", "train_images.npy", "train_labels.npy"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_damage_is_said(tmp_path, split, caplog, name, damage):
    cache.write(tmp_path, "train", split)
    path = tmp_path / "decoded" / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
        if name == "train.json":
            assert cache.read(tmp_path, "train") is None
            return
    else:
        content[-10] ^= 1
        damaged = {"flip": content, "cut": content[:-5], "empty": b""}
        path.write_bytes(damaged[damage])
    with caplog.at_level(logging.WARNING):
        assert cache.read(tmp_path, "train") is None
    assert "damaged and built again" in caplog.text


@pytest.mark.parametrize("position", range(0, 128, 3))
def test_a_flipped_header_byte_is_noticed(tmp_path, split, position):
    cache.write(tmp_path, "train", split)
    path = tmp_path / "decoded" / "train_images.npy"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    assert cache.read(tmp_path, "train") is None


def test_a_manifest_of_another_kind(tmp_path, split):
    cache.write(tmp_path, "train", split)
    (tmp_path / "decoded" / "train.json").write_text(json.dumps(["what?"]))
    assert cache.read(tmp_path, "train") is None


def test_unwritable_is_said(tmp_path, split, caplog):
    (tmp_path / "decoded").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        cache.write(tmp_path, "train", split)
    assert "cannot keep decoded arrays" in caplog.text
