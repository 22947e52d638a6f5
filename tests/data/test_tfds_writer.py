import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.data import small_sets
from zeroone_jax import data
from zeroone_jax.data.catalog import CATALOG


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_tfds_reads_what_we_wrote(data_dir, name):
    directory = data.prepare(name, data_dir)
    for split, (images, labels) in small_sets.arrays(CATALOG[name]).items():
        source = tfds.data_source(name, split=split, data_dir=data_dir)
        assert len(source) == len(images)
        found = {
            example["image"].tobytes(): int(example["label"]) for example in source
        }
        wanted = zip(images, labels, strict=True)
        assert found == {image.tobytes(): int(label) for image, label in wanted}
    info = tfds.builder_from_directory(directory).info
    assert tuple(info.features["label"].names) == CATALOG[name].class_names
    module = json.loads((directory / "dataset_info.json").read_text())["moduleName"]
    assert module == tfds.builder_cls(name).__module__


def test_cifar10_has_the_ids_of_tfds(data_dir):
    data.prepare("cifar10", data_dir)
    images, _ = small_sets.arrays(CATALOG["cifar10"])["test"]
    source = tfds.data_source("cifar10", split="test", data_dir=data_dir)
    by_id = {example["id"].decode(): example["image"] for example in source}
    assert sorted(by_id) == [f"test_{index:05d}" for index in range(20)]
    np.testing.assert_array_equal(by_id["test_00007"], images[7])


def test_standard_output_stays_the_callers(data_dir, capfd):
    data.prepare("mnist", data_dir)
    assert capfd.readouterr() == ("", "")
