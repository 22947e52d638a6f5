"""The one driver of attacks: over devices, over chunks of images, over steps.

Whatever is attacked, recorded or drawn goes through `over`. Places that images do not
fill, in a chunk, on a device or in the room asked for, hold copies of the first image,
and nothing is done with them.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from zeroone_jax import devices as device_mesh
from zeroone_jax import loops
from zeroone_jax.attacks.paid import only
from zeroone_jax.attacks.state import Course, State
from zeroone_jax.types import Array, Key


class Observer(Protocol):
    """What watches an attack. A pytree, so that its arrays are no part of the program.

    What it gathers is a pytree of arrays [n, ...], of each image alone.
    """

    def begin(self, attack: Any, state: State) -> Any:
        """What is known once the attack has begun."""

    def observe(self, attack: Any, seen: Any, state: State, info: Any) -> Any:
        """What is known after a step, or after the end, where `info` is None."""


class Batch(NamedTuple):
    """Images to attack, arrays [m, ...], and the attack with what is one an image.

    Attributes:
        attack: as `Attack.settled` made it.
        x: float [m, ...].
        y: i32 [m].
        start: float [m, ...] or None.
        real: bool [m], which of them are more than filling.
    """

    attack: Any
    x: Array
    y: Array
    start: Array | None
    real: Array

    def map(self, function: Callable[[Array], Array]) -> "Batch":
        """Applies a function to all that is one an image."""
        attack = of_images(self.attack, function)
        rest = jax.tree.map(function, self[1:])
        return Batch(attack, *rest)


def of_images(attack: Any, function: Callable[[Array], Array]) -> Any:
    """Applies a function to the numbers of an attack that are one an image."""
    return jax.tree.map(lambda leaf: function(leaf) if jnp.ndim(leaf) else leaf, attack)


def of_some(number: Any, function: Callable[[Array], Array]) -> Any:
    """Applies a function to a number as a user gave it, where it is one an image."""
    shape = jnp.shape(number)
    is_shared = len(shape) != 1 and shape[:1] in ((), (1,))
    return number if is_shared else function(jnp.asarray(number))


def over(
    attack: Any,
    key: Key,
    fn: Any,
    x: Array,
    y: Array,
    start: Array | None,
    observer: Observer | None = None,
    *,
    devices: Sequence[jax.Device] | None = None,
    room: int | None = None,
    all_images: bool = False,
) -> Course:
    """Attacks images; arguments as for `Attack.watch`, checked, the model a pytree.

    Images that are spread over devices already are attacked where they lie.
    """
    count = len(x)
    batch = Batch(attack, x, y.astype(jnp.int32), start, jnp.ones(count, bool))
    if devices is not None:
        mesh = device_mesh.mesh("images", devices)
        places = -(-(room or count) // mesh.size) * mesh.size
        laid = _laid_over(_filled(batch, places), mesh)
        key, fn, observer = device_mesh.everywhere((key, fn, observer), mesh)
        found = on_devices((mesh, "images"), key, fn, laid, observer, all_images)
        found = device_mesh.everywhere(found, mesh)
    else:
        axis = _device_axis(x)
        fn, observer, batch = beside((fn, observer, batch), x)
        if axis is None:
            batch = _filled(batch, room or count)
            found = _in_chunks(key, fn, batch, observer, all_images)
        else:
            found = on_devices(axis, key, fn, batch, observer, all_images)
    if len(found.unlabelled) == count:
        return found
    return jax.tree.map(operator.itemgetter(slice(count)), found)


def beside(tree: Any, x: Array) -> Any:
    """Lays arrays that are bound to other devices than images where the images are."""
    if isinstance(x, jax.core.Tracer) or not x.committed:
        return tree
    axis = _device_axis(x)

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


def padded(count: int) -> int:
    """The room for so many images that are left: one of few, at most 3/2 of them.

    Every size is compiled for. Of 2^k and 3 2^k, 8 or more, it is the next.

    Example:
        >>> [padded(count) for count in (1, 9, 13, 200, 900)]
        [8, 12, 16, 256, 1024]
    """
    power = max(8, 1 << (count - 1).bit_length())
    return 3 * power // 4 if power > 8 and count <= 3 * power // 4 else power


def _filled(batch: Batch, multiple: int) -> Batch:
    """Fills a batch up to a multiple of so many places."""
    count = len(batch.x)
    if count % multiple == 0:
        return batch
    filled = batch.map(lambda array: device_mesh.filled(array, multiple))
    is_real = jnp.arange(len(filled.x)) < count
    return filled._replace(real=filled.real & is_real)


def _laid_over(batch: Batch, mesh: jax.sharding.Mesh) -> Batch:
    """Lays what is one an image over devices, and the other numbers everywhere."""
    attack = jax.tree.map(
        lambda leaf: (
            device_mesh.spread(leaf, mesh)
            if jnp.ndim(leaf)
            else device_mesh.everywhere(leaf, mesh)
        ),
        batch.attack,
    )
    return Batch(attack, *device_mesh.spread(tuple(batch[1:]), mesh))


@functools.partial(jax.jit, static_argnames=("axis", "all_images"))
def on_devices(
    axis: tuple[jax.sharding.Mesh, Any],
    key: Key,
    fn: Any,
    batch: Batch,
    observer: Observer | None,
    all_images: bool,
) -> Course:
    """Attacks images that are spread over devices, on each its own."""
    mesh, name = axis
    whole, images = PartitionSpec(), PartitionSpec(name)
    laid: Any = jax.tree.map(lambda leaf: images if leaf.ndim else whole, batch)
    return jax.shard_map(
        functools.partial(_in_chunks, all_images=all_images),
        mesh=mesh,
        in_specs=(whole, whole, laid, whole),
        out_specs=images,
        check_vma=False,
    )(key, fn, batch, observer)


@functools.partial(jax.jit, static_argnames="all_images")
def _in_chunks(
    key: Key, fn: Any, batch: Batch, observer: Observer | None, all_images: bool
) -> Course:
    """Attacks all images, a chunk at a time, those that need it first."""

    def look(part: Batch) -> tuple[Array, Array]:
        return part.attack.look(only(fn, part.real), part.x, part.y)

    attacked = functools.partial(_attack_chunk, key, fn, observer)
    alone = len(batch.x) <= batch.attack.chunk
    labels, done = look(batch) if alone else _by_chunks(look, batch)
    to_do = batch.real & (all_images | (~done & (labels >= 0)))
    if alone:
        # Most calls are of few images, and wait longest for the compiler: it is spared
        # a loop and two sorts.
        return attacked(batch, labels, to_do)
    # Images that are broken already stand together at the end, where whole chunks of
    # them finish at once.
    order = jnp.argsort(~to_do, stable=True)
    ordered = batch.map(lambda array: array[order])
    found = _by_chunks(attacked, ordered, labels[order], to_do[order])
    back = jnp.argsort(order)
    return jax.tree.map(lambda array: array[back], found)


def _by_chunks(function: Callable[..., Any], batch: Batch, *others: Array) -> Any:
    """Maps a function of images and of other arrays [m, ...] over equal chunks."""
    count = len(batch.x)
    chunks = -(-count // batch.attack.chunk)
    # As even as can be, so that few places in the last one stay empty.
    chunk = -(-count // chunks)

    def divide(array: Array) -> Array:
        if not array.ndim:
            return jnp.broadcast_to(array, (chunks,))
        return array.reshape(chunks, chunk, *array.shape[1:])

    filled = (_filled(batch, chunk), *device_mesh.filled(others, chunk))
    results = jax.lax.map(lambda parts: function(*parts), jax.tree.map(divide, filled))
    return jax.tree.map(
        lambda array: array.reshape(-1, *array.shape[2:])[:count], results
    )


def _attack_chunk(
    key: Key,
    fn: Any,
    observer: Observer | None,
    batch: Batch,
    labels: Array,
    to_do: Array,
) -> Course:
    """Runs the attack's steps."""
    attack, x, y, start, real = batch
    to_do &= real
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
    seen = None if observer is None else observer.begin(attack, state)

    def step(carry: tuple[State, Any]) -> tuple[State, Any]:
        state, seen = carry
        state, info = attack.step(key, fn, state)
        if observer is not None:
            seen = observer.observe(attack, seen, state, info)
        return state, seen

    state, seen = loops.while_loop(
        lambda carry: jnp.any(carry[0].active), step, (state, seen)
    )
    state = attack.finish(key, fn, state)
    if observer is not None:
        seen = observer.observe(attack, seen, state, None)
    return attack.conclude(fn, state, labels, to_do)._replace(seen=seen)


def _device_axis(x: Array) -> tuple[jax.sharding.Mesh, Any] | None:
    """The mesh and axis over which images are spread, if they are."""
    if isinstance(x, jax.core.Tracer) or not isinstance(x.sharding, NamedSharding):
        return None
    spec = x.sharding.spec
    if not spec or spec[0] is None or len(x.sharding.device_set) == 1:
        return None
    return cast(jax.sharding.Mesh, x.sharding.mesh), spec[0]
