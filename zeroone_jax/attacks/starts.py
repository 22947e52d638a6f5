"""Images of other classes as starting points of decision attacks."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import checks
from zeroone_jax.attacks.perturbation import Norm, size
from zeroone_jax.attacks.state import image_keys
from zeroone_jax.types import Array, Key


def nearest_start(
    x: ArrayLike,
    y: ArrayLike,
    pool: ArrayLike,
    labels: ArrayLike,
    norm: Norm = "l2",
    targeted: bool = False,
) -> Array:
    """Picks for every image the nearest one that is an adversary already.

    Args:
        x: float [n, ...] in [0,1], the images to attack.
        y: int [n], their labels, or the targets.
        pool: float [m, ...] in [0,1], images to pick from.
        labels: int [m], the labels that the attacked model gives them.
        norm: how distance is measured.
        targeted: whether y names targets.

    Returns:
        float [n, ...], images of the pool.

    Raises:
        ValueError: for some image no image of the pool is an adversary, or an argument
            has a wrong shape or value.
        TypeError: an argument has a wrong type.
    """
    x, y, pool, fits = _fitting(x, y, pool, labels, targeted)

    def nearest(image: Array, fit: Array) -> Array:
        distance = size(pool - image[None], norm)
        return pool[jnp.argmin(jnp.where(fit, distance, jnp.inf))]

    return jax.lax.map(lambda pair: nearest(*pair), (x, fits))


def random_start(
    key: Key,
    x: ArrayLike,
    y: ArrayLike,
    pool: ArrayLike,
    labels: ArrayLike,
    targeted: bool = False,
) -> Array:
    """Picks for every image a random one that is an adversary already.

    Args:
        key: a random key.
        x: float [n, ...] in [0,1], the images to attack.
        y: int [n], their labels, or the targets.
        pool: float [m, ...] in [0,1], images to pick from.
        labels: int [m], the labels that the attacked model gives them.
        targeted: whether y names targets.

    Returns:
        float [n, ...], images of the pool, the same for the same image and key.

    Raises:
        ValueError: as `nearest_start`.
        TypeError: as `nearest_start`.
    """
    checks.key(key)
    x, y, pool, fits = _fitting(x, y, pool, labels, targeted)
    keys = image_keys(key, x, y)
    chance = jax.vmap(lambda key: jax.random.uniform(key, pool.shape[:1]))(keys)
    return pool[jnp.argmax(jnp.where(fits, chance, -1), axis=1)]


def _fitting(
    x: ArrayLike, y: ArrayLike, pool: ArrayLike, labels: ArrayLike, targeted: bool
) -> tuple[Array, Array, Array, Array]:
    """Images, labels and pool, checked, and which of it suits which, bool [n, m]."""
    x, pool = checks.images("x", x), checks.images("pool", pool)
    if pool.shape[1:] != x.shape[1:]:
        raise ValueError(f"pool has images {pool.shape[1:]}, but x has {x.shape[1:]}")
    y = checks.labels(y, len(x), None).astype(jnp.int32)
    labels = checks.labels(labels, len(pool), None, "labels").astype(jnp.int32)
    same = y[:, None] == labels[None, :]
    fits = same if targeted else ~same
    if not isinstance(fits, jax.core.Tracer):
        without = np.flatnonzero(~np.asarray(jnp.any(fits, axis=1)))
        if len(without):
            raise ValueError(
                f"the pool has no adversary for image {without[0]} "
                f"({len(without)} such images): its labels are "
                f"{np.unique(np.asarray(labels)).tolist()}, the image's is "
                f"{int(y[without[0]])}"
            )
    return x, y, pool, fits
