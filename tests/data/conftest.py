"""A small CIFAR-10 and MNIST in place of the real ones, without network."""

import pathlib

import pytest

from tests.data import small_sets
from zeroone_jax.data.catalog import CATALOG, Dataset


@pytest.fixture
def small_cifar10(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    dataset = small_sets.small("cifar10")
    monkeypatch.setitem(CATALOG, "cifar10", dataset)
    return dataset


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    dataset = small_sets.small("mnist")
    monkeypatch.setitem(CATALOG, "mnist", dataset)
    return dataset


@pytest.fixture
def data_dir(tmp_path: pathlib.Path, small_cifar10, small_mnist) -> pathlib.Path:
    """A TFDS folder with nothing prepared and the official archives in place."""
    manual = tmp_path / "downloads" / "manual"
    small_sets.place_archives(small_cifar10, manual)
    small_sets.place_archives(small_mnist, manual)
    return tmp_path
