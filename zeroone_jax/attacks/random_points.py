"""Random points of a ball, and of ball and box together."""

import math

import jax
import jax.numpy as jnp

from zeroone_jax.attacks.perturbation import Norm, project, radius, room
from zeroone_jax.types import Array, Key


def random_in_ball(
    keys: Array,
    x: Array,
    epsilon: float | Array,
    norm: Norm,
    fit_box: bool = False,
    quickly: bool = False,
) -> Array:
    """Draws a point in the ball around each image, and in the box.

    Args:
        keys: keys [n].
        x: float [n, ...] in [0,1].
        epsilon: the radius, > 0, as for `radius`.
        norm: "linf", "l2" or "l1".
        fit_box: whether points are even in what ball and box share (`fitted` tells how
            even). Otherwise they are even in the ball, then clipped, and crowd at the
            border of the box: half of the pixels of a black image stay black.
        quickly: whether noise of L2 and L1 is drawn from normal and Laplace numbers,
            which took 1.5 ms for 200 images of 784 values on one core. False draws it
            by `jax.random.ball`, from gamma numbers, which took 144 and 224 ms: stored
            results hang on its numbers.

    Returns:
        float [n, ...].
    """
    shape, dtype = x.shape[1:], x.dtype

    def draw(key: Key) -> Array:
        if norm == "linf":
            return jax.random.uniform(key, shape, dtype, -1, 1)
        if quickly:
            return _in_unit_ball(key, x[0], norm)
        order = 2.0 if norm == "l2" else 1.0
        flat = jax.random.ball(key, math.prod(shape), order, dtype=dtype)
        return flat.reshape(shape)

    noise = jax.vmap(draw)(keys) * radius(jnp.asarray(epsilon, dtype), x)
    point = fitted(noise, x, epsilon, norm) if fit_box else x + noise
    return project(point, x, epsilon, norm)


def _in_unit_ball(key: Key, like: Array, norm: Norm) -> Array:
    """Draws a point evenly from the unit ball of L2 or L1, of one image's shape.

    With numbers g of the density `exp(-|g|^p)` and an exponential number e, the point
    is `g / (sum |g|^p + e)^(1/p)` (Barthe et al. 2005, theorem 1).
    """
    first, second = jax.random.split(key)
    rest = jax.random.exponential(second, (), like.dtype)
    if norm == "l2":
        normal = jax.random.normal(first, like.shape, like.dtype)
        return normal / jnp.sqrt(jnp.sum(normal * normal) + 2 * rest)
    laplace = jax.random.laplace(first, like.shape, like.dtype)
    return laplace / (jnp.sum(jnp.abs(laplace)) + rest)


def fitted(noise: Array, x: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Lays random perturbations that fill a ball into ball and box together.

    Args:
        noise: float [n, ...], perturbations no longer than epsilon.
        x: float [n, ...] in [0,1].
        epsilon: the radius, > 0, as for `radius`.
        norm: "linf", "l2" or "l1".

    Returns:
        float [n, ...], points. In Linf noise that is even in the ball becomes even in
        both. In L2 and L1 noise that leaves the box in a pixel is mirrored there, which
        is as even for pixels at the border of the box and for those that no noise
        drives out of it; between the two, points are up to twice as dense where only
        one side of a pixel has room for the noise.
    """
    if norm == "linf":
        epsilon = radius(epsilon, x)
        down, up = room(x, epsilon)
        share = noise / jnp.where(epsilon > 0, epsilon, 1)
        return x + (up - down) / 2 + share * ((up + down) / 2)
    moved = x + noise
    outside = (moved < 0) | (moved > 1)
    return jnp.clip(jnp.where(outside, x - noise, moved), 0, 1)
