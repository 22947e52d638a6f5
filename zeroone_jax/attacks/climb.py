"""What attacks that climb a loss inside a ball share: losses, first points, steps."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from zeroone_jax import losses
from zeroone_jax.attacks.perturbation import (
    Norm,
    each,
    largest_radius,
    radius,
    room,
)
from zeroone_jax.types import Array, Number

Loss: TypeAlias = (
    Literal["margin", "cross_entropy", "dlr"] | Callable[[Array, Array], Array]
)
"""The name of a loss, or a function of outputs float [n, k] and y i32 [n] to [n]."""

_SMALL, _ORDINARY = 0.1, 20.0
"""Logits of a range below the one are stretched to the other for the cross-entropy."""

LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    "margin": losses.margin,
    # The same direction as the cross-entropy's, which a confident model rounds to 0.
    "cross_entropy": losses.soft_margin,
    "dlr": losses.difference_of_logits_ratio,
}
"""What is climbed for a name (of a targeted attack: descended, with y the target)."""


def check(loss: Any, names: tuple[str, ...]) -> None:
    """Checks a loss.

    Args:
        loss: a name or a function.
        names: those allowed.

    Raises:
        ValueError: it is neither.
    """
    if not callable(loss):
        choices = ", ".join(map(repr, names))
        if loss not in names:
            raise ValueError(
                f"loss is {loss!r}, but must be one of {choices}, or a function of "
                "outputs [n, k] and y [n]"
            )


def stretch(loss: Any, outputs: Array, before: Array, first: Array) -> Array:
    """By how much the cross-entropy stretches logits, float [n], 1 for ordinary ones.

    Of logits nearly equal it would raise all other classes alike, not the best one.

    Args:
        loss: what is climbed; other losses stretch nothing.
        outputs: float [n, k], [n] or [n, 1], of the model.
        before: float [n], what was said at a restart's first points.
        first: bool [], whether the outputs are those of a restart's first points.
    """
    if loss != "cross_entropy":
        return before
    z = jax.lax.stop_gradient(losses.as_logits(outputs))
    finite = jnp.isfinite(z)
    highest = jnp.max(jnp.where(finite, z, -jnp.inf), axis=1)
    lowest = jnp.min(jnp.where(finite, z, jnp.inf), axis=1)
    width = highest - lowest
    small = (width > 0) & (width < _SMALL)
    stretched = jnp.where(small, _ORDINARY / jnp.where(small, width, 1), 1)
    return jnp.where(first, stretched, before)


def value(loss: Loss, outputs: Array, y: Array, stretched: Array) -> Array:
    """Computes what is climbed.

    Args:
        loss: a name in `LOSSES`, or a function.
        outputs: float [n, k], [n] or [n, 1], of the model.
        y: i32 [n].
        stretched: float [n], what `stretch` said; for the cross-entropy only.

    Returns:
        float [n], of the outputs' type.

    Raises:
        ValueError: a function of the user returned another shape.
    """
    if loss == "cross_entropy":
        z = losses.as_logits(outputs)
        return LOSSES[loss](z * stretched[:, None], y) / stretched
    if not callable(loss):
        return LOSSES[loss](outputs, y)
    found = loss(losses.as_logits(outputs), y)
    if jnp.shape(found) != y.shape:
        raise ValueError(
            f"the loss returns shape {jnp.shape(found)} for {len(y)} images, but must "
            f"return [{len(y)}]"
        )
    return found.astype(outputs.dtype)


def reach(x: Array, epsilon: Number, norm: Norm, fit_box: bool) -> Array:
    """How far steps of Linf go in each pixel, for ball or box may leave less room.

    Args:
        x: float [n, ...], the images.
        epsilon: the ball's radius, as for `perturbation.radius`.
        norm: the ball's.
        fit_box: whether to look at the box.

    Returns:
        float [n, ...] or [], in units of a step in the widest pixel in the middle of
        the box: in Linf the width of what ball and box leave each pixel, in units of
        the ball's.
    """
    own = radius(epsilon, x)
    widest = each(largest_radius(epsilon, x), x)
    widest = jnp.where(widest > 0, widest, 1)
    if norm == "linf" and fit_box:
        down, up = room(x, own)
        return (down + up) / (2 * widest)
    if own.shape == x.shape:
        return own / widest
    return jnp.ones((), x.dtype)
