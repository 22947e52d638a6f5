"""What a suite keeps while it runs, and what it tells at the end."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from zeroone_jax.attacks.grid import inside_ball
from zeroone_jax.attacks.perturbation import Norm, inside, size
from zeroone_jax.attacks.state import Course
from zeroone_jax.types import Array


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


class Tally:
    """The best so far of every image, on the host, and which attack met what.

    Attributes:
        at_stake: bool [n], whether there is something to be broken: the label is known,
            and not yet what attacks want.
        unlabelled: bool [n], where the model had no label for the image or for the
            point that an attack came to.
        stages: of the attacks that are over.
        warnings: why the figures may be too good to be true, in words.
        attacked: bool [stages, n], whether an attack was run on an image.
        distances: float [stages, n], infinite where the stage broke nothing.
    """

    def __init__(
        self,
        x: Array,
        begun: np.ndarray,
        unlabelled: np.ndarray,
        stages: int,
        norm: Norm,
        radius: np.ndarray | None,
    ) -> None:
        """Begins with images that are broken already, bool [n], or have no label.

        Adversaries count in the norm, and within the radius, as `arguments.radius`
        gives it.
        """
        count = len(begun)
        self.at_stake = ~begun & ~unlabelled
        self.unlabelled = unlabelled.copy()
        self.stages: list[StageReport] = []
        self.warnings: list[str] = []
        self.attacked = np.zeros((stages, count), bool)
        self.distances = np.full((stages, count), np.inf, x.dtype)
        self._x = np.asarray(x)
        self._norm: Norm = norm
        self._radius = radius
        self._adversary = np.array(x)
        self._success = begun.copy()
        distance = np.where(begun, 0, np.where(unlabelled, np.nan, np.inf))
        self._distance = distance.astype(x.dtype)
        self._queries = np.zeros((stages, count), np.int32)
        self._strongest = np.full(count, -1, np.int32)

    @property
    def without_label(self) -> np.ndarray:
        """Images that the model had no label for, bool [n]."""
        return np.isnan(self._distance)

    @property
    def unbroken(self) -> np.ndarray:
        """Images that were at stake and are left, bool [n]."""
        return self.at_stake & ~self._success

    def enter(
        self, chosen: np.ndarray, course: Course, norm: Norm, levels: int | None
    ) -> None:
        """Takes in what the attack that runs found for the images chosen.

        Args:
            chosen: int [m], their places.
            course: the attack's; of a suite with its report.
            norm: the attack's.
            levels: of the grid that the attack's adversaries lie on.
        """
        place = len(self.stages)
        adversary, broken, distance, queries = map(np.asarray, course.result)
        move = jnp.asarray(adversary - self._x[chosen])
        if norm != self._norm:
            distance = np.asarray(size(move, self._norm))
        if self._radius is not None:
            own = self._radius[chosen] if self._radius.ndim else self._radius
            within = inside if levels is None else inside_ball
            broken = broken & np.asarray(within(move, jnp.asarray(own), self._norm))
        distance = np.where(broken, distance, np.inf)
        if isinstance(course.seen, SuiteReport):
            self.warnings += course.seen.warnings
        self.unlabelled[chosen] |= np.asarray(course.unlabelled)
        self.distances[place, chosen] = np.minimum(
            self.distances[place, chosen], distance
        )
        self._queries[place, chosen] += queries
        nearer = distance < self._distance[chosen]
        images = chosen[nearer]
        self._adversary[images] = adversary[nearer]
        self._distance[images] = distance[nearer]
        self._success[images] = True
        self._strongest[images] = place

    def end_stage(self, name: str, met: np.ndarray) -> None:
        """Reports on the attack that runs, which met some images, bool [n]."""
        place = len(self.stages)
        self.attacked[place] = met
        broken = self.distances[place][np.isfinite(self.distances[place])]
        queries = self._queries[place][met]
        self.stages.append(
            StageReport(
                name=name,
                attacked=int(met.sum()),
                broken=len(broken),
                robust_accuracy=float(np.mean(self.unbroken)),
                distance=float(np.median(broken)) if len(broken) else np.nan,
                queries=float(np.mean(queries)) if len(queries) else np.nan,
            )
        )

    def report(self) -> SuiteReport:
        """Tells what came of it all."""
        return SuiteReport(
            jnp.asarray(self._adversary),
            jnp.asarray(self._success),
            jnp.asarray(self._distance),
            jnp.asarray(1 + self._queries.sum(axis=0, dtype=np.int32)),
            jnp.asarray(self._strongest),
            float(np.mean(self.at_stake)),
            float(np.mean(self.unbroken)),
            tuple(self.stages),
            tuple(dict.fromkeys(self.warnings)),
        )
