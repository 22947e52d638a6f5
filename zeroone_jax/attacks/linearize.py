"""The model seen as linear: how far each class is ahead, and the slopes of that."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import losses
from zeroone_jax.attacks.perturbation import Norm, each, size
from zeroone_jax.types import Array, LogitsFn

_DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}


class Linear(NamedTuple):
    """Differences of logits around points.

    Attributes:
        logits: float [n, k], of the points.
        ahead: float [n, c], by how much the logit of each of c classes is higher than
            that of the class to leave.
        slopes: float [n, c, ...], the gradients of `ahead` in the points.
    """

    logits: Array
    ahead: Array
    slopes: Array


def differences(fn: LogitsFn, points: Array, leave: Array, reach: Array) -> Linear:
    """Compares classes with the one to leave, at the price of c gradients.

    Args:
        fn: the model.
        points: float [n, ...].
        leave: i32 [n].
        reach: i32 [n, c].

    Returns:
        The `Linear`.
    """
    z, pull_back = jax.vjp(lambda points: losses.as_logits(fn(points)), points)
    return _differences(z, pull_back, leave[:, None], reach)


def best_other_than(fn: LogitsFn, points: Array, target: Array) -> Linear:
    """Compares the target with the best of the other classes at the points.

    Args:
        fn: the model.
        points: float [n, ...].
        target: i32 [n].

    Returns:
        The `Linear`, c = 1.
    """
    z, pull_back = jax.vjp(lambda points: losses.as_logits(fn(points)), points)
    best = ranking(z, target)[:, :1]
    return _differences(z, pull_back, best, target[:, None])


def ranking(z: Array, y: Array) -> Array:
    """The classes other than y by their logits, the highest first.

    Args:
        z: float [n, k].
        y: i32 [n].

    Returns:
        i32 [n, k - 1].
    """
    classes = jnp.arange(z.shape[1], dtype=jnp.int32)[None, :]
    last = jnp.where(classes == y[:, None], jnp.inf, -z)
    return jnp.argsort(last, axis=1)[:, :-1].astype(jnp.int32)


def nearest(linear: Linear, norm: Norm) -> tuple[Array, Array, Array]:
    """Chooses the hyperplane, where a class draws level, that is nearest to the point.

    Args:
        linear: the model around n points.
        norm: how distance is measured.

    Returns:
        How far the class is ahead, float [n]; its slope, float [n, ...]; the slope's
        size in the dual norm, float [n]: the hyperplane is `|ahead|` over it away, the
        box left aside. 0 where no class has a slope.
    """
    ahead, slopes = linear.ahead, linear.slopes
    every = slopes.reshape(-1, *slopes.shape[2:])
    steepness = size(every, _DUAL[norm]).reshape(ahead.shape)
    sloping = steepness > 0
    distance = jnp.abs(ahead) / jnp.where(sloping, steepness, 1)
    distance = jnp.where(sloping, distance, jnp.inf)
    chosen = jnp.argmin(distance, axis=1)

    def take(array: Array) -> Array:
        return jnp.take_along_axis(array, each(chosen, array), axis=1)[:, 0]

    return take(ahead), take(slopes), take(steepness)


def _differences(z: Array, pull_back: object, leave: Array, reach: Array) -> Linear:
    classes = z.shape[1]

    def slope(reach: Array) -> Array:
        up = jax.nn.one_hot(reach, classes, dtype=z.dtype)
        down = jax.nn.one_hot(leave[:, 0], classes, dtype=z.dtype)
        (gradient,) = pull_back(up - down)  # type: ignore[operator]
        return gradient

    slopes = jax.vmap(slope, in_axes=1, out_axes=1)(reach)
    ahead = jnp.take_along_axis(z, reach, axis=1) - jnp.take_along_axis(
        z, leave, axis=1
    )
    return Linear(z, ahead.astype(slopes.dtype), slopes)
