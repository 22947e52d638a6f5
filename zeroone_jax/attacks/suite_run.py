"""One attack after another on what images are left, and a report of all.

The attacks are jitted one by one; between them the suite picks, on the host, the
images that are still to be attacked.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from zeroone_jax import devices as device_mesh
from zeroone_jax.attacks import checks, suite_warnings
from zeroone_jax.attacks.attack import Attack, AttackResult, as_label_fn
from zeroone_jax.attacks.paid import paid
from zeroone_jax.attacks.perturbation import Norm, size
from zeroone_jax.types import Array, Key, LabelFn, LogitsFn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One attack of a suite.

    Attributes:
        name: what the report calls it.
        attack: the attack, untargeted.
        black_box: whether it follows no gradients. Where it succeeds after others that
            do, their gradients are suspect, and the report says so.
        first: how many images it is run on, counted from the first of all; None for
            all. For attacks that cost too much.
    """

    name: str
    attack: Attack
    black_box: bool = False
    first: int | None = None


class StageReport(NamedTuple):
    """What one attack did.

    Attributes:
        name: the stage's.
        attacked: images it was run on.
        broken: images of those that it broke (in a suite of a ball, inside it).
        robust_accuracy: share of all images that were right and unbroken after it.
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
            infinite where there is no success.
        queries: i32 [n], of all attacks together, and the suite's own first look.
        strongest: i32 [n], the place in `stages` of the attack that found `adversary`;
            -1 where none was needed or none succeeded.
        clean_accuracy: share of images that were right before any attack.
        robust_accuracy: share of images without success.
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
        epsilon: the radius of the ball that adversaries must lie in; None where the
            least distance is asked for.
        every: whether every attack meets every image. Otherwise, in a ball, an image
            leaves once it is broken. Suites of least distances run every attack
            anyhow, and keep the nearest adversary.
    """

    stages: tuple[Stage, ...]
    norm: Norm
    epsilon: float | None = None
    every: bool = False

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            ValueError: there are no stages, two have one name, one is targeted, or the
                radius is not positive.
        """
        checks.norm(self.norm)
        if self.epsilon is not None:
            checks.positive(epsilon=self.epsilon)
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"stages are {names}, but must be some, of unlike names")
        for stage in self.stages:
            if stage.attack.targeted:
                raise ValueError(f"{stage.name} is targeted, but suites are not")
            if stage.first is not None:
                checks.counts(first=stage.first)

    @property
    def needs(self) -> Literal["logits", "labels"]:
        """What the function given must return."""
        labels = all(stage.attack.needs == "labels" for stage in self.stages)
        return "labels" if labels else "logits"

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
            y: int [n], the labels.
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
        label_fn: LabelFn = fn
        if self.needs == "logits":
            classes = checks.logits_function(fn, x, "this suite")
            y = checks.labels(y, len(x), classes)
            label_fn = as_label_fn(fn)
        else:
            checks.label_function(fn, x, "this suite")
            y = checks.labels(y, len(x), None)
        if start is not None:
            start = checks.images("start", start, x.shape)
        tally = _Tally(
            x, suite_warnings.labels(label_fn, x) != np.asarray(y), len(self.stages)
        )
        clean_accuracy = float(np.mean(~tally.success))
        # Labels that are paid for come from one thread, and no image may be asked about
        # in vain: nothing is spread, and nothing filled up.
        paid_for = paid(fn) is not None
        layout = None if paid_for else _layout(x, devices)
        stages = []
        for place, stage in enumerate(self.stages):
            stage_fn = fn if stage.attack.needs == self.needs else label_fn
            stage_key = jax.random.fold_in(key, place)
            stages.append(
                self._meet(
                    place, stage_key, stage_fn, (x, y, start), layout, tally, paid_for
                )
            )
        if paid_for:
            warnings = suite_warnings.contradictions(tally.distances == 0)
        else:
            warnings = suite_warnings.find(
                key,
                fn,
                x,
                y,
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
            float(np.mean(~tally.success)),
            tuple(stages),
            warnings,
        )

    def _meet(
        self,
        place: int,
        key: Key,
        fn: LogitsFn | LabelFn,
        images: tuple[Array, Array, Array | None],
        layout: NamedSharding | None,
        tally: "_Tally",
        exact: bool,
    ) -> StageReport:
        """Runs the stage at a place on what is left for it, and enters it."""
        stage = self.stages[place]
        meets_all = self.every or self.epsilon is None
        left = ~tally.wrong if meets_all else ~tally.success
        if stage.first is not None:
            left = left & (np.arange(len(left)) < stage.first)
        chosen = np.flatnonzero(left)
        queries = np.zeros(0)
        if len(chosen):
            out = stage.attack(key, fn, *_carried(chosen, *images, layout, exact))
            tally.enter(place, chosen, out, self.norm, self.epsilon)
            queries = np.asarray(out.queries)[: len(chosen)]
        tally.attacked.append(left)
        broken = tally.distances[place][chosen]
        broken = broken[np.isfinite(broken)]
        return StageReport(
            name=stage.name,
            attacked=len(chosen),
            broken=len(broken),
            robust_accuracy=float(np.mean(~tally.success)),
            distance=float(np.median(broken)) if len(broken) else np.nan,
            queries=float(np.mean(queries)) if len(queries) else np.nan,
        )


class _Tally:
    """The best so far of every image, on the host, and which attack met what.

    Attributes:
        wrong: bool [n], labelled wrongly before any attack.
        attacked: bool [n] for each stage that is over.
        distances: float [n] for each stage, infinite where it broke nothing.
    """

    def __init__(self, x: Array, wrong: np.ndarray, stages: int) -> None:
        count = len(wrong)
        self.wrong = wrong
        self.adversary = np.array(x)
        self.success = wrong.copy()
        self.distance = np.where(wrong, 0, np.inf).astype(x.dtype)
        self.queries = np.ones(count, np.int32)
        self.strongest = np.full(count, -1, np.int32)
        self.attacked: list[np.ndarray] = []
        self.distances = np.full((stages, count), np.inf, x.dtype)
        self._x = np.asarray(x)

    def enter(
        self,
        place: int,
        chosen: np.ndarray,
        out: AttackResult,
        norm: Norm,
        epsilon: float | None,
    ) -> None:
        """Takes in what the attack at a place found for the images chosen.

        They come first in `out`; what follows was filled up.
        """
        adversary, broken, _, queries = (
            np.asarray(array)[: len(chosen)] for array in out
        )
        move = adversary - self._x[chosen]
        distance = np.asarray(size(jnp.asarray(move), norm))
        if epsilon is not None:
            broken = broken & (distance <= distance.dtype.type(epsilon))
        distance = np.where(broken, distance, np.inf)
        self.distances[place, chosen] = distance
        self.queries[chosen] += queries
        nearer = distance < self.distance[chosen]
        images = chosen[nearer]
        self.adversary[images] = adversary[nearer]
        self.distance[images] = distance[nearer]
        self.success[images] = True
        self.strongest[images] = place


def padded(count: int, multiple: int = 1) -> int:
    """The size to which a set of images is filled up: one of few, at most 3/2 of it.

    Every size is compiled for. Of 2^k and 3 2^k, 8 or more, it is the next, or the
    next multiple of the number of devices after that.

    Example:
        >>> [padded(count) for count in (1, 9, 13, 200, 900)]
        [8, 12, 16, 256, 1024]
    """
    power = max(8, 1 << (count - 1).bit_length())
    filled = 3 * power // 4 if power > 8 and count <= 3 * power // 4 else power
    return -(-filled // multiple) * multiple


def _layout(x: Array, devices: Sequence[jax.Device] | None) -> NamedSharding | None:
    """How images are laid over devices; None for a single one."""
    if devices is not None:
        mesh = device_mesh.mesh("images", devices)
        return NamedSharding(mesh, PartitionSpec("images"))
    if len(x.sharding.device_set) == 1 or not isinstance(x.sharding, NamedSharding):
        return None
    return NamedSharding(x.sharding.mesh, PartitionSpec(*x.sharding.spec[:1]))


def _carried(
    chosen: np.ndarray,
    x: Array,
    y: Array,
    start: Array | None,
    layout: NamedSharding | None,
    exact: bool,
) -> tuple[Array, Array, Array | None]:
    """The images chosen, filled up with one that is "wrong already", which is free.

    `exact` fills nothing up.
    """
    devices = 1 if layout is None else len(layout.device_set)
    fill = 0 if exact else padded(len(chosen), devices) - len(chosen)
    rows = np.concatenate([chosen, np.repeat(chosen[:1], fill)])
    filling = np.arange(len(rows)) >= len(chosen)
    y_left = np.asarray(y)[rows]
    # The first image is labelled rightly, so any other label is wrong.
    y_left[filling] = 1 if y_left[0] == 0 else 0
    x_left = np.asarray(x)[rows]
    start_left = None
    if start is not None:
        start_left = np.asarray(start)[rows]
        start_left[filling] = x_left[filling]
    left = (x_left, y_left, start_left)
    if layout is None:
        return jax.tree.map(jnp.asarray, left)
    return jax.device_put(left, layout)
