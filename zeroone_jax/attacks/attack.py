"""What every attack is: settings that can be called, a state, and steps of its own.

An attack is a frozen dataclass of its settings. Called, it attacks a batch of images;
the whole of it is one jitted function. `init`, `step` and `finish` are public, for
whoever wants to record, draw or stop: a call is nothing but a loop over them.

Images are independent of one another. An image's random numbers come from the key and
from the image and label themselves (`image_keys`), so that it meets the same adversary
in any batch, at any place in it, with any chunk and on any number of devices, as long
as the model rounds alike there; see `decision.DecisionAttack` for what else happens.
"""

import abc
import dataclasses
import functools
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zeroone_jax import losses
from zeroone_jax.attacks import checks, grid, run
from zeroone_jax.attacks.paid import model_of, only
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
            the image itself was an adversary, infinite where there is no success. NaN
            where the model has no label for the image itself (`losses.labels`): such
            an image is not attacked.
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

    @classmethod
    def beginning(
        cls,
        x: Array,
        y: Array,
        memory: Any,
        adversary: Array | None = None,
        queries: int = 0,
    ) -> Self:
        """Makes the state in which nothing is found and every image is active.

        Args:
            x: float [n, ...], the images.
            y: i32 [n], their labels, or the targets.
            memory: the attack's own arrays.
            adversary: float [n, ...], the first points; the images, by default.
            queries: how often each image was asked about already.
        """
        none = jnp.zeros(x.shape[:1], bool)
        asked = jnp.full(x.shape[:1], queries, jnp.int32)
        first = x if adversary is None else adversary
        zero = jnp.asarray(0, jnp.int32)
        return cls(x, y, first, none, ~none, asked, zero, memory)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attack(abc.ABC):
    """The frame of an attack.

    Attributes:
        norm: how distance is measured: "linf", "l2" or "l1".
        targeted: whether y names the classes to reach rather than those to leave.
        chunk: how many images are in hand at a time; memory grows with it. Results do
            not depend on it.
        levels: the largest whole number of the grid that adversaries must lie on, 255
            for images that are saved with eight bits; None for any numbers. They are
            rounded to it, inside the ball, and asked about again there (`grid`); an
            image without success is returned as it is.
    """

    norm: Norm = "linf"
    targeted: bool = False
    chunk: int = 256
    levels: int | None = None

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
        if self.levels is not None:
            checks.counts(levels=self.levels)

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
        self, fn: LogitsFn | LabelFn, state: State, labels: Array, to_do: Array
    ) -> tuple[AttackResult, Array]:
        """Asks the model whether what came out is true.

        Args:
            fn: the model.
            state: as `finish` left it.
            labels: i32 [n], of the images themselves.
            to_do: bool [n], the images that were attacked.

        Returns:
            The `AttackResult`, and whether the model had no label for the image or for
            the point that came out, bool [n].
        """
        if self.levels is not None:
            state = grid.settle(self, fn, state, self.levels)
        adversary = where(to_do, state.adversary, state.x)
        outcome = self.labels(only(fn, to_do), adversary)
        found = state.found & self.broken(outcome, state.y)
        success = jnp.where(to_do, found, self.broken(labels, state.y))
        moved = size(adversary - state.x, self.norm)
        if self.limit is not None:
            limit = jnp.asarray(self.limit, moved.dtype)
            if self.levels is not None:
                near = grid.inside_ball(adversary - state.x, self.limit, self.norm)
                moved = jnp.where(near, jnp.minimum(moved, limit), moved)
            success &= moved <= limit
        if not self.in_ball:
            adversary = where(success, adversary, state.x)
        distance = jnp.where(success, moved, jnp.inf)
        distance = jnp.where(labels < 0, jnp.nan, distance)
        # One query found out whether there was anything to do, one checked the outcome.
        queries = jnp.where(to_do, state.queries + 2, 1)
        result = AttackResult(
            adversary, success, distance.astype(state.x.dtype), queries
        )
        return result, (labels < 0) | (outcome < 0)

    def __call__(
        self,
        key: Key,
        fn: LogitsFn | LabelFn,
        x: ArrayLike,
        y: ArrayLike,
        start: ArrayLike | None = None,
        devices: Sequence[jax.Device] | None = None,
    ) -> AttackResult:
        """Attacks images.

        Args:
            key: a random key.
            fn: the model as it is now: a `LogitsFn` or a `LabelFn`, whichever `needs`
                says. Any callable will do. It is traced at each call; another with the
                same operations and other arrays compiles nothing (`tracing.capture`).
            x: float32 or float64 [n, ...] in [0,1], n at least 1, of JAX or NumPy. Laid
                over several devices by a `NamedSharding` of the first axis, each device
                attacks its own images.
            y: int [n], the labels, or the targets of a targeted attack.
            start: float [n, ...] in [0,1], where to start from; what that means is the
                attack's own.
            devices: to spread the images over, however many there are; None leaves
                them where they lie.

        Returns:
            The `AttackResult`; of images that were spread, whole on every device.

        Raises:
            TypeError: the function does not return what the attack needs, or an
                argument has a wrong type.
            ValueError: an argument has a wrong shape or value, or the model has a label
                for none of the images.

        Warns:
            RuntimeWarning: the model has no label for some images.
        """
        result, unlabelled = self.attempt(key, fn, x, y, start, devices)
        if not isinstance(unlabelled, jax.core.Tracer):
            message = checks.unlabelled(unlabelled)
            if message:
                warnings.warn(message, RuntimeWarning, stacklevel=2)
        return result

    def attempt(
        self,
        key: Key,
        fn: LogitsFn | LabelFn,
        x: ArrayLike,
        y: ArrayLike,
        start: ArrayLike | None = None,
        devices: Sequence[jax.Device] | None = None,
    ) -> tuple[AttackResult, Array]:
        """Attacks images as a call does; hands on what that would warn of.

        Returns:
            The `AttackResult`, and where the model had no label, bool [n].
        """
        checks.key(key)
        x = checks.images("x", x)
        y = checks.labels(y, len(x), None)
        model = self.model(fn, x)
        name = type(self).__name__
        if self.needs == "logits":
            checks.labels(y, len(x), checks.logits_function(model, x, name))
        else:
            checks.label_function(model, x, name)
        if start is not None:
            start = checks.images("start", start, x.shape).astype(x.dtype)
            if self.starts_from_adversary and not isinstance(start, jax.core.Tracer):
                wrong = ~self.broken(self.labels(fn, start), y)
                checks.adversarial_start(wrong)
        if devices is not None:
            return run.spread(self, devices, key, model, x, y, start)
        axis = run.device_axis(x)
        model = run.beside(model, x)
        if axis is None:
            return run.in_chunks(self, key, model, x, y, start)
        return run.on_devices(self, axis, key, model, x, y, start)

    @property
    def frame_queries(self) -> int:
        """Queries that a call adds to the steps': of the image, outcome and grid."""
        return 2 + (0 if self.levels is None else len(grid.LENGTHS))

    @property
    def limit(self) -> float | None:
        """How far adversaries may lie, in the attack's norm; None for however far."""
        return getattr(self, "epsilon", None)

    def model(self, fn: LogitsFn | LabelFn, x: Array) -> Any:
        """Makes of a function what compiled code takes: a pytree that can be called.

        Args:
            fn: the function.
            x: float [n, ...], images.
        """
        return model_of(fn, x, sloped=self.needs == "logits")

    def labels(self, fn: LogitsFn | LabelFn, x: Array) -> Array:
        """Labels i32 [n] of images [n, ...]; below 0 where the model has none."""
        outputs = fn(x)
        if self.needs == "logits":
            return losses.labels(outputs)
        return outputs.astype(jnp.int32)

    def broken(self, labels: Array, y: Array) -> Array:
        """Whether labels are what the attack wants, bool [n]; no label never is."""
        return labels == y if self.targeted else (labels != y) & (labels >= 0)

    def look(self, fn: LogitsFn | LabelFn, x: Array, y: Array) -> tuple[Array, Array]:
        """Looks at images before the attack.

        Returns:
            Their labels i32 [n], and whether they need no attack, bool [n]: those that
            are adversaries already.
        """
        labels = self.labels(fn, x)
        return labels, self.broken(labels, y)


def as_label_fn(logits_fn: LogitsFn) -> LabelFn:
    """Makes a function of labels from one of logits.

    Args:
        logits_fn: images to float [n, k], or [n] or [n, 1] for two classes.

    Returns:
        Images to labels i32 [n]; -1 where the logits are not finite (`losses.labels`).
    """
    return functools.partial(_labels, logits_fn)


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
