"""What AutoPGD keeps from step to step, and what it tells."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp

from zeroone_jax.attacks import apgd_l1
from zeroone_jax.attacks.perturbation import Norm
from zeroone_jax.types import Array


class Memory(NamedTuple):
    """AutoPGD's own state; all but `loss` begin anew in each restart, or phase of L1.

    Attributes:
        point: float [n, ...], the iterate, not evaluated yet.
        previous: float [n, ...], the iterate before.
        highest_point: float [n, ...], the iterate of the restart's highest loss.
        highest_gradient: float [n, ...], the gradient there.
        highest: float [n], the loss there.
        last: float [n], the loss at `previous`.
        rises: i32 [n], moves since the last checkpoint that raised the loss.
        checked_highest: float [n], `highest` at the last checkpoint.
        halved: bool [n], whether the step size was halved there; in L1, whether the
            best point had become sparser. The search goes on from that point.
        step_size: float [n].
        sparsity: of steps and points in L1 (`apgd_l1.Sparsity`), else empty.
        stretch: float [n], of the logits (`climb.stretch`), by the restart's first
            point.
        targets: i32 [n, t], the classes to reach, one a restart; t is 0 where the loss
            names none.
        loss: float [n], the highest of all restarts, of `State.adversary`.
    """

    point: Array
    previous: Array
    highest_point: Array
    highest_gradient: Array
    highest: Array
    last: Array
    rises: Array
    checked_highest: Array
    halved: Array
    step_size: Array
    sparsity: Any
    stretch: Array
    targets: Array
    loss: Array


class Info(NamedTuple):
    """What a step saw.

    Attributes:
        loss: float [n], what is climbed, at the point the step came to; of
            "cross_entropy" it is `losses.soft_margin`.
        highest: float [n], the restart's highest loss so far.
        labels: i32 [n], at the point.
        gradient_size: float [n], the largest absolute slope there.
        step_size: float [n], of the next move.
    """

    loss: Array
    highest: Array
    labels: Array
    gradient_size: Array
    step_size: Array


def fresh(point: Array, targets: Array, step_size: Array, norm: Norm) -> Memory:
    """Makes the memory of a restart, before its first point is looked at.

    Args:
        point: float [n, ...], the first points.
        targets: i32 [n, t].
        step_size: float [n].
        norm: the ball's.

    Returns:
        The `Memory`.
    """
    lowest = jnp.full(point.shape[:1], -math.inf, point.dtype)
    return Memory(
        point=point,
        previous=point,
        highest_point=point,
        highest_gradient=jnp.zeros_like(point),
        highest=lowest,
        last=lowest,
        rises=jnp.zeros(point.shape[:1], jnp.int32),
        checked_highest=lowest,
        halved=jnp.zeros(point.shape[:1], bool),
        step_size=step_size,
        sparsity=apgd_l1.first(point) if norm == "l1" else (),
        stretch=jnp.ones_like(lowest),
        targets=targets,
        loss=lowest,
    )
