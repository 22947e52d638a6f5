"""Adversaries of training: fixed numbers of steps, no best so far, all examples alike.

Attacks (`zeroone_jax.attacks`) look at every point and keep the best. Training takes
the last point, which saves the looking.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from zeroone_jax import loops
from zeroone_jax.attacks.perturbation import (
    Norm,
    direction,
    each,
    project,
)
from zeroone_jax.attacks.random_points import random_in_ball
from zeroone_jax.attacks.state import image_keys
from zeroone_jax.types import Array, Key


def ascend(
    loss: Callable[[Array], Array],
    x: Array,
    start: Array,
    *,
    epsilon: float | Array,
    step_size: float | Array,
    steps: int,
    norm: Norm,
) -> Array:
    """Climbs a loss by projected gradient steps.

    Args:
        loss: points float [n, ...] to losses float [n].
        x: float [n, ...] in [0,1], the middle of the ball.
        start: float [n, ...], the first points, inside it.
        epsilon: the radius, or one for each image, float [n].
        step_size: the length of a step in the norm, or one for each image.
        steps: how many.
        norm: "linf", "l2" or "l1".

    Returns:
        The last points, float [n, ...], inside ball and box.
    """
    length = jnp.broadcast_to(jnp.asarray(step_size, x.dtype), x.shape[:1])

    def climb(_: Array, point: Array) -> Array:
        gradient = jax.grad(lambda point: jnp.sum(loss(point)))(point)
        moved = point + each(length, x) * direction(gradient, norm)
        return project(moved, x, epsilon, norm)

    return loops.fori_loop(0, steps, climb, start)


def random_start(
    key: Key, x: Array, y: Array, epsilon: float | Array, norm: Norm
) -> Array:
    """Draws points evenly in the balls around images.

    Args:
        key: a random key; each image draws by its own.
        x: float [n, ...] in [0,1].
        y: i32 [n], part of the images' keys.
        epsilon: the radius, or one for each image, float [n].
        norm: "linf", "l2" or "l1".

    Returns:
        float [n, ...], clipped to the box.
    """
    radius = jnp.asarray(epsilon, x.dtype)
    return random_in_ball(image_keys(key, x, y), x, radius, norm)


def nearby_start(
    key: Key, x: Array, y: Array, epsilon: float | Array, norm: Norm
) -> Array:
    """Draws points a little beside images, as TRADES and its followers start.

    Normal noise of deviation .001, for the divergence from an image has no slope at the
    image itself. Arguments and result as of `random_start`.
    """

    def noise(key: Key) -> Array:
        return jax.random.normal(key, x.shape[1:], x.dtype)

    moved = x + 0.001 * jax.vmap(noise)(image_keys(key, x, y))
    return project(moved, x, epsilon, norm)
