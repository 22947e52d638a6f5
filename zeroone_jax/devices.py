"""Several devices, of one host or of many: a mesh of one axis, and arrays on it.

Networks are split over the devices by votes, training batches and images to attack by
their rows. Every process of a run of many hosts calls the same functions with the same
values; what is laid everywhere can be read on each of them.

Example:
    >>> two = filled(jnp.arange(3), 2)
    >>> two
    Array([0, 1, 2, 0], dtype=int32)
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from zeroone_jax.types import Array


def mesh(axis: str, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Makes the mesh.

    Args:
        axis: what is split over it, as in "votes".
        devices: all of its devices; those of all hosts if None.
    """
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh(
        (len(devices),), (axis,), (AxisType.Auto,), devices=list(devices)
    )


def everywhere(tree: Any, mesh: Mesh) -> Any:
    """Lays arrays, of JAX or NumPy, and random keys whole on every device."""
    return jax.tree.map(lambda leaf: _put(leaf, mesh, PartitionSpec()), tree)


def spread(tree: Any, mesh: Mesh) -> Any:
    """Lays arrays [n, ...] over the devices by their rows, filled up to go evenly.

    Returns:
        Arrays [m, ...]; m is the next multiple of the number of devices, and what is
        behind the first n is to be left out.
    """
    rows = PartitionSpec(mesh.axis_names)
    return jax.tree.map(
        lambda leaf: _put(leaf, mesh, rows), filled(tree, mesh.devices.size)
    )


def own(tree: Any) -> Any:
    """Copies arrays that lie everywhere to the process's own first device."""
    return jax.tree.map(jnp.asarray, jax.device_get(tree))


def filled(tree: Any, multiple: int) -> Any:
    """Appends copies of the first row to arrays [n, ...], so that n is a multiple."""

    def fill(array: Array) -> Array:
        missing = -len(array) % multiple
        if not missing:
            return array
        copies = jnp.broadcast_to(array[:1], (missing, *array.shape[1:]))
        return jnp.concatenate([array, copies])

    return jax.tree.map(fill, tree)


def _put(leaf: Any, mesh: Mesh, spec: PartitionSpec) -> Array:
    sharding = NamedSharding(mesh, spec)
    is_key = isinstance(leaf, Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    if not is_key:
        return jax.device_put(leaf, sharding)
    # JAX does not lay keys themselves on other hosts' devices.
    numbers = jax.device_put(jax.random.key_data(leaf), sharding)
    return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(leaf))
