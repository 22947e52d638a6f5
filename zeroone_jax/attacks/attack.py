"""What every attack is: settings that can be called, a state, and steps of its own.

An attack is a frozen dataclass of its settings. Called, it attacks a batch of images;
the whole of it is one jitted function. `init`, `step` and `finish` are public, for
whoever wants to record, draw or stop: a call is nothing but a loop over them.

Images are independent of one another. An image's random numbers come from the key and
from the image and label themselves (`image_keys`), so that it meets the same adversary
in any batch, at any place in it, with any chunk and on any number of devices.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from zeroone_jax import losses
from zeroone_jax.attacks import checks
from zeroone_jax.attacks.perturbation import Norm, each, size
from zeroone_jax.types import Array, Key, LabelFn, LogitsFn


class AttackResult(NamedTuple):
    """What an attack found.

    Attributes:
        adversary: float [n, ...] in [0,1], x's shape and type. Where `success` is
            False: the point that came nearest to success, inside the ball, for attacks
            in a ball; the image itself for attacks that look for the least distance.
        success: bool [n], whether the adversary's label, by the caller's function, is
            wrong (of a targeted attack: is the target).
        distance: float [n], the size of `adversary - x` in the attack's norm; 0 where
            the image itself was an adversary, infinite where there is no success.
        queries: i32 [n], how often the model was asked about the image; a forward pass
            counts one, together with its gradient if that was taken.
    """

    adversary: Array
    success: Array
    distance: Array
    queries: Array


class State(NamedTuple):
    """What the loop and every attack share. Attacks add to it in `memory`.

    Attributes:
        x: float [n, ...], the images.
        y: i32 [n], their labels, or the targets.
        adversary: float [n, ...], the best so far, as in `AttackResult`.
        found: bool [n], whether `adversary` is one.
        active: bool [n], whether the image is still searched for. `step` leaves the
            others as they are.
        queries: i32 [n], so far.
        iteration: i32 [], steps done.
        memory: a pytree of arrays of the attack's own; random keys are not kept in it
            but made anew by `image_keys` and `iteration`.
    """

    x: Array
    y: Array
    adversary: Array
    found: Array
    active: Array
    queries: Array
    iteration: Array
    memory: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attack(abc.ABC):
    """The frame of an attack.

    Attributes:
        norm: how distance is measured: "linf", "l2" or "l1".
        targeted: whether y names the classes to reach rather than those to leave.
        chunk: how many images are in hand at a time; memory grows with it. Results do
            not depend on it.
    """

    norm: Norm = "linf"
    targeted: bool = False
    chunk: int = 256

    needs: ClassVar[Literal["logits", "labels"]]
    """What the function given must return."""
    norms: ClassVar[tuple[Norm, ...]]
    """The norms the attack knows."""
    in_ball: ClassVar[bool]
    """Whether it searches a ball of radius `epsilon`, or for the least distance."""
    starts_from_adversary: ClassVar[bool] = False
    """Whether `start` must hold adversaries already."""

    def __post_init__(self) -> None:
        """Checks the settings; subclasses add theirs.

        Raises:
            ValueError: a setting is out of its range.
        """
        checks.norm(self.norm, self.norms)
        checks.counts(chunk=self.chunk)

    @abc.abstractmethod
    def init(
        self,
        key: Key,
        fn: LogitsFn | LabelFn,
        x: Array,
        y: Array,
        start: Array | None = None,
    ) -> State:
        """Starts: nothing is found yet, and every image is active unless hopeless."""

    @abc.abstractmethod
    def step(
        self, key: Key, fn: LogitsFn | LabelFn, state: State
    ) -> tuple[State, NamedTuple]:
        """Takes one step of every active image.

        Args:
            key: the same key at every step.
            fn: the model.
            state: the state so far.

        Returns:
            The state, with `iteration` one higher, and the attack's `Info`.
        """

    def finish(self, key: Key, fn: LogitsFn | LabelFn, state: State) -> State:
        """Does what remains once no image is active; nothing, for most attacks."""
        return state

    def conclude(
        self, fn: LogitsFn | LabelFn, state: State, to_do: Array
    ) -> AttackResult:
        """Asks the model whether what came out is true.

        Args:
            fn: the model.
            state: as `finish` left it.
            to_do: bool [n], the images that were not broken to begin with.

        Returns:
            The `AttackResult`.
        """
        adversary = where(to_do, state.adversary, state.x)
        broken = self.broken(self.labels(fn, adversary), state.y)
        success = (broken & state.found) | ~to_do
        if not self.in_ball:
            adversary = where(success, adversary, state.x)
        distance = jnp.where(success, size(adversary - state.x, self.norm), jnp.inf)
        # One query found out whether there was anything to do, one checked the outcome.
        queries = jnp.where(to_do, state.queries + 2, 1)
        return AttackResult(adversary, success, distance.astype(state.x.dtype), queries)

    def __call__(
        self,
        key: Key,
        fn: LogitsFn | LabelFn,
        x: ArrayLike,
        y: ArrayLike,
        start: ArrayLike | None = None,
    ) -> AttackResult:
        """Attacks images.

        Args:
            key: a random key.
            fn: the model: a `LogitsFn` or a `LabelFn`, whichever `needs` says. The
                attack is compiled once for each function; arrays that the function
                closes over become constants. A `jax.tree_util.Partial` with the
                parameters as arguments is compiled once for all their values.
            x: float [n, ...] in [0,1], n at least 1, of JAX or NumPy. Laid over several
                devices by a `NamedSharding` of the first axis, each device attacks
                its own images.
            y: int [n], the labels, or the targets of a targeted attack.
            start: float [n, ...] in [0,1], where to start from; what that means is the
                attack's own.

        Returns:
            The `AttackResult`.

        Raises:
            TypeError: the function does not return what the attack needs, or an
                argument has a wrong type.
            ValueError: an argument has a wrong shape or value.
        """
        checks.key(key)
        x = checks.images("x", x)
        name = type(self).__name__
        if self.needs == "logits":
            y = checks.labels(y, len(x), checks.logits_function(fn, x, name))
        else:
            checks.label_function(fn, x, name)
            y = checks.labels(y, len(x), None)
        if start is not None:
            start = checks.images("start", start, x.shape).astype(x.dtype)
            if self.starts_from_adversary and not isinstance(start, jax.core.Tracer):
                wrong = ~self.broken(self.labels(fn, start), y)
                checks.adversarial_start(wrong)
        model = fn if isinstance(fn, jax.tree_util.Partial) else _partial(fn)
        axis = _device_axis(x)
        if axis is None:
            return _run(self, key, model, x, y, start)
        return _run_on_devices(self, axis, key, model, x, y, start)

    def labels(self, fn: LogitsFn | LabelFn, x: Array) -> Array:
        """Labels i32 [n] of images [n, ...]."""
        outputs = fn(x)
        if self.needs == "logits":
            return losses.labels(outputs)
        return outputs.astype(jnp.int32)

    def broken(self, labels: Array, y: Array) -> Array:
        """Whether labels are what the attack wants, bool [n]."""
        return labels == y if self.targeted else labels != y


def as_label_fn(logits_fn: LogitsFn) -> LabelFn:
    """Makes a function of labels from one of logits.

    Args:
        logits_fn: images to float [n, k], or [n] or [n, 1] for two classes.

    Returns:
        Images to labels i32 [n].
    """
    return jax.tree_util.Partial(_labels, jax.tree_util.Partial(logits_fn))


def image_keys(key: Key, x: Array, y: Array) -> Array:
    """Gives every image a random key of its own.

    Args:
        key: a random key.
        x: float [n, ...].
        y: i32 [n].

    Returns:
        keys [n]: `key` with a fingerprint of the image's bits and of its label folded
        in. The same image with the same label has the same key, wherever it stands.
    """
    bits = jax.lax.bitcast_convert_type(
        x.astype(jnp.float32).reshape(len(x), -1), jnp.uint32
    )
    # Every pixel's place and bits are mixed (by MurmurHash3's last step) before they
    # are added: of black and white images most bits are 0. Sums in uint32 are the same
    # in any order.
    place = jnp.arange(bits.shape[1], dtype=jnp.uint32) * jnp.uint32(2654435761)
    mixed = bits ^ place[None, :]
    mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 13)) * jnp.uint32(0xC2B2AE35)
    total = jnp.sum(mixed ^ (mixed >> 16), axis=1, dtype=jnp.uint32)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, total)
    return jax.vmap(jax.random.fold_in)(keys, y)


def where(chosen: Array, new: Any, old: Any) -> Any:
    """Takes the new values of the images chosen, bool [n], and the old of the rest.

    Args:
        chosen: bool [n].
        new: a pytree of arrays [n, ...].
        old: a pytree of the same shapes.

    Returns:
        A pytree of the same shapes.
    """
    return jax.tree.map(lambda a, b: jnp.where(each(chosen, a), a, b), new, old)


def _labels(logits_fn: LogitsFn, x: Array) -> Array:
    return losses.labels(logits_fn(x))


def _partial(fn: Callable[[Array], Array]) -> jax.tree_util.Partial:
    """A function without arguments to trace: jit knows it by the function itself."""
    return jax.tree_util.Partial(fn)


def _device_axis(x: Array) -> tuple[jax.sharding.Mesh, Any] | None:
    """The mesh and axis over which images are spread, if they are."""
    if isinstance(x, jax.core.Tracer) or not isinstance(x.sharding, NamedSharding):
        return None
    spec = x.sharding.spec
    if not spec or spec[0] is None or len(x.sharding.device_set) == 1:
        return None
    return cast(jax.sharding.Mesh, x.sharding.mesh), spec[0]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _run_on_devices(
    attack: Attack,
    axis: tuple[jax.sharding.Mesh, Any],
    key: Key,
    fn: jax.tree_util.Partial,
    x: Array,
    y: Array,
    start: Array | None,
) -> AttackResult:
    mesh, name = axis
    images = PartitionSpec(name)
    return jax.shard_map(
        functools.partial(_run, attack),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(), images, images, images),
        out_specs=images,
        check_vma=False,
    )(key, fn, x, y, start)


@functools.partial(jax.jit, static_argnums=0)
def _run(
    attack: Attack,
    key: Key,
    fn: jax.tree_util.Partial,
    x: Array,
    y: Array,
    start: Array | None,
) -> AttackResult:
    """Attacks all images, a chunk at a time, those that need it first."""
    count = len(x)
    y = y.astype(jnp.int32)
    chunks = -(-count // attack.chunk)
    # As even as can be, so that few places in the last one stay empty.
    chunk = -(-count // chunks)

    def in_chunks(array: Array) -> Array:
        padded = jnp.concatenate(
            [array, jnp.repeat(array[:1], chunk * chunks - count, 0)]
        )
        return padded.reshape(chunks, chunk, *array.shape[1:])

    def together(array: Array) -> Array:
        return array.reshape(-1, *array.shape[2:])[:count]

    labels = together(jax.lax.map(functools.partial(attack.labels, fn), in_chunks(x)))
    to_do = ~attack.broken(labels, y)
    # Images that are broken already stand together at the end, where whole chunks of
    # them finish at once.
    order = jnp.argsort(~to_do, stable=True)
    back = jnp.argsort(order)

    def one_chunk(
        images: tuple[Array, Array, Array, Array | None],
    ) -> AttackResult:
        return _attack_chunk(attack, key, fn, *images)

    real = jnp.arange(chunk * chunks) < count
    arguments = jax.tree.map(lambda a: in_chunks(a[order]), (x, y, to_do, start))
    padding = real.reshape(chunks, chunk)
    x_in, y_in, to_do_in, start_in = arguments
    results = jax.lax.map(one_chunk, (x_in, y_in, to_do_in & padding, start_in))
    return jax.tree.map(lambda a: together(a)[back], results)


def _attack_chunk(
    attack: Attack,
    key: Key,
    fn: jax.tree_util.Partial,
    x: Array,
    y: Array,
    to_do: Array,
    start: Array | None,
) -> AttackResult:
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
