"""What a suite keeps while it runs: the best of every image, and who is still left."""

import jax.numpy as jnp
import numpy as np

from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.grid import inside_ball
from zeroone_jax.attacks.perturbation import Norm, inside, size
from zeroone_jax.attacks.state import Course
from zeroone_jax.types import Array


class Tally:
    """The best so far of every image, on the host, and which attack met what.

    Attributes:
        at_stake: bool [n], whether there is something to be broken: the label is known,
            and not yet what attacks want.
        unlabelled: bool [n], where the model had no label for the image or for the
            point that an attack came to.
        attacked: bool [n] for each stage that is over.
        distances: float [stages, n], infinite where the stage broke nothing.
        stage_queries: i64 [stages, n], of each.
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

        Adversaries count in the norm, and within the radius, as `checks.radius` gives
        it.
        """
        count = len(begun)
        self.at_stake = ~begun & ~unlabelled
        self.unlabelled = unlabelled.copy()
        self.adversary = np.array(x)
        self.success = begun.copy()
        distance = np.where(begun, 0, np.where(unlabelled, np.nan, np.inf))
        self.distance = distance.astype(x.dtype)
        self.queries = np.ones(count, np.int32)
        self.strongest = np.full(count, -1, np.int32)
        self.attacked: list[np.ndarray] = []
        self.stage_queries = np.zeros((stages, count), np.int64)
        self.distances = np.full((stages, count), np.inf, x.dtype)
        self._x = np.asarray(x)
        self._norm: Norm = norm
        self._radius = radius

    @property
    def unbroken(self) -> np.ndarray:
        """Images that were at stake and are left, bool [n]."""
        return self.at_stake & ~self.success

    def enter(
        self, place: int, chosen: np.ndarray, course: Course, attack: Attack
    ) -> None:
        """Takes in what the attack at a place found for the images chosen."""
        adversary, broken, distance, queries = map(np.asarray, course.result)
        move = jnp.asarray(adversary - self._x[chosen])
        if attack.norm != self._norm:
            distance = np.asarray(size(move, self._norm))
        if self._radius is not None:
            own = self._radius[chosen] if self._radius.ndim else self._radius
            within = inside if attack.levels is None else inside_ball
            broken = broken & np.asarray(within(move, jnp.asarray(own), self._norm))
        distance = np.where(broken, distance, np.inf)
        self.unlabelled[chosen] |= np.asarray(course.unlabelled)
        self.distances[place, chosen] = np.minimum(
            self.distances[place, chosen], distance
        )
        self.queries[chosen] += queries
        self.stage_queries[place, chosen] += queries
        nearer = distance < self.distance[chosen]
        images = chosen[nearer]
        self.adversary[images] = adversary[nearer]
        self.distance[images] = distance[nearer]
        self.success[images] = True
        self.strongest[images] = place
