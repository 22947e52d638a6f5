"""Gaussian noise on training images: one draw for every model compared."""

import jax
import numpy as np

from zeroone_jax import data
from zeroone_jax.types import Array

# None of the numbers that the solver of 01 networks folds into the same key.
_STREAM = 2**31 - 2


def doubled(
    seed: int, x: Array | np.ndarray, y: Array | np.ndarray, sigma: float
) -> tuple[Array, Array]:
    """Doubles training images by a noisy copy of each.

    Flat or not, images get the same noise.

    Args:
        seed: of the run.
        x: float [n, ...] in [0,1].
        y: i32 [n].
        sigma: the noise's standard deviation, on the [0, 1] pixel scale.

    Returns:
        Images [2n, ...] and labels [2n]; those given come first.
    """
    key = jax.random.fold_in(jax.random.key(seed), _STREAM)
    return data.add_gaussian_noise(key, x, y, sigma)
