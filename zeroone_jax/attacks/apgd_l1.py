"""What AutoPGD does otherwise in L1: sparse steps, as sparse as the best point.

Croce and Hein 2021, "Mind the box: l1-APGD for sparse adversarial attacks on image
classifiers", Algorithm 1; numbers as in the authors' program.
"""

from typing import NamedTuple

import jax.numpy as jnp

from zeroone_jax.attacks import sparse
from zeroone_jax.attacks.perturbation import each, finite, size
from zeroone_jax.types import Array

_FIRST_SHARE = 0.2
"""The share of the values that steps move at first."""

_FEWER_MOVED = 1.5
"""A step moves so many times fewer values than the best point changes."""

_SPARSER = 0.95
"""Below this share of the changes at the last checkpoint, the best point is sparser."""

_STEP_FALLS, _LEAST_STEP = 1.5, 0.1
"""The step is divided by the one, and is at least the other times the radius."""


class Sparsity(NamedTuple):
    """How sparse steps and points are.

    Attributes:
        moved: float [n], how many values a step moves.
        changed: float [n], how many the best point changed at the last checkpoint.
    """

    moved: Array
    changed: Array


def first(x: Array) -> Sparsity:
    """That of a restart, for images [n, ...]."""
    values = jnp.full(x.shape[:1], x[0].size, x.dtype)
    return Sparsity(_FIRST_SHARE * values, values)


def of(best: Array, x: Array) -> Sparsity:
    """That of a point, float [n, ...], from which a phase begins or goes on."""
    changed = size(best - x, "l0")
    return Sparsity(changed / _FEWER_MOVED, changed)


def checked(
    sparsity: Sparsity, best: Array, x: Array, step_size: Array, radius: Array
) -> tuple[Sparsity, Array, Array]:
    """Looks at how sparse the best point has become.

    Args:
        sparsity: at the last checkpoint.
        best: float [n, ...], the point of the highest loss.
        x: float [n, ...], the images.
        step_size: float [n].
        radius: float [n], the ball's.

    Returns:
        The `Sparsity`; the step size, which becomes the radius where the best point is
        sparser than it was, and falls elsewhere; and where it is sparser, bool [n].
    """
    now = of(best, x)
    sparser = now.changed < _SPARSER * sparsity.changed
    fallen = jnp.maximum(step_size / _STEP_FALLS, _LEAST_STEP * radius)
    return now, jnp.where(sparser, radius, fallen), sparser


def move(point: Array, gradient: Array, moved: Array, length: Array) -> Array:
    """A step up that moves the values of the largest slopes alike.

    Values at the border of the box that the slope leads out of it are not counted among
    them; the authors' program does, and moves as many less.

    Args:
        point: float [n, ...] in [0,1].
        gradient: float [n, ...]. Slopes that are not finite count as 0.
        moved: float [n], how many values to move; rounded down, and one at least. (The
            authors' program rounds up: from two values it never comes to one.)
        length: float [n], of the step, in L1.

    Returns:
        float [n, ...].
    """
    # Rounding shall not decide which values are at the border.
    near = 4 * float(jnp.finfo(point.dtype).eps)
    outward = (point <= near) & (gradient < 0)
    outward |= (point >= 1 - near) & (gradient > 0)
    slope = jnp.where(outward, 0, finite(gradient))
    count = jnp.maximum(jnp.floor(moved), 1)
    signs = jnp.sign(sparse.keep_largest(slope, count, "l0"))
    return signs * each(length / jnp.maximum(size(signs, "l1"), 1), point)
