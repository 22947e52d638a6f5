"""Shortens a perturbation to where the model's answer turns, by looks along it.

Attacks for the least distance end with it. A look asks for the margin at a fraction of
the perturbation; the secant of the last margins on either side tells where to look
next (the Illinois rule: regula falsi, and a side that stays twice counts half). The
last look backs off: it is `BACK_OFF` of the perturbation's length further from the
image than the nearest adversary seen, and only a point that was seen there to be an
adversary replaces the one that was given. Along the way an adversary is one whose
margin is above 8 units in the last place of its largest logit, at the end above 4:
rounding shall not turn it.
"""

from typing import NamedTuple

import jax.numpy as jnp

from zeroone_jax.attacks.perturbation import each
from zeroone_jax.types import Array

LOOKS = 6
"""Looks in all, the last to confirm."""

BACK_OFF = 1e-4
"""How much longer an adversary's perturbation is than the shortest one seen."""


class Shortening(NamedTuple):
    """Where along the perturbation the answer turns.

    Attributes:
        low: float [n], the largest fraction seen that is no adversary, first 0.
        high: float [n], the smallest fraction seen that is an adversary, first 1.
        low_margin: float [n], the margin at `low`, below 0 (or halved).
        high_margin: float [n], the margin at `high`, above 0 (or halved).
        last_broken: bool [n], whether the last look met an adversary.
        left: i32 [n], looks to come.
    """

    low: Array
    high: Array
    low_margin: Array
    high_margin: Array
    last_broken: Array
    left: Array


def begin(margin: Array) -> Shortening:
    """Begins, before there is an adversary.

    Args:
        margin: float [n], by how much the images themselves are not adversaries, a
            number below 0. `high_margin` is to be set when an adversary is met.

    Returns:
        The `Shortening`.
    """
    zero = jnp.zeros_like(margin)
    return Shortening(
        low=zero,
        high=zero + 1,
        low_margin=margin,
        high_margin=zero,
        last_broken=jnp.zeros(margin.shape, bool),
        left=jnp.full(margin.shape, LOOKS, jnp.int32),
    )


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
    shortening: Shortening, z: Array, margin: Array, broken: Array
) -> tuple[Shortening, Array]:
    """Takes in what a look has shown.

    Args:
        shortening: as it was for `look_at`.
        z: float [n, k], the logits there.
        margin: float [n], there.
        broken: bool [n], whether the point is an adversary.

    Returns:
        The `Shortening`, with one look less left, and whether this was the last look
        and its point the adversary to keep, bool [n].
    """
    unit = jnp.finfo(z.dtype).eps * jnp.max(jnp.abs(z), axis=1).astype(margin.dtype)
    margin = margin - 8 * unit
    clear = broken & (margin > 0)
    confirmed = broken & (margin > -4 * unit) & (shortening.left == 1)
    fraction = _fraction(shortening)
    again = clear == shortening.last_broken
    low_margin = shortening.low_margin * jnp.where(again & clear, 0.5, 1)
    high_margin = shortening.high_margin * jnp.where(again & ~clear, 0.5, 1)
    updated = Shortening(
        low=jnp.where(clear, shortening.low, fraction),
        high=jnp.where(clear, fraction, shortening.high),
        low_margin=jnp.where(clear, low_margin, jnp.minimum(margin, 0)),
        high_margin=jnp.where(clear, margin, high_margin),
        last_broken=clear,
        left=shortening.left - 1,
    )
    return updated, confirmed


def _fraction(shortening: Shortening) -> Array:
    low, high, below, above = shortening[:4]
    width = high - low
    drop = above - below
    usable = (drop > 0) & jnp.isfinite(drop)
    share = jnp.where(usable, -below / jnp.where(usable, drop, 1), 0.5)
    # A little beyond the secant's zero, where an adversary is to be expected.
    secant = (low + width * jnp.clip(share, 0, 1)) * (1 + BACK_OFF)
    inside = (secant > low) & (secant < high)
    trial = jnp.where(inside, secant, (low + high) / 2)
    return jnp.where(shortening.left > 1, trial, high * (1 + BACK_OFF))
