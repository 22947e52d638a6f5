"""Shortens a perturbation to where the model's answer turns, by looks along it.

Attacks for the least distance end with it. A look asks for the margin at a fraction of
the perturbation; the secant of the last margins on either side tells where to look
next (the Illinois rule: regula falsi, and a side that stays twice counts half). The
last look backs off: it is `BACK_OFF` of the perturbation's length further from the
image than the nearest adversary seen, and only a point that was seen there to be an
adversary replaces the one that was given.

A clear adversary is one whose margin rounding cannot turn, in another batch or outside
jit: it is above what the margin would change by if every pixel, and the logits, were
off by one unit in the last place (`rounding`), all in the worst direction. An adversary
that is not clear is still one: it is kept until a clear one is met.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import losses
from zeroone_jax.attacks.perturbation import each, size
from zeroone_jax.types import Array, LogitsFn

LOOKS = 6
"""Looks in all, the last to confirm."""

BACK_OFF = 1e-4
"""How much longer an adversary's perturbation is than the shortest one seen."""


class Shortening(NamedTuple):
    """What was found, and where along its perturbation the answer turns.

    Attributes:
        length: float [n], the size of the perturbation of the nearest clear adversary
            that the search met, infinite before it.
        unclear: float [n], the same of adversaries that are not clear, which are looked
            for as long as no clear one is met.
        low: float [n], the largest fraction seen that is no adversary, first 0.
        high: float [n], the smallest fraction seen that is an adversary, first 1.
        low_margin: float [n], the margin at `low`, below 0 (or halved).
        high_margin: float [n], the margin at `high`, above 0 (or halved).
        rounding: float [n], what rounding may change a margin by.
        aim: float [n], the margin to search for: `rounding` where the logits are
            coarser than the images, so that searches end at clear adversaries; else 0.
        last_clear: bool [n], whether the last look met an adversary.
        left: i32 [n], looks to come.
    """

    length: Array
    unclear: Array
    low: Array
    high: Array
    low_margin: Array
    high_margin: Array
    rounding: Array
    aim: Array
    last_clear: Array
    left: Array


def margins(fn: LogitsFn, points: Array, y: Array) -> tuple[Array, Array]:
    """Computes margins as exactly as the images' type allows.

    Args:
        fn: the model.
        points: float [n, ...].
        y: i32 [n].

    Returns:
        How far the best other class is ahead of y, float [n], and the logits as the
        model gave them, float [n, k].
    """
    z = losses.as_logits(fn(points))
    margin = losses.margin(losses.widened(z, points), y)
    return margin.astype(points.dtype), z


def begin(
    margin: Callable[[Array], tuple[Array, Array]], x: Array
) -> tuple[Shortening, Array, Array]:
    """Begins, before there is an adversary, at the price of one query.

    Args:
        margin: of points, the margins, float [n], above 0 only for adversaries, and the
            logits, float [n, k].
        x: float [n, ...], the images.

    Returns:
        The `Shortening`, the logits of the images, and the margins' slopes there, float
        [n, ...].
    """

    def total(points: Array) -> tuple[Array, tuple[Array, Array]]:
        found, z = margin(points)
        return jnp.sum(found), (found.astype(x.dtype), z)

    slope, (at_x, z) = jax.grad(total, has_aux=True)(x)
    # Classes that are masked by -inf are not computed with.
    finite = jnp.where(jnp.isfinite(z), jnp.abs(z), 0)
    largest = jnp.max(finite, axis=1).astype(x.dtype)
    unit = float(jnp.finfo(x.dtype).eps)
    logits_unit = max(unit, float(jnp.finfo(z.dtype).eps))
    rounding = unit * size(slope * x, "l1") + logits_unit * largest
    rounding = jnp.where(jnp.isfinite(rounding), rounding, 0)
    zero = jnp.zeros_like(at_x)
    shortening = Shortening(
        length=zero + jnp.inf,
        unclear=zero + jnp.inf,
        low=zero,
        high=zero + 1,
        low_margin=at_x,
        high_margin=zero,
        rounding=rounding,
        aim=rounding if logits_unit > unit else zero,
        last_clear=jnp.zeros(at_x.shape, bool),
        left=jnp.full(at_x.shape, LOOKS, jnp.int32),
    )
    return shortening, z, slope


