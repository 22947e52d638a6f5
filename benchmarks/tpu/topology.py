"""Chips that are not there, and what is compiled for them."""

import contextlib
import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import filelock
import jax
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec, Sharding

BYTES_A_CHIP = 16 * 10**9
"""What a v5e chip holds."""

_LAYOUTS = {4: "2x2", 16: "4x4"}
_LOCK = pathlib.Path(tempfile.gettempdir()) / "zeroone_jax-libtpu.lock"


class Compiled(NamedTuple):
    """What compiling gave.

    Attributes:
        program: the compiled program; None where it does not fit a chip.
        refusal: what the compiler says where it does not fit; otherwise empty.
        seconds: how long it took.
        processor_seconds: of all threads together.
    """

    program: Any
    refusal: str
    seconds: float
    processor_seconds: float


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Waits until no other process of this machine compiles by libtpu."""
    with filelock.FileLock(_LOCK):
        yield


def chips(count: int) -> list[Any]:
    """Devices of a v5e slice, to compile for.

    Args:
        count: 4 or 16 chips.

    Raises:
        ImportError: libtpu is not installed.
    """
    import libtpu  # noqa: F401, JAX's own message does not name it

    slice_of = topologies.get_topology_desc(f"v5e:{_LAYOUTS[count]}", platform="tpu")
    return list(slice_of.devices)


def whole(tree: Any, mesh: jax.sharding.Mesh) -> Any:
    """Shapes and types of arrays that lie on every device, for want of arrays."""
    return _laid(tree, NamedSharding(mesh, PartitionSpec()))


def rows(tree: Any, mesh: jax.sharding.Mesh) -> Any:
    """Shapes and types of arrays [n, ...] that are spread over the devices."""
    return _laid(tree, NamedSharding(mesh, PartitionSpec(mesh.axis_names)))


def _laid(tree: Any, sharding: Sharding) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        tree,
    )


def compiled(lowered: jax.stages.Lowered) -> Compiled:
    """Compiles a program, or finds that it does not fit.

    Raises:
        jax.errors.JaxRuntimeError: it cannot be compiled for another reason.
    """
    began, processor = time.perf_counter(), time.process_time()
    program, refusal = None, ""
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        refusal = str(error)
    return Compiled(
        program,
        refusal,
        time.perf_counter() - began,
        time.process_time() - processor,
    )
