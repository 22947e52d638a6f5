import numpy as np
import pytest

from tests.data import small_sets
from zeroone_jax import data
from zeroone_jax.data import raw
from zeroone_jax.data.catalog import CATALOG


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_parse_inverts_pack(name):
    dataset = small_sets.small(name)
    files = small_sets.raw_files(dataset)
    for split, (images, labels) in small_sets.arrays(dataset).items():
        found_images, found_labels = raw.parse(dataset, split, files)
        np.testing.assert_array_equal(found_images, images)
        np.testing.assert_array_equal(found_labels, labels)
        assert (found_images.dtype, found_labels.dtype) == (np.uint8, np.int32)


def test_cifar_rows_are_label_then_colour_planes():
    dataset = CATALOG["cifar10"]
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[0, 1, 2] = (10, 20, 30)
    content = raw.pack(dataset, "test", image, np.array([7]))["test_batch.bin"]
    assert (len(content), content[0]) == (3073, 7)
    pixel = 1 + 1 * 32 + 2
    assert [content[pixel + plane * 1024] for plane in range(3)] == [10, 20, 30]


def test_idx_headers():
    images = np.zeros((2, 28, 28, 1), np.uint8)
    files = raw.pack(CATALOG["mnist"], "test", images, np.array([3, 4]))
    image_file = files["t10k-images-idx3-ubyte"]
    assert image_file[:16].hex() == "00000803000000020000001c0000001c"
    assert files["t10k-labels-idx1-ubyte"].hex() == "00000801000000020304"


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_one_flipped_byte_is_caught(name):
    dataset = small_sets.small(name)
    files = small_sets.raw_files(dataset)
    raw.check(dataset, "test", files)
    for file in dataset.splits["test"]:
        damaged = bytearray(files[file])
        damaged[len(damaged) // 2] ^= 1
        with pytest.raises(data.DamagedError, match=file):
            raw.check(dataset, "test", {**files, file: bytes(damaged)})


def test_a_missing_file_is_named():
    dataset = small_sets.small("mnist")
    files = small_sets.raw_files(dataset)
    del files["t10k-labels-idx1-ubyte"]
    with pytest.raises(data.DamagedError, match=r"labels-idx1-ubyte .* missing"):
        raw.check(dataset, "test", files)