def clear(shortening: Shortening, margin: Array, broken: Array) -> Array:
    """Whether points are adversaries that rounding cannot turn.

    Args:
        shortening: of their images.
        margin: float [n], of the points.
        broken: bool [n], whether their labels are what the attack wants.

    Returns:
        bool [n].
    """
    return broken & (margin > shortening.rounding)


def meet(
    shortening: Shortening, margin: Array, broken: Array, length: Array
) -> tuple[Shortening, Array]:
    """Takes in a point that the search came to, before the looks begin.

    Args:
        shortening: what is known.
        margin: float [n], of the point.
        broken: bool [n], whether its label is what the attack wants.
        length: float [n], the size of its perturbation.

    Returns:
        The `Shortening`, and whether the point is the adversary to keep, bool [n]: the
        nearest clear one or, before there is any, the nearest one.
    """
    is_clear = clear(shortening, margin, broken)
    nearer = is_clear & (length < shortening.length)
    before = jnp.isinf(shortening.length) & (length < shortening.unclear)
    unclear = broken & ~is_clear & (margin >= 0) & before
    met = shortening._replace(
        length=jnp.where(nearer, length, shortening.length),
        unclear=jnp.where(unclear, length, shortening.unclear),
        high_margin=jnp.where(nearer | unclear, margin, shortening.high_margin),
    )
    return met, nearer | unclear


def kept_length(shortening: Shortening) -> Array:
    """The size of the kept adversary's perturbation, float [n], infinite without."""
    any_clear = jnp.isfinite(shortening.length)
    return jnp.where(any_clear, shortening.length, shortening.unclear)


def look_at(shortening: Shortening, x: Array, adversary: Array) -> Array:
    """The points to look at next, float [n, ...] in [0,1].

    Args:
        shortening: what is known.
        x: float [n, ...], the images.
        adversary: float [n, ...], the ends of the perturbations, the same at every
            look.

    Returns:
        float [n, ...].
    """
    fraction = each(_fraction(shortening), x)
    return jnp.clip(x + fraction * (adversary - x), 0, 1)


def update(
    shortening: Shortening, margin: Array, broken: Array
) -> tuple[Shortening, Array]:
    """Takes in what a look has shown.

    Args:
        shortening: as it was for `look_at`.
        margin: float [n], there.
        broken: bool [n], whether its label is what the attack wants.

    Returns:
        The `Shortening`, with one look less left, and whether this was the last look
        and its point the adversary to keep, bool [n].
    """
    is_clear = clear(shortening, margin, broken)
    # What the secant looks for is not 0, but where margins become clear.
    margin = margin - shortening.rounding
    fraction = _fraction(shortening)
    again = is_clear == shortening.last_clear
    low_margin = shortening.low_margin * jnp.where(again & is_clear, 0.5, 1)
    high_margin = shortening.high_margin * jnp.where(again & ~is_clear, 0.5, 1)
    updated = shortening._replace(
        low=jnp.where(is_clear, shortening.low, fraction),
        high=jnp.where(is_clear, fraction, shortening.high),
        low_margin=jnp.where(is_clear, low_margin, jnp.minimum(margin, 0)),
        high_margin=jnp.where(is_clear, margin, high_margin),
        last_clear=is_clear,
        left=shortening.left - 1,
    )
    return updated, is_clear & (updated.left == 0)


def _fraction(shortening: Shortening) -> Array:
    low, high = shortening.low, shortening.high
    below, above = shortening.low_margin, shortening.high_margin
    width = high - low
    drop = above - below
    usable = (drop > 0) & jnp.isfinite(drop)
    share = jnp.where(usable, -below / jnp.where(usable, drop, 1), 0.5)
    # A little beyond the secant's zero, where an adversary is to be expected.
    secant = (low + width * jnp.clip(share, 0, 1)) * (1 + BACK_OFF)
    inside = (secant > low) & (secant < high)
    trial = jnp.where(inside, secant, (low + high) / 2)
    return jnp.where(shortening.left > 1, trial, high * (1 + BACK_OFF))
