import re

import pytest

from zeroone_jax.data import available
from zeroone_jax.data.catalog import CATALOG


@pytest.mark.parametrize("name", available())
def test_every_split_file_is_pinned(name):
    dataset = CATALOG[name]
    files = [file for split in dataset.splits.values() for file in split]
    assert sorted(files) == sorted(dataset.md5)
    assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in dataset.md5.values())
    assert len(dataset.class_names) == 10
    assert set(dataset.splits) == {"train", "test"}


@pytest.mark.parametrize("name", available())
def test_agrees_with_tfds(name):
    import tensorflow_datasets as tfds

    dataset = CATALOG[name]
    builder_class = tfds.builder_cls(name)
    assert str(builder_class.VERSION) == dataset.version
    # The addresses whose content TFDS has registered.
    assert set(dataset.addresses) == set(builder_class.url_infos)


def test_archives_are_the_last_part_of_addresses():
    assert CATALOG["cifar10"].archives == ("cifar-10-binary.tar.gz",)
    assert len(CATALOG["mnist"].archives) == 4
