"""What `import zeroone_jax` offers."""

import subprocess
import sys

import pytest

import zeroone_jax


def test_packages_and_version():
    assert zeroone_jax.__version__.count(".") == 2
    for name in zeroone_jax.__all__:
        assert getattr(zeroone_jax, name)
        assert name in dir(zeroone_jax)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = zeroone_jax.nothing


@pytest.mark.slow("starts a process")
def test_nothing_is_imported_before_it_is_used():
    program = """
import sys, zeroone_jax
assert not any(name.startswith("zeroone_jax.") for name in sys.modules)
zeroone_jax.losses.margin
assert "zeroone_jax.losses" in sys.modules and "zeroone_jax.attacks" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
