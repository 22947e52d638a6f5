"""A data set of a few small images that the launchers train on in moments."""

import pathlib
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import reproduce
from zeroone_jax import data
from zeroone_jax.models import zero_one


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


@pytest.fixture(scope="session")
def defined_flags() -> None:
    """Defines the flags of `experiments.reproduce`, once for all test modules."""
    reproduce.define_flags([])


@pytest.fixture(scope="session")
def networks(two_classes, tmp_path_factory) -> pathlib.Path:
    """An .npz of three votes, each a threshold of the images' brightness."""
    x, y = data.as_features(data.load(two_classes, "train"))
    middle = (x[y == 0].mean() + x[y == 1].mean()) / 2
    weights = np.ones((3, 48)) + np.random.default_rng(0).normal(0, 0.1, (3, 48))
    params = zero_one.linear(
        jnp.asarray(weights, jnp.float32),
        jnp.asarray(-middle * weights.sum(1), jnp.float32),
    )
    path = tmp_path_factory.mktemp("networks") / "networks.npz"
    np.savez(path, **{name: getattr(params, name) for name in ("w1", "b1", "w2", "b2")})
    return path


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Lets the processes that tests start share what they compile."""
    settings = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield
