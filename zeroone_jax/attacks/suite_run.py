"""One attack after another on what images are left, and a report of all.

The attacks are jitted one by one; between them the suite picks, on the host, the
images that are still to be attacked.
"""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import checks
from zeroone_jax.attacks import arguments, suite_warnings
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.paid import paid
from zeroone_jax.attacks.perturbation import Norm
from zeroone_jax.attacks.predict import as_label_fn, predict
from zeroone_jax.attacks.tally import Tally
from zeroone_jax.types import Array, Key, LabelFn, LogitsFn, Number

Attacking = TypeVar("Attacking", covariant=True)
"""An attack, or a suite of attacks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage(Generic[Attacking]):
    """One attack of a suite, or of an evaluation, where it may be a suite itself.

    Attributes:
        name: what the report calls it.
        attack: the attack; all of a suite are targeted, or none.
        black_box: whether it follows no gradients. Where it succeeds after others that
            do, their gradients are suspect, and the report says so.
        first: how many images it is run on, counted from the first of all; None for
            all. For attacks that cost too much.
    """

    name: str
    attack: Attacking
    black_box: bool = False
    first: int | None = None


class StageReport(NamedTuple):
    """What one attack did.

    Attributes:
        name: the stage's.
        attacked: images it was run on.
        broken: images of those that it broke (in a suite of a ball, inside it).
        robust_accuracy: share of all images that were right and unbroken after it
            (of a targeted suite: that had not reached the target).
        distance: the median over the images it broke of their distances in the
            suite's norm; NaN where it broke none.
        queries: the mean number of queries for each image it was run on; NaN where it
            was run on none.
    """

    name: str
    attacked: int
    broken: int
    robust_accuracy: float
    distance: float
    queries: float


class SuiteReport(NamedTuple):
    """What a suite found. The first four fields are those of an `AttackResult`.

    Attributes:
        adversary: float [n, ...] in [0,1], the nearest one found; the image itself
            where there is none or it was wrong already.
        success: bool [n].
        distance: float [n], in the suite's norm; 0 where the image was wrong already,
            infinite where there is no success, NaN where the model has no label.
        queries: i32 [n], of all attacks together, and the suite's own first look.
        strongest: i32 [n], the place in `stages` of the attack that found `adversary`;
            -1 where none was needed or none succeeded.
        clean_accuracy: share of images that were right before any attack (of a targeted
            suite: that the model did not label as the target).
        robust_accuracy: share of images that were so, and without success.
        stages: a `StageReport` for each attack.
        warnings: why the figures may be too good to be true, in words.
    """

    adversary: Array
    success: Array
    distance: Array
    queries: Array
    strongest: Array
    clean_accuracy: float
    robust_accuracy: float
    stages: tuple[StageReport, ...]
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite:
    """Runs attacks one after another, by the convention of `Attack`.

    Not to be traced: which images go on is decided on the host. An attack is compiled
    once for each of a few sizes of the set that is left (see `padded`).

    Attributes:
        stages: the attacks, in order.
        norm: how distances are compared.
        epsilon: the radius of the ball that adversaries must lie in, one for all images
            or one for each, [n]; in Linf also one for each pixel, as for the attacks.
            None where the least distance is asked for.
        every: whether every attack meets every image. Otherwise, in a ball, an image
            leaves once it is broken. Suites of least distances run every attack
            anyhow, and keep the nearest adversary.
        every_class: of targeted attacks, whether each goes after every class but y,
            which then names the labels; otherwise y names the targets.
        levels: of what grid adversaries must be, as for `Attack.levels`; None leaves it
            to the attacks.
    """

    stages: tuple[Stage[Attack], ...]
    norm: Norm
    epsilon: Number | None = None
    every: bool = False
    every_class: bool = False
    levels: int | None = None

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            ValueError: there are no stages, two have one name, some are targeted and
                some not, or a number is out of its range.
        """
        arguments.norm(self.norm)
        if self.epsilon is not None:
            checks.positive(epsilon=self.epsilon)
        if self.levels is not None:
            checks.counts(levels=self.levels)
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"stages are {names}, but must be some, of unlike names")
        targeted = {stage.attack.targeted for stage in self.stages}
        if len(targeted) > 1:
            raise ValueError(
                f"some of {names} are targeted and some are not, but all must be alike"
            )
        if self.every_class and not self.targeted:
            raise ValueError("every_class is True, but the attacks are not targeted")
        for stage in self.stages:
            if stage.first is not None:
                checks.counts(first=stage.first)

    @property
    def needs(self) -> Literal["logits", "labels"]:
        """What the function given must return."""
        labels = all(stage.attack.needs == "labels" for stage in self.stages)
        return "labels" if labels else "logits"

    @property
    def targeted(self) -> bool:
        """Whether the attacks reach for a class."""
        return self.stages[0].attack.targeted

    def __call__(
        self,
        key: Key,
        fn: LogitsFn | LabelFn,
        x: ArrayLike,
        y: ArrayLike,
        start: ArrayLike | None = None,
        devices: Sequence[jax.Device] | None = None,
    ) -> SuiteReport:
        """Attacks images.

        Args:
            key: a random key.
            fn: the model: a `LogitsFn`, or a `LabelFn` if `needs` says so.
            x: float [n, ...] in [0,1]. Laid over several devices by a `NamedSharding`
                of the first axis, what is left of it is laid over them again.
            y: int [n], the labels; of a targeted suite the targets, unless it goes
                after `every_class`.
            start: float [n, ...] in [0,1], given to every attack.
            devices: to spread the images over, however many there are; None leaves
                them where they lie.

        Returns:
            The `SuiteReport`.

        Raises:
            TypeError: as of an `Attack`.
            ValueError: as of an `Attack`.
        """
        checks.key(key)
        x = checks.images("x", x)
        y = checks.labels(y, len(x), None)
        label_fn: LabelFn = fn
        classes = None
        if self.needs == "logits":
            classes = arguments.logits_function(fn, x, "this suite")
            checks.labels(y, len(x), classes)
            label_fn = as_label_fn(fn)
        else:
            arguments.label_function(fn, x, "this suite")
        if start is not None:
            start = checks.images("start", start, x.shape)
        labels = np.asarray(predict(fn, x))
        arguments.unlabelled(jnp.asarray(labels < 0))
        begun = self._begun(labels, np.asarray(y))
        radius = None
        if self.epsilon is not None:
            radius = np.asarray(arguments.radius(self.epsilon, x, self.norm))
        tally = Tally(x, begun, labels < 0, len(self.stages), self.norm, radius)
        clean_accuracy = float(np.mean(tally.at_stake))
        goals = self._goals(np.asarray(y), classes)
        # Labels that are paid for come from one thread.
        over = None if paid(fn) is not None else _spread(x, devices)
        asked = _Asked(fn, label_fn, np.asarray(x), goals, start, over)
        stages = [
            self._meet(place, jax.random.fold_in(key, place), asked, tally)
            for place in range(len(self.stages))
        ]
        missing = arguments.unlabelled(jnp.asarray(tally.unlabelled))
        if paid(fn) is not None:
            warnings = suite_warnings.contradictions(tally.distances == 0)
        else:
            warnings = suite_warnings.find(
                key,
                fn,
                x,
                jnp.asarray(goals[0]),
                [stage.attack for stage in self.stages],
                np.array([stage.black_box for stage in self.stages]),
                np.array(tally.attacked),
                np.isfinite(tally.distances),
            )
        return SuiteReport(
            jnp.asarray(tally.adversary),
            jnp.asarray(tally.success),
            jnp.asarray(tally.distance),
            jnp.asarray(tally.queries),
            jnp.asarray(tally.strongest),
            clean_accuracy,
            float(np.mean(tally.unbroken)),
            tuple(stages),
            ((f"{missing[0].upper()}{missing[1:]}.",) if missing else ()) + warnings,
        )

    def _begun(self, labels: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which images are broken before any attack, bool [n]."""
        if self.targeted and not self.every_class:
            return labels == y
        return (labels != y) & (labels >= 0)

    def _goals(self, y: np.ndarray, classes: int | None) -> list[np.ndarray]:
        """What each attack is given for y, one after another: i32 [n] each."""
        if not self.every_class:
            return [y]
        if classes is None:
            raise ValueError(
                "every_class is True, but a function of labels does not tell how many "
                "classes there are: give the suite targets"
            )
        return [(y + ahead) % classes for ahead in range(1, classes)]

    def _meet(self, place: int, key: Key, asked: "_Asked", tally: Tally) -> StageReport:
        """Runs the stage at a place on what is left for it, and enters it."""
        stage = self.stages[place]
        first = np.arange(len(asked.x)) < (stage.first or len(asked.x))
        meets_all = self.every or self.epsilon is None
        met = first & (tally.at_stake if meets_all else tally.unbroken)
        attack = stage.attack
        if self.levels is not None:
            attack = dataclasses.replace(attack, levels=self.levels)
        fn = asked.fn if attack.needs == self.needs else asked.label_fn
        for number, goal in enumerate(asked.goals):
            left = np.flatnonzero(met if meets_all else met & tally.unbroken)
            if not len(left):
                break
            course = attack.of_images(operator.itemgetter(left)).watch(
                key if number == 0 else jax.random.fold_in(key, number),
                fn,
                asked.x[left],
                goal[left],
                None if asked.start is None else asked.start[left],
                devices=asked.devices,
                room=padded(len(left)),
            )
            tally.enter(place, left, course, attack)
        tally.attacked.append(met)
        broken = tally.distances[place][np.isfinite(tally.distances[place])]
        queries = tally.stage_queries[place][met]
        return StageReport(
            name=stage.name,
            attacked=int(met.sum()),
            broken=len(broken),
            robust_accuracy=float(np.mean(tally.unbroken)),
            distance=float(np.median(broken)) if len(broken) else np.nan,
            queries=float(np.mean(queries)) if len(queries) else np.nan,
        )


class _Asked(NamedTuple):
    """What a suite was given.

    Attributes:
        fn: the model.
        label_fn: the model, of labels.
        x: float [n, ...], on the host.
        goals: labels or targets that attacks are given, one after another.
        start: float [n, ...] or None.
        devices: to spread images over, or None.
    """

    fn: LogitsFn | LabelFn
    label_fn: LabelFn
    x: np.ndarray
    goals: list[np.ndarray]
    start: Array | None
    devices: Sequence[jax.Device] | None


def padded(count: int) -> int:
    """The room for so many images that are left: one of few, at most 3/2 of them.

    Every size is compiled for. Of 2^k and 3 2^k, 8 or more, it is the next.

    Example:
        >>> [padded(count) for count in (1, 9, 13, 200, 900)]
        [8, 12, 16, 256, 1024]
    """
    power = max(8, 1 << (count - 1).bit_length())
    return 3 * power // 4 if power > 8 and count <= 3 * power // 4 else power


def _spread(
    x: Array, devices: Sequence[jax.Device] | None
) -> Sequence[jax.Device] | None:
    """The devices to spread images over: those given, or those they lie on."""
    if devices is None and len(x.sharding.device_set) > 1:
        return sorted(x.sharding.device_set, key=lambda device: device.id)
    return devices
