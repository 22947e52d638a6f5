"""The model seen as linear: how far a class is ahead, and the slope of that."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import checks, losses
from zeroone_jax.attacks.perturbation import Norm, each, finite, size
from zeroone_jax.types import Array, LogitsFn

_DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}

_BLOCK = 16
"""Classes whose slopes are in memory together."""


class Hyperplane(NamedTuple):
    """Where, in the model made linear around a point, a class draws level.

    Attributes:
        logits: float [n, k], of the points.
        ahead: float [n], by how much the logit of the class to reach is higher than
            that of the class to leave.
        slope: float [n, ...], the gradient of `ahead` in the point.
        steepness: float [n], the slope's size in the dual norm: the hyperplane is
            `|ahead|` over it away, the box left aside. 0 where no class has a slope.
    """

    logits: Array
    ahead: Array
    slope: Array
    steepness: Array


def nearest(
    fn: LogitsFn, points: Array, leave: Array, reach: Array, norm: Norm
) -> Hyperplane:
    """Finds the nearest hyperplane of several classes, at the price of c gradients.

    Slopes of `_BLOCK` classes are in memory at a time, however many there are.

    Args:
        fn: the model.
        points: float [n, ...].
        leave: i32 [n].
        reach: i32 [n, c].
        norm: how distance is measured.

    Returns:
        The `Hyperplane`.
    """
    z, pull_back = _logits(fn, points)

    def of(classes: Array) -> Hyperplane:
        return _nearest(z, pull_back, leave, classes, norm)

    count = reach.shape[1]
    if count <= _BLOCK:
        return of(reach)
    # What is missing in the last block is filled with a class that is there already.
    filled = jnp.pad(reach, ((0, 0), (0, -count % _BLOCK)), mode="edge")
    blocks = filled.reshape(len(reach), -1, _BLOCK).swapaxes(0, 1)

    def compare(best: Hyperplane, classes: Array) -> tuple[Hyperplane, None]:
        new = of(classes)
        nearer = _distance(new) < _distance(best)
        taken = (
            jnp.where(each(nearer, a), a, b)
            for a, b in zip(new[1:], best[1:], strict=True)
        )
        return Hyperplane(z, *taken), None

    return jax.lax.scan(compare, of(blocks[0]), blocks[1:])[0]


def best_other_than(
    fn: LogitsFn, points: Array, target: Array, norm: Norm
) -> Hyperplane:
    """Compares the target with the best of the other classes at the points.

    Args:
        fn: the model.
        points: float [n, ...].
        target: i32 [n].
        norm: how distance is measured.

    Returns:
        The `Hyperplane`.
    """
    z, pull_back = _logits(fn, points)
    best = ranking(z, target)[:, 0]
    return _nearest(z, pull_back, best, target[:, None], norm)


def check_candidates(candidates: int) -> None:
    """Refuses a number of classes to look at that leaves none beside the image's own.

    Raises:
        ValueError: it is no whole number, or below 2.
    """
    checks.counts(candidates=candidates)
    if candidates < 2:
        raise ValueError(
            f"candidates is {candidates}, but must be at least 2, the image's class "
            "and another"
        )


def ranking(z: Array, y: Array) -> Array:
    """The classes other than y by their logits, the highest first.

    Args:
        z: float [n, k].
        y: i32 [n].

    Returns:
        i32 [n, k - 1].
    """
    classes = jnp.arange(z.shape[1], dtype=jnp.int32)[None, :]
    # Classes masked by -inf come behind all others, but before y.
    masked = jnp.minimum(-z, jnp.finfo(z.dtype).max)
    last = jnp.where(classes == y[:, None], jnp.inf, masked)
    return jnp.argsort(last, axis=1)[:, :-1].astype(jnp.int32)


def steepness(slopes: Array, norm: Norm) -> Array:
    """The sizes of slopes float [n, ...] in the dual norm, float [n].

    No square under- or overflows, whatever the scale of the logits.
    """
    dual = _DUAL[norm]
    if dual != "l2":
        return size(slopes, dual)
    # In units of a power of two, which changes no digit.
    exponent = jnp.frexp(size(slopes, "linf"))[1]
    unit = jnp.ldexp(jnp.ones(exponent.shape, slopes.dtype), exponent - 1)
    return size(slopes / each(unit, slopes), "l2") * unit


def _logits(fn: LogitsFn, points: Array) -> tuple[Array, Callable[[Array], Any]]:
    """The logits, no coarser than the points, and what pulls slopes back from them."""

    def logits(points: Array) -> Array:
        return losses.widened(losses.as_logits(fn(points)), points)

    return jax.vjp(logits, points)


def _distance(plane: Hyperplane) -> Array:
    sloping = plane.steepness > 0
    distance = jnp.abs(plane.ahead) / jnp.where(sloping, plane.steepness, 1)
    return jnp.where(sloping, distance, jnp.inf)


def _nearest(
    z: Array,
    pull_back: Callable[[Array], Any],
    leave: Array,
    reach: Array,
    norm: Norm,
) -> Hyperplane:
    """The nearest of the hyperplanes of classes i32 [n, c], all at once."""
    classes = z.shape[1]

    def slope(reach: Array) -> Array:
        up = jax.nn.one_hot(reach, classes, dtype=z.dtype)
        down = jax.nn.one_hot(leave, classes, dtype=z.dtype)
        (gradient,) = pull_back(up - down)
        return finite(gradient)

    slopes = jax.vmap(slope, in_axes=1, out_axes=1)(reach)
    ahead = jnp.take_along_axis(z, reach, axis=1) - losses.of_class(z, leave)[:, None]
    every = slopes.reshape(-1, *slopes.shape[2:])
    planes = Hyperplane(
        z,
        ahead.astype(slopes.dtype),
        slopes,
        steepness(every, norm).reshape(ahead.shape),
    )
    chosen = jnp.argmin(_distance(planes), axis=1)

    def take(array: Array) -> Array:
        return jnp.take_along_axis(array, each(chosen, array), axis=1)[:, 0]

    return Hyperplane(z, *map(take, planes[1:]))
