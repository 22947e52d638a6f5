"""What every attack is: settings that can be called, a state, and steps of its own.

An attack is a frozen dataclass of its settings, and a pytree whose leaves are its real
numbers (`settings.Settings`): another epsilon compiles nothing. Called, it attacks a
batch of images; the whole of it is one jitted function. `init`, `step` and `finish` are
public, for whoever wants to draw or stop: a call is nothing but a loop over them, and
`watch` is that loop with an observer.

The result for an image does not depend on the other images in its batch, on the chunk,
or on the number of devices: its random numbers come from the key and from the image and
label themselves (`image_keys`). Batches of another size may round otherwise; see
`decision.DecisionAttack` for what happens then.
"""

import abc
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zeroone_jax import checks, losses
from zeroone_jax.attacks import arguments, grid, rows, run
from zeroone_jax.attacks.paid import model_of, only
from zeroone_jax.attacks.perturbation import Norm, inside, largest_radius, size
from zeroone_jax.attacks.predict import predict
from zeroone_jax.attacks.settings import Settings
from zeroone_jax.attacks.state import AttackResult, Course, State, where
from zeroone_jax.models.classifier import Classifier
from zeroone_jax.types import Array, Key, LabelFn, LogitsFn, Number


class Attack(Settings, abc.ABC):
    """The frame of an attack.

    Attributes:
        norm: how distance is measured: "linf", "l2", "l1", "l0" (values that change)
            or "l0_pixels" (pixels of which any channel does).
        targeted: whether y names the classes to reach rather than those to leave.
        chunk: how many images are attacked at a time; memory grows with it. Results do
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

    needs: ClassVar[Literal["logits", "labels"]] = "logits"
    """What the function given must return."""
    norms: ClassVar[tuple[Norm, ...]]
    """The norms the attack knows."""
    in_ball: ClassVar[bool] = False
    """Whether it searches a ball of radius `epsilon`, or for the least distance."""
    starts_from_adversary: ClassVar[bool] = False
    """Whether `start` must hold adversaries already."""
    one_an_image: ClassVar[tuple[str, ...]] = ()
    """Numbers beside epsilon that may be one for each image."""
    any_layout: ClassVar[bool] = False
    """Whether nothing hangs on where in an image a value lies."""

    def __post_init__(self) -> None:
        """Checks the settings; subclasses add theirs.

        Raises:
            ValueError: a setting is out of its range.
        """
        checks.one_of("norm", self.norm, self.norms)
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
    ) -> Course:
        """Asks the model whether what came out is true.

        Args:
            fn: the model.
            state: as `finish` left it.
            labels: i32 [n], of the images themselves.
            to_do: bool [n], the images that were attacked.

        Returns:
            The `Course`, in which nothing was seen.
        """
        if self.levels is not None:

            def hits(points: Array, asked: Array) -> Array:
                return self.broken(self.labels(only(fn, asked), points), state.y)

            state = grid.settle(hits, state, self.levels, self.limit, self.norm)
        adversary = where(to_do, state.adversary, state.x)
        outcome = self.labels(only(fn, to_do), adversary)
        found = state.found & self.broken(outcome, state.y)
        success = jnp.where(to_do, found, self.broken(labels, state.y))
        move = adversary - state.x
        moved = size(move, self.norm)
        if self.limit is not None:
            is_inside = inside(move, self.limit, self.norm)
            if self.levels is not None:
                is_inside = grid.inside_ball(move, self.limit, self.norm)
                limit = largest_radius(self.limit, state.x)
                moved = jnp.where(is_inside, jnp.minimum(moved, limit), moved)
            success &= is_inside
        if not self.in_ball:
            adversary = where(success, adversary, state.x)
        distance = jnp.where(success, moved, jnp.inf)
        distance = jnp.where(labels < 0, jnp.nan, distance)
        # One query found out whether there was anything to do, one checked the outcome.
        queries = jnp.where(to_do, state.queries + 2, 1)
        result = AttackResult(
            adversary, success, distance.astype(state.x.dtype), queries
        )
        return Course(result, (labels < 0) | (outcome < 0))

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
            x: float32 or float64 [n, ...] in [0,1], n at least 1, of JAX or NumPy; for
                a `models.Classifier` also flat, [n, d]. Laid over several devices by a
                `NamedSharding` of the first axis, each device attacks its own images.
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
        course = self.watch(key, fn, x, y, start, devices=devices)
        if not isinstance(course.unlabelled, jax.core.Tracer):
            without_label = jnp.isnan(course.result.distance)
            arguments.some_labelled(without_label)
            message = arguments.unlabelled(course.unlabelled, without_label)
            if message:
                warnings.warn(message, RuntimeWarning, stacklevel=2)
        return course.result

    def watch(
        self,
        key: Key,
        fn: LogitsFn | LabelFn,
        x: ArrayLike,
        y: ArrayLike,
        start: ArrayLike | None = None,
        observer: run.Observer | None = None,
        *,
        devices: Sequence[jax.Device] | None = None,
        room: int | None = None,
        all_images: bool = False,
    ) -> Course:
        """Attacks images as a call does, watched, and without its warning.

        Args:
            key: as for a call, like the rest.
            fn: the model.
            x: float [n, ...].
            y: int [n].
            start: float [n, ...].
            observer: what looks at the state after every step.
            devices: to spread the images over.
            room: how many images to compile for, at least n: other numbers of images
                then compile nothing.
            all_images: whether images are attacked that are adversaries already, or
                that the model has no label for.

        Returns:
            The `Course`.

        Raises:
            TypeError: as a call.
            ValueError: as a call, but not for want of labels; or the room is too small.
        """
        checks.key(key)
        x = checks.images("x", x)
        given = x.shape
        if start is not None:
            start = checks.images("start", start, x.shape).astype(x.dtype)
        if isinstance(fn, Classifier) and len(fn.image_shape) == 3:
            x = fn.shaped(x)
            start = None if start is None else fn.shaped(start)
        if room is not None and room < len(x):
            raise ValueError(f"room is {room}, but there are {len(x)} images")
        # The model is traced for as many images as are compiled for.
        images = jax.ShapeDtypeStruct((room or len(x), *x.shape[1:]), x.dtype)
        model = self.model(fn, images)
        classes = arguments.model(model, images, self.needs, self.name)
        y = checks.labels(y, len(x), classes)
        attack = self.settled(x)
        if start is not None and self.starts_from_adversary and checks.is_known(start):
            found = predict(model, start, self.chunk, room)
            arguments.adversarial_start(~self.broken(found, y))
        if self.as_rows and observer is None:
            attack, model, x, start = rows.laid_out(attack, model, x, start)
        course = run.over(
            attack,
            key,
            model,
            x,
            y,
            start,
            observer,
            devices=devices,
            room=room,
            all_images=all_images,
        )
        adversary = course.result.adversary.reshape(given)
        return course._replace(result=course.result._replace(adversary=adversary))

    def settled(self, x: Array) -> Self:
        """The attack with its numbers as arrays of the images' type.

        Args:
            x: float [n, ...], the images.

        Returns:
            The attack: epsilon float [], or of the rank of x with n rows, rounded down
            where it is known; `one_an_image` float [] or [n, 1, ...]; the other numbers
            float [].

        Raises:
            ValueError: a number is of another shape.
        """

        def settle(path: Any, number: Number) -> Array:
            name = path[0].name
            if name == "epsilon":
                return arguments.radius(number, x, self.norm)
            if name in self.one_an_image and jnp.ndim(number):
                return arguments.one_each(name, number, x)
            return checks.single(name, number, x.dtype)

        return jax.tree_util.tree_map_with_path(settle, self)

    def of_images(self, function: Callable[[Array], Array]) -> Self:
        """The attack for some of the images.

        Args:
            function: picks them from an array [n, ...], of what is one an image.
        """
        return jax.tree.map(lambda leaf: run.of_some(leaf, function), self)

    @property
    def as_rows(self) -> bool:
        """Whether `watch` attacks rows [n, d], unless observed.

        On processors XLA computed sums over images [n, 28, 28, 1] 5 to 16 times as
        slowly as over such rows.
        """
        # Pixels of several channels are more than their values.
        return self.any_layout and self.norm != "l0_pixels"

    @property
    def frame_queries(self) -> int:
        """Queries a call adds to those of the steps, for image, outcome and grid."""
        return 2 + (0 if self.levels is None else len(grid.LENGTHS))

    @property
    def limit(self) -> Number | None:
        """How far adversaries may lie, in the attack's norm; None for however far."""
        return getattr(self, "epsilon", None)

    def model(self, fn: LogitsFn | LabelFn, x: Array | jax.ShapeDtypeStruct) -> Any:
        """Makes of a function what compiled code takes: a pytree that can be called.

        Args:
            fn: the function.
            x: float [n, ...], images, or their shape and type.
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
