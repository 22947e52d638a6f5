"""Every test runs strictly: no silent promotion, several CPU devices."""

import os
import pathlib
from collections.abc import Iterator

import hypothesis
import jax
import pytest

from zeroone_jax import data

# Tests mostly compile: a fifth of their time is saved by optimising less.
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=1".strip()
)
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# A first example compiles, which takes longer than hypothesis would wait.
hypothesis.settings.register_profile("compiling", deadline=None)
hypothesis.settings.load_profile("compiling")

_REFERENCE = pathlib.Path(__file__).parents[2] / "shared" / "reference"


# Linux lets a process map 65,530 pieces of memory; every compiled function takes some,
# and beyond the limit XLA aborts.
_MAPS = pathlib.Path("/proc/self/maps")
_MANY_MAPS = 20_000


@pytest.fixture(autouse=True, scope="module")
def few_compiled_functions() -> Iterator[None]:
    """Forgets what was compiled once there is much of it."""
    yield
    if _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MANY_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="session")
def reference() -> pathlib.Path:
    """The folder of the authors' networks and outputs, which is not committed."""
    if not _REFERENCE.is_dir():
        pytest.skip(f"no reference data: {_REFERENCE} is not a folder")
    return _REFERENCE


@pytest.fixture(scope="session")
def cifar10_0v1() -> tuple[data.Split, data.Split]:
    """CIFAR-10's airplanes against automobiles: 10,000 to train, 2,000 to test."""
    try:
        train, test = (
            data.load("cifar10", split, classes=(0, 1)) for split in ("train", "test")
        )
    except data.NoSourceError as error:
        pytest.skip(str(error))
    return train, test
