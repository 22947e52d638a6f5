"""Plans of attacks: one attack after another on what images are left, and a report.

The attacks are jitted one by one; between them the suite picks, on the host, the
images that are still to be attacked.
"""

import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import checks
from zeroone_jax.attacks import arguments, run, suite_warnings
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.paid import PaidLabelFn
from zeroone_jax.attacks.perturbation import EVERY_NORM, NORMS, Norm
from zeroone_jax.attacks.predict import as_label_fn, predict
from zeroone_jax.attacks.state import AttackResult, Course
from zeroone_jax.attacks.tally import SuiteReport, Tally
from zeroone_jax.types import Array, Key, LabelFn, LogitsFn, Number

PAPER = "paper's own"
"""What results call the paper's attack on the images of the last one."""

STRONGEST = "strongest"
"""What results call the worst case over all attacks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One attack of a suite.

    Attributes:
        name: what the report calls it.
        attack: the attack, or a suite that counts as one; all of a suite are targeted,
            or none.
        black_box: whether it follows no gradients. Where it succeeds after others that
            do, their gradients are suspect, and the report says so.
        first: how many images it is run on, counted from the first of all; None for
            all. For attacks that cost too much.
    """

    name: str
    attack: "Attack | Suite"
    black_box: bool = False
    first: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite:
    """A plan of attacks: which, on how many images, and what counts as an adversary.

    Called, it runs them one after another, by the convention of `Attack`.
    `evaluation.robust_accuracy` runs each by itself. It is not to be traced: which
    images go on is decided on the host. An attack is compiled once for each of a few
    sizes of the set that is left (see `padded`).

    Attributes:
        stages: the attacks, in order.
        norm: how distances are compared; L0 has no balls.
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
        paper: the name of the attack that stands for a paper's own evaluation, which is
            told beside the worst case over all; None for no comparison. The attacks
            then are untargeted, and in this ball.
    """

    stages: tuple[Stage, ...]
    norm: Norm
    epsilon: Number | None = None
    every: bool = False
    every_class: bool = False
    levels: int | None = None
    paper: str | None = None

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            ValueError: there are no stages, two have one name, some are targeted and
                some not, or a number is out of its range; or, beside a paper's attack,
                a name is reserved, an attack is targeted, or it has another radius or
                norm than the suite.
        """
        norms = EVERY_NORM if self.epsilon is None else NORMS
        checks.one_of("norm", self.norm, norms)
        checks.radius(self.norm, self.epsilon)
        if self.levels is not None:
            checks.counts(levels=self.levels)
        for stage in self.stages:
            if stage.first is not None:
                checks.counts(first=stage.first)
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"stages are {names}, but must be some, of unlike names")
        if self.paper is not None:
            self._check_comparison(self.paper)
        if len({stage.attack.targeted for stage in self.stages}) > 1:
            raise ValueError(
                f"some of {names} are targeted and some are not, but all must be alike"
            )
        if self.every_class and not self.stages[0].attack.targeted:
            raise ValueError("every_class is True, but the attacks are not targeted")

    def _check_comparison(self, paper: str) -> None:
        self.stage(paper)
        if self.epsilon is None:
            raise ValueError(
                f"paper is {paper!r}, but there is no epsilon to compare in"
            )
        norms = sorted({self.norm, *(stage.attack.norm for stage in self.stages)})
        if len(norms) > 1:
            raise ValueError(f"attacks have the norms {norms}, but must have one")
        for stage in self.stages:
            if stage.name in (PAPER, STRONGEST):
                raise ValueError(
                    f"an attack is called {stage.name!r}, which names a result"
                )
            if stage.attack.targeted:
                raise ValueError(f"{stage.name} is targeted, but must not be")
            own = getattr(stage.attack, "epsilon", None)
            if own is not None and not np.array_equal(own, self.epsilon):
                raise ValueError(
                    f"{stage.name} has epsilon {own}, but the plan has {self.epsilon}"
                )

    @property
    def needs(self) -> Literal["logits", "labels"]:
        """What the function given must return."""
        labels = all(stage.attack.needs == "labels" for stage in self.stages)
        return "labels" if labels else "logits"

    @property
    def starts_from_adversary(self) -> bool:
        """Whether `start` must hold adversaries already."""
        return all(stage.attack.starts_from_adversary for stage in self.stages)

    @property
    def targeted(self) -> bool:
        """Whether the attacks are given the classes to reach."""
        return self.stages[0].attack.targeted and not self.every_class

    def stage(self, name: str) -> Stage:
        """Finds an attack by its name.

        Raises:
            ValueError: the plan has none of that name.
        """
        names = tuple(stage.name for stage in self.stages)
        checks.one_of("attack", name, names)
        return self.stages[names.index(name)]

    def without(self, name: str) -> Self:
        """The same plan without an attack, which is not the only or the paper's own."""
        self.stage(name)
        left = tuple(stage for stage in self.stages if stage.name != name)
        return dataclasses.replace(self, stages=left)

    def limited_to(self, images: int) -> Self:
        """The same plan where no attack meets more images than so many."""
        return self._changed(
            lambda stage: {"first": min(stage.first or images, images)}
        )

    def of_images(self, function: Callable[[Array], Array]) -> Self:
        """The plan for some of the images; see `Attack.of_images`."""
        stages = tuple(
            dataclasses.replace(stage, attack=stage.attack.of_images(function))
            for stage in self.stages
        )
        epsilon = run.of_some(self.epsilon, function)
        return dataclasses.replace(self, stages=stages, epsilon=epsilon)

    def _changed(self, change: Callable[[Stage], dict[str, Any]]) -> Self:
        stages = (dataclasses.replace(one, **change(one)) for one in self.stages)
        return dataclasses.replace(self, stages=tuple(stages))

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
            x: float [n, ...] in [0,1]. What is left of images that are laid over
                several devices is laid over them again.
            y: int [n], the labels; of a targeted suite the targets.
            start: float [n, ...] in [0,1], given to every attack.
            devices: to spread the images over; None leaves them where they lie.

        Returns:
            The `SuiteReport`.

        Raises:
            TypeError: as of an `Attack`.
            ValueError: as of an `Attack`.
        """
        checks.key(key)
        x = checks.images("x", x)
        classes = arguments.model(fn, x, self.needs, "this suite")
        # In a narrow type the targets of every class would overflow.
        y = checks.labels(y, len(x), classes).astype(jnp.int32)
        if start is not None:
            start = checks.images("start", start, x.shape)
        is_paid = isinstance(fn, PaidLabelFn)
        if is_paid:
            # Labels that are paid for come from one thread.
            devices = None
        elif devices is None and len(x.sharding.device_set) > 1:
            devices = sorted(x.sharding.device_set, key=lambda device: device.id)
        host = np.asarray(x)

        def attacked(
            attack: Attack | Suite, key: Key, goal: np.ndarray, left: np.ndarray
        ) -> Course:
            return attack.of_images(operator.itemgetter(left)).watch(
                key,
                fn if attack.needs == self.needs else as_label_fn(fn),
                host[left],
                goal[left],
                None if start is None else start[left],
                devices=devices,
                room=run.padded(len(left)),
            )

        goals = self._goals(np.asarray(y), classes)
        tally = self._begun(fn, x, np.asarray(y))
        for place, stage in enumerate(self.stages):
            self._meet(stage, jax.random.fold_in(key, place), attacked, goals, tally)
        missing = arguments.unlabelled(tally.unlabelled, tally.without_label)
        if missing:
            tally.warnings.append(f"{missing[0].upper()}{missing[1:]}.")
        if is_paid:
            tally.warnings += suite_warnings.contradictions(tally.distances == 0)
        else:
            tally.warnings += suite_warnings.find(
                key,
                fn,
                x,
                jnp.asarray(goals[0]),
                [stage.attack for stage in self.stages],
                np.array([stage.black_box for stage in self.stages]),
                tally.attacked,
                np.isfinite(tally.distances),
            )
        return tally.report()

    def _begun(self, fn: LogitsFn | LabelFn, x: Array, y: np.ndarray) -> Tally:
        """Looks at the images before any attack."""
        labels = np.asarray(predict(fn, x))
        arguments.some_labelled(labels < 0)
        begun = labels == y if self.targeted else (labels != y) & (labels >= 0)
        radius = None
        if self.epsilon is not None:
            radius = np.asarray(arguments.radius(self.epsilon, x, self.norm))
        return Tally(x, begun, labels < 0, len(self.stages), self.norm, radius)

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

    def _meet(
        self,
        stage: Stage,
        key: Key,
        attacked: Callable[..., Course],
        goals: list[np.ndarray],
        tally: Tally,
    ) -> None:
        """Runs a stage on what is left for it, towards each goal, and enters it."""
        count = len(tally.at_stake)
        meets_all = self.every or self.epsilon is None
        met = tally.at_stake if meets_all else tally.unbroken
        met = met & (np.arange(count) < (stage.first or count))
        attack = stage.attack
        if self.levels is not None:
            attack = dataclasses.replace(attack, levels=self.levels)
        for number, goal in enumerate(goals):
            left = np.flatnonzero(met if meets_all else met & tally.unbroken)
            if not len(left):
                break
            own_key = key if number == 0 else jax.random.fold_in(key, number)
            course = attacked(attack, own_key, goal, left)
            tally.enter(left, course, attack.norm, attack.levels)
        tally.end_stage(stage.name, met)

    def watch(
        self,
        key: Key,
        fn: LogitsFn | LabelFn,
        x: ArrayLike,
        y: ArrayLike,
        start: ArrayLike | None,
        *,
        devices: Sequence[jax.Device] | None,
        room: int,
    ) -> Course:
        """Attacks images as one attack of another suite; `seen` is the report."""
        del room
        report = self(key, fn, x, y, start, devices)
        result = AttackResult(*report[:4])
        return Course(result, jnp.isnan(report.distance), report)
