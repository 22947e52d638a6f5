"""What `import zeroone_jax` offers, and what it takes."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import zeroone_jax
from tests import environments

ROOT = pathlib.Path(__file__).parents[1]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_packages_and_version():
    assert zeroone_jax.__version__.count(".") == 2
    for name in zeroone_jax.__all__:
        assert getattr(zeroone_jax, name)
        assert name in dir(zeroone_jax)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = zeroone_jax.nothing


def test_the_version_is_the_same_everywhere():
    (version,) = re.findall(r'^VERSION = "(.*)"$', read("setup.py"), re.MULTILINE)
    assert f"\nversion: {version}\n" in read("CITATION.cff")
    newest = re.findall(r"^## (\d\S*) - ", read("CHANGELOG.md"), re.MULTILINE)[0]
    assert newest == version


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
import sys
import zeroone_jax
from zeroone_jax import attacks, coordinate_descent, data, losses, models, runs
from zeroone_jax import training, verification
heavy = {"matplotlib", "orbax", "tensorflow_datasets", "torch"}
# SciPy loads its parts where they are first used.
heavy |= {"scipy.fft", "scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@pytest.mark.slow("starts a process")
def test_importing_loads_nothing_heavy():
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def test_imports_of_launchers_are_relative():
    """Where the wheel is installed, `experiments` is nothing, or another package."""
    absolute = re.compile(r"^\s*(?:from|import) experiments\b", re.MULTILINE)
    for path in (ROOT / "experiments").rglob("*.py"):
        assert not absolute.search(path.read_text(encoding="utf-8")), path


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
for name in models.PRETRAINED:
    model = models.pretrained(name)
    assert jnp.isfinite(model(jnp.zeros((1, *model.image_shape)))).all()
try:
    data.load("mnist", "test", data_dir=tempfile.mkdtemp())
except ImportError as error:
    assert "pip install 'zeroone_jax[data]'" in str(error)
else:
    raise AssertionError("it has what only the extra installs")
try:
    import zeroone_jax.experiments
except ImportError as error:
    assert "pip install 'zeroone_jax[data,plots]'" in str(error)
else:
    raise AssertionError("it has what only the extra installs")
"""

# Each in a copy of a process that has imported most of what they need.
HELP = """
import contextlib, io, os, pathlib, pkgutil, runpy, sys
import zeroone_jax.experiments as launchers
from zeroone_jax.experiments import reproduce, sweep
helped = 0
for path in sorted(pathlib.Path(launchers.__file__).parent.glob("*.py")):
    if 'if __name__ == "__main__"' not in path.read_text():
        continue
    helped += 1
    if (child := os.fork()) == 0:
        sys.argv, said = [str(path), "--help"], io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                name = f"zeroone_jax.experiments.{path.stem}"
                runpy.run_module(name, run_name="__main__", alter_sys=True)
        except SystemExit:
            os._exit(f"python -m {name}" not in said.getvalue())
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0, path
assert helped == 8, helped
assert "experiments" not in sys.modules
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> pathlib.Path:
    """An environment with the wheel, without the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    made = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", ROOT]
    quiet = ["--disable-pip-version-check", "--wheel-dir", folder]
    subprocess.run([*made, *quiet], check=True)
    (wheel,) = folder.glob("zeroone_jax-*.whl")
    environments.with_wheel(folder / "venv", wheel)
    return folder / "venv"


def run(installed: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Isolated: the repository may be on PYTHONPATH.
    command = [installed / "bin" / "python", "-I", *words]
    return subprocess.run(
        command, cwd=installed, capture_output=True, text=True, check=False
    )


@pytest.mark.slow("builds a wheel, starts processes")
def test_the_wheel_works_without_the_repository(installed):
    (wheel,) = installed.parent.glob("*.whl")
    program = USED.replace("VERSION", repr(wheel.name.split("-")[1]))
    done = run(installed, "-c", program)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow("starts processes")
def test_the_wheel_has_the_launchers(installed):
    (metadata,) = installed.glob("lib/*/site-packages/zeroone_jax-*.dist-info")
    declared = importlib.metadata.Distribution.at(metadata).requires
    environments.require(installed, declared, "plots")
    done = run(installed, "-c", HELP)
    assert done.returncode == 0, done.stderr

    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
    train = {"images": images, "labels": np.arange(40) % 2}
    test = {f"test_{name}": value for name, value in train.items()}
    np.savez(installed / "noise.npz", **train, **test)
    solver = {"votes": 1, "hidden": 2, "features": 4, "candidates": 2, "iterations": 9}
    done = run(
        installed,
        "-m",
        "zeroone_jax.experiments.train_zero_one",
        "--config.data.name=noise.npz",
        *(f"--config.solver.{name}={value}" for name, value in solver.items()),
    )
    assert done.returncode == 0, done.stderr
    assert (installed / "runs" / "cifar10_0v1-seed0" / "summary.json").exists()
