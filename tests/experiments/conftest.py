"""A data set of a few small images that the launchers train on in moments."""

import pathlib

import numpy as np
import pytest


def write_images(path: pathlib.Path, classes: int) -> pathlib.Path:
    """Writes 60 images to train on and 20 to test on, brighter in higher classes."""
    generator = np.random.default_rng(0)
    labels = np.arange(80) % classes
    noise = generator.integers(0, 150, (80, 4, 4, 3))
    images = (noise + labels[:, None, None, None] * 100 // classes).astype(np.uint8)
    np.savez(
        path,
        images=images[:60],
        labels=labels[:60],
        test_images=images[60:],
        test_labels=labels[60:],
    )
    return path


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_images(tmp_path_factory.mktemp("data") / "two.npz", classes=2)


@pytest.fixture(scope="session")
def three_classes(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_images(tmp_path_factory.mktemp("data") / "three.npz", classes=3)
