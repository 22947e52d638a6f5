"""The loops of an attack: over devices, over chunks of images, over steps."""

import functools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from zeroone_jax import devices as device_mesh
from zeroone_jax import loops
from zeroone_jax.attacks.paid import only
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


def beside(tree: Any, x: Array) -> Any:
    """Lays arrays that are bound to other devices than images where the images are."""
    if isinstance(x, jax.core.Tracer) or not x.committed:
        return tree
    axis = device_axis(x)

    def move(leaf: Any) -> Any:
        bound = isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
        if not bound or not leaf.committed:
            return leaf
        if leaf.sharding.device_set == x.sharding.device_set:
            return leaf
        if axis is None:
            return jax.device_put(leaf, x.sharding)
        return device_mesh.everywhere(leaf, axis[0])

    return jax.tree.map(move, tree)


def spread(
    attack: "Attack",
    devices: Sequence[jax.Device],
    key: Key,
    fn: Any,
    x: Array,
    y: Array,
    start: Array | None,
) -> "tuple[AttackResult, Array]":
    """Attacks images on several devices, filled up so that each has as many."""
    mesh = device_mesh.mesh("images", devices)
    key, fn = device_mesh.everywhere((key, fn), mesh)
    images = device_mesh.spread((x, y, start), mesh)
    real = device_mesh.spread(jnp.arange(len(images[0])) < len(x), mesh)
    found = on_devices(attack, (mesh, "images"), key, fn, *images, real)
    whole = device_mesh.everywhere(found, mesh)
    return jax.tree.map(operator.itemgetter(slice(len(x))), whole)


@functools.partial(jax.jit, static_argnums=(0, 1))
def on_devices(
    attack: "Attack",
    axis: tuple[jax.sharding.Mesh, Any],
    key: Key,
    fn: Any,
    x: Array,
    y: Array,
    start: Array | None,
    real: Array | None = None,
) -> "tuple[AttackResult, Array]":
    """Attacks images that are spread over devices, on each its own."""
    mesh, name = axis
    images = PartitionSpec(name)
    return jax.shard_map(
        functools.partial(in_chunks, attack),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(), images, images, images, images),
        out_specs=images,
        check_vma=False,
    )(key, fn, x, y, start, real)


@functools.partial(jax.jit, static_argnums=0)
def in_chunks(
    attack: "Attack",
    key: Key,
    fn: Any,
    x: Array,
    y: Array,
    start: Array | None,
    real: Array | None = None,
) -> "tuple[AttackResult, Array]":
    """Attacks all images, a chunk at a time, those that need it first.

    Images that are not `real`, bool [n], only fill up; what comes of them is no result.
    """
    count = len(x)
    real = jnp.ones(count, bool) if real is None else real
    y = y.astype(jnp.int32)
    chunks = -(-count // attack.chunk)
    # As even as can be, so that few places in the last one stay empty.
    chunk = -(-count // chunks)

    def divide(array: Array) -> Array:
        padded = device_mesh.filled(array, chunk * chunks)
        return padded.reshape(chunks, chunk, *array.shape[1:])

    def together(array: Array) -> Array:
        return array.reshape(-1, *array.shape[2:])[:count]

    def look(images: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        points, goal, asked = images
        return attack.look(only(fn, asked), points, goal)

    within = (jnp.arange(chunk * chunks) < count).reshape(chunks, chunk)
    looked_at = (divide(x), divide(y), divide(real) & within)
    labels, done = map(together, jax.lax.map(look, looked_at))
    to_do = ~done & (labels >= 0) & real
    # Images that are broken already stand together at the end, where whole chunks of
    # them finish at once.
    order = jnp.argsort(~to_do, stable=True)
    back = jnp.argsort(order)

    def one_chunk(
        images: tuple[Array, Array, Array, Array, Array | None],
    ) -> "tuple[AttackResult, Array]":
        return _attack_chunk(attack, key, fn, *images)

    arguments = jax.tree.map(lambda a: divide(a[order]), (x, y, labels, to_do, start))
    x_in, y_in, labels_in, to_do_in, start_in = arguments
    chunked = (x_in, y_in, labels_in, to_do_in & within, start_in)
    results = jax.lax.map(one_chunk, chunked)
    return jax.tree.map(lambda a: together(a)[back], results)


def _attack_chunk(
    attack: "Attack",
    key: Key,
    fn: Any,
    x: Array,
    y: Array,
    labels: Array,
    to_do: Array,
    start: Array | None,
) -> "tuple[AttackResult, Array]":
    """Runs the attack's steps."""
    state = loops.cond(
        jnp.any(to_do),
        lambda: attack.init(key, only(fn, to_do), x, y, start),
        lambda: jax.tree.map(
            lambda a: jnp.zeros(a.shape, a.dtype),
            jax.eval_shape(lambda: attack.init(key, fn, x, y, start)),
        ),
    )
    state = state._replace(
        x=x, y=y, active=state.active & to_do, found=state.found & to_do
    )
    state = loops.while_loop(
        lambda state: jnp.any(state.active),
        lambda state: attack.step(key, fn, state)[0],
        state,
    )
    state = attack.finish(key, fn, state)
    return attack.conclude(fn, state, labels, to_do)
