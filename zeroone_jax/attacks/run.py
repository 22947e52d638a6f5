"""The loops of an attack: over devices, over chunks of images, over steps."""

import functools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from zeroone_jax import devices as device_mesh
from zeroone_jax.types import Array, Key

if TYPE_CHECKING:
    from zeroone_jax.attacks.attack import Attack, AttackResult


def device_axis(x: Array) -> tuple[jax.sharding.Mesh, Any] | None:
    """The mesh and axis over which images are spread, if they are."""
    if isinstance(x, jax.core.Tracer) or not isinstance(x.sharding, NamedSharding):
        return None
    spec = x.sharding.spec
    if not spec or spec[0] is None or len(x.sharding.device_set) == 1:
        return None
    return cast(jax.sharding.Mesh, x.sharding.mesh), spec[0]


def spread(
    attack: "Attack",
    devices: Sequence[jax.Device],
    key: Key,
    fn: jax.tree_util.Partial,
    x: Array,
    y: Array,
    start: Array | None,
) -> "AttackResult":
    """Attacks images on several devices, filled up so that each has as many."""
    mesh = device_mesh.mesh("images", devices)
    key, fn = device_mesh.everywhere((key, fn), mesh)
    images = device_mesh.spread((x, y, start), mesh)
    found = on_devices(attack, (mesh, "images"), key, fn, *images)
    whole = device_mesh.everywhere(found, mesh)
    return jax.tree.map(operator.itemgetter(slice(len(x))), whole)


@functools.partial(jax.jit, static_argnums=(0, 1))
def on_devices(
    attack: "Attack",
    axis: tuple[jax.sharding.Mesh, Any],
    key: Key,
    fn: jax.tree_util.Partial,
    x: Array,
    y: Array,
    start: Array | None,
) -> "AttackResult":
    """Attacks images that are spread over devices, on each its own."""
    mesh, name = axis
    images = PartitionSpec(name)
    return jax.shard_map(
        functools.partial(in_chunks, attack),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(), images, images, images),
        out_specs=images,
        check_vma=False,
    )(key, fn, x, y, start)


@functools.partial(jax.jit, static_argnums=0)
def in_chunks(
    attack: "Attack",
    key: Key,
    fn: jax.tree_util.Partial,
    x: Array,
    y: Array,
    start: Array | None,
) -> "AttackResult":
    """Attacks all images, a chunk at a time, those that need it first."""
    count = len(x)
    y = y.astype(jnp.int32)
    chunks = -(-count // attack.chunk)
    # As even as can be, so that few places in the last one stay empty.
    chunk = -(-count // chunks)

    def divide(array: Array) -> Array:
        padded = device_mesh.filled(array, chunk * chunks)
        return padded.reshape(chunks, chunk, *array.shape[1:])

    def together(array: Array) -> Array:
        return array.reshape(-1, *array.shape[2:])[:count]

    done = jax.lax.map(lambda images: attack.done(fn, *images), (divide(x), divide(y)))
    to_do = ~together(done)
    # Images that are broken already stand together at the end, where whole chunks of
    # them finish at once.
    order = jnp.argsort(~to_do, stable=True)
    back = jnp.argsort(order)

    def one_chunk(
        images: tuple[Array, Array, Array, Array | None],
    ) -> "AttackResult":
        return _attack_chunk(attack, key, fn, *images)

    real = jnp.arange(chunk * chunks) < count
    arguments = jax.tree.map(lambda a: divide(a[order]), (x, y, to_do, start))
    padding = real.reshape(chunks, chunk)
    x_in, y_in, to_do_in, start_in = arguments
    results = jax.lax.map(one_chunk, (x_in, y_in, to_do_in & padding, start_in))
    return jax.tree.map(lambda a: together(a)[back], results)


def _attack_chunk(
    attack: "Attack",
    key: Key,
    fn: jax.tree_util.Partial,
    x: Array,
    y: Array,
    to_do: Array,
    start: Array | None,
) -> "AttackResult":
    """Runs the attack's steps."""
    state = jax.lax.cond(
        jnp.any(to_do),
        lambda: attack.init(key, fn, x, y, start),
        lambda: jax.tree.map(
            lambda a: jnp.zeros(a.shape, a.dtype),
            jax.eval_shape(lambda: attack.init(key, fn, x, y, start)),
        ),
    )
    state = state._replace(x=x, y=y, active=state.active & to_do)
    state = jax.lax.while_loop(
        lambda state: jnp.any(state.active),
        lambda state: attack.step(key, fn, state)[0],
        state,
    )
    state = attack.finish(key, fn, state)
    return attack.conclude(fn, state, to_do)
