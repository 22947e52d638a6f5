"""Every test runs strictly: no silent promotion, several CPU devices.

Two tiers: `make test` leaves out the tests marked `slow`, `make test-all` runs all.
"""

import ctypes
import gc
import os
import pathlib
import resource
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import jax
import pytest

from zeroone_jax import data

_ROOT = pathlib.Path(__file__).parents[1]

# Tests mostly compile, small programs that run for a moment. XLA compiles them in half
# the time when it optimises less, and when it emits loops without MLIR. Processes that
# tests start compile in the same way, for the flags are those of the environment; what
# is there already comes last, and holds.
_COMPILE_FAST = [
    "--xla_backend_optimization_level=1",
    "--xla_cpu_parallel_codegen_split_count=1",
]
# XLA ends the process where it does not know a flag; later versions lack this one.
if jax.__version_info__ < (0, 11):
    _COMPILE_FAST.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join([*_COMPILE_FAST, os.environ.get("XLA_FLAGS", "")])

# Tracing makes many objects that live long; to look through them often is in vain.
gc.set_threshold(100_000, 20, 20)

# What was compiled is kept beside the checkout, for all workers, for the processes that
# tests start and for the next run. `make clean` removes it.
_CACHE = {
    "jax_compilation_cache_dir": str(_ROOT / ".jax_cache"),
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
for _name, _value in _CACHE.items():
    jax.config.update(_name, _value)
    os.environ[_name.upper()] = str(_value)

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# A first example compiles, which takes longer than hypothesis would wait. `make test`
# asks for "quick".
hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)
hypothesis.settings.register_profile("full", deadline=None, max_examples=30)
hypothesis.settings.load_profile("full")

_REFERENCE = _ROOT.parent / "shared" / "reference"


# Linux lets a process map 65,530 pieces of memory; every compiled function takes some,
# and beyond the limit XLA aborts.
_MAPS = pathlib.Path("/proc/self/maps")
_MANY_MAPS = 20_000
_MUCH_MEMORY = 1_200_000_000


def _resident() -> int:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.fixture(autouse=True, scope="module")
def few_compiled_functions() -> Iterator[None]:
    """Forgets what was compiled once there is much of it."""
    yield
    if not _MAPS.exists():
        return
    maps = _MAPS.read_bytes().count(b"\n")
    if maps > _MANY_MAPS or _resident() > _MUCH_MEMORY:
        jax.clear_caches()
        gc.collect()
        # Without it the C library keeps what was freed.
        ctypes.CDLL(None).malloc_trim(0)


_NEEDS_IMAGES = pytest.mark.slow("needs the real images")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests of the real images, and puts files with slow tests first.

    A worker takes whole files: a long one begun last would keep the others waiting.
    """
    for item in items:
        if "cifar10_0v1" in getattr(item, "fixturenames", ()):
            item.add_marker(_NEEDS_IMAGES)
        for mark in item.iter_markers("slow"):
            if len(mark.args) != 1:
                raise pytest.UsageError(f'{item.nodeid}: say why: slow("...")')
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


# What a test without the mark must not do. To ask a program of the system, as for fonts
# or for a revision, is quick; so is a server of the test's own.
_EVENTS = ("subprocess.Popen", "os.fork", "os.posix_spawn", "socket.connect")
_ALLOWED = ("fc-list", "git", "lscpu", "uname", "127.0.0.1")
_outside: list[str] = []


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS:
        what = arguments[1][0] if event == "socket.connect" else arguments[0]
        if pathlib.PurePath(str(what)).name not in _ALLOWED:
            _outside.append(f"{event} {what}")


sys.addaudithook(_listen)


@pytest.fixture(autouse=True)
def quick_tests_stay_inside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that starts a process or connects, and is not marked `slow`."""
    yield
    happened, _outside[:] = _outside[:], []
    if not request.node.get_closest_marker("slow"):
        assert not happened, f"mark it slow, and say why: {happened}"


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
