"""What a suite keeps while it runs: the best of every image, and who is still left."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from zeroone_jax import devices as device_mesh
from zeroone_jax.attacks.attack import Attack, AttackResult
from zeroone_jax.attacks.perturbation import Norm, size
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
        self, x: Array, begun: np.ndarray, unlabelled: np.ndarray, stages: int
    ) -> None:
        """Begins with images that are broken already, bool [n], or have no label."""
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

    @property
    def unbroken(self) -> np.ndarray:
        """Images that were at stake and are left, bool [n]."""
        return self.at_stake & ~self.success

    def enter(
        self,
        place: int,
        chosen: np.ndarray,
        out: AttackResult,
        unlabelled: Array,
        attack: Attack,
        norm: Norm,
        epsilon: float | None,
    ) -> None:
        """Takes in what the attack at a place found for the images chosen.

        They come first in `out`; what follows was filled up.
        """
        adversary, broken, distance, queries = (
            np.asarray(array)[: len(chosen)] for array in out
        )
        if attack.norm != norm:
            move = adversary - self._x[chosen]
            distance = np.asarray(size(jnp.asarray(move), norm))
        if epsilon is not None:
            broken = broken & (distance <= distance.dtype.type(epsilon))
        distance = np.where(broken, distance, np.inf)
        self.unlabelled[chosen] |= np.asarray(unlabelled)[: len(chosen)]
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


def layout(x: Array, devices: Sequence[jax.Device] | None) -> NamedSharding | None:
    """How images are laid over devices; None for a single one."""
    if devices is not None:
        mesh = device_mesh.mesh("images", devices)
        return NamedSharding(mesh, PartitionSpec("images"))
    if len(x.sharding.device_set) == 1 or not isinstance(x.sharding, NamedSharding):
        return None
    return NamedSharding(x.sharding.mesh, PartitionSpec(*x.sharding.spec[:1]))


def carried(
    chosen: np.ndarray,
    x: Array,
    y: np.ndarray,
    start: Array | None,
    broken_for: int,
    layout: NamedSharding | None,
    fill: bool,
) -> tuple[Array, Array, Array | None]:
    """The images chosen, filled up with one that is broken already, which is free.

    Args:
        chosen: i64 [m], their places.
        x: float [n, ...].
        y: i32 [n].
        start: float [n, ...] or None.
        broken_for: a label or target for which the first of them is broken.
        layout: how they are laid over devices.
        fill: whether to fill up at all.
    """
    devices = 1 if layout is None else len(layout.device_set)
    more = padded(len(chosen), devices) - len(chosen) if fill else 0
    rows = np.concatenate([chosen, np.repeat(chosen[:1], more)])
    filling = np.arange(len(rows)) >= len(chosen)
    y_left = y[rows]
    x_left = np.asarray(x)[rows]
    y_left[filling] = broken_for
    start_left = None
    if start is not None:
        start_left = np.asarray(start)[rows]
        start_left[filling] = x_left[filling]
    left = (x_left, y_left, start_left)
    if layout is None:
        return jax.tree.map(jnp.asarray, left)
    return jax.device_put(left, layout)
