"""Every test runs strictly: no silent promotion, several CPU devices."""

import pathlib

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

_REFERENCE = pathlib.Path(__file__).parents[2] / "shared" / "reference"


@pytest.fixture(scope="session")
def reference() -> pathlib.Path:
    """The folder of the authors' networks and outputs, which is not committed."""
    if not _REFERENCE.is_dir():
        pytest.skip(f"no reference data: {_REFERENCE} is not a folder")
    return _REFERENCE
