import numpy as np
import pytest

from zeroone_jax import data

IMAGES = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4, 1)
LABELS = np.array([1, 0, 1])


def save(folder, **arrays):
    path = folder / "own.npz"
    np.savez(path, **arrays)
    return path


def test_train_and_test(tmp_path):
    path = save(
        tmp_path,
        images=IMAGES,
        labels=LABELS,
        test_images=IMAGES[:2],
        test_labels=np.array([2, 1]),
    )
    train = data.load(path, "train")
    np.testing.assert_array_equal(train.images, IMAGES)
    assert train.labels.dtype == np.int32
    assert train.labels.tolist() == [1, 0, 1]
    assert train.indices.tolist() == [0, 1, 2]
    # Named after the labels of both splits, so that they mean the same in each.
    assert train.class_names == ("0", "1", "2")
    test = data.load(str(path), "test", classes=(1, 2))
    assert test.labels.tolist() == [1, 0]
    assert test.class_names == ("1", "2")


def test_compressed_and_named(tmp_path):
    path = tmp_path / "own.npz"
    names = np.array(["cat", "dog"])
    np.savez_compressed(path, images=IMAGES, labels=LABELS, class_names=names)
    split = data.load(path, "train", classes=("dog", "cat"))
    assert split.class_names == ("dog", "cat")
    assert split.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("arrays", "split", "message"),
    [
        ({"images": IMAGES}, "train", "no array labels .* it has images"),
        ({"x": IMAGES}, "train", "no array images and no array labels"),
        ({"images": IMAGES, "labels": LABELS}, "test", "no array test_images"),
        ({"images": IMAGES, "labels": LABELS}, "validation", "it has train, test"),
        ({"images": IMAGES, "labels": LABELS / 2}, "train", "must be integers"),
        (
            {"images": IMAGES, "labels": ["cat", "dog", "cat"]},
            "train",
            "labels must be integers 0..k-1, not <U3: give the names .* as class_names",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "test_labels": ["cat"]},
            "train",
            "test_labels must be integers",
        ),
        (
            {"images": IMAGES, "labels": ["cat"] * 3, "class_names": ["cat"]},
            "train",
            "labels must be integers, not <U3",
        ),
        (
            # Each would have got a name: 2,000,000,001 of them.
            {"images": IMAGES, "labels": LABELS * 2_000_000_000},
            "train",
            "labels go up to 2000000000, but without class_names must be below 65536",
        ),
        ({"images": IMAGES / 255, "labels": LABELS}, "train", "must be uint8"),
        ({"images": IMAGES[..., 0], "labels": LABELS}, "train", r"\[3, 4, 4\]"),
        ({"images": IMAGES, "labels": LABELS[:2]}, "train", r"must be \[3\]"),
        ({"images": IMAGES, "labels": LABELS[None]}, "train", r"must be \[3\]"),
        ({"images": IMAGES, "labels": LABELS - 1}, "train", "not -1..0"),
        (
            {"images": IMAGES, "labels": LABELS, "class_names": ["cat"]},
            "train",
            "not 0..1",
        ),
    ],
)
def test_refuses(tmp_path, arrays, split, message):
    path = save(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message):
        data.load(path, split)


def test_damaged(tmp_path):
    path = save(tmp_path, images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"own\.npz is damaged"):
        data.load(path, "train")


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        data.load(tmp_path / "none.npz", "train")
