"""Half circles from a boundary point to its image, and the search along them.

CGBA and SurFree turn the direction in which the adversary lies towards another one, and
come nearer at the same time: along the circle whose diameter leads from the image to
the adversary. By Thales' theorem that circle passes through the foot of the
perpendicular to every line through the adversary: where the boundary is flat, its
nearest point in the plane of both directions is the last one on the circle before the
labels turn.
"""

from typing import NamedTuple

import jax.numpy as jnp

from zeroone_jax.attacks.oracle import Hits, halve
from zeroone_jax.attacks.perturbation import each, size
from zeroone_jax.types import Array

# At a right angle a half circle ends, at the image itself.
LARGEST_ANGLE = 1.5


class Arc(NamedTuple):
    """Half circles, one for each image.

    Attributes:
        x: float [n, ...], the images, where they end.
        distance: float [n], of the adversaries, where they start.
        outward: float [n, ...] of L2 norm 1, from image to adversary.
        sideways: float [n, ...] of L2 norm 1 (or 0), orthogonal to `outward`.
    """

    x: Array
    distance: Array
    outward: Array
    sideways: Array

    @classmethod
    def between(cls, x: Array, point: Array, towards: Array) -> "Arc":
        """Makes them.

        Args:
            x: float [n, ...], the images.
            point: float [n, ...], the adversaries.
            towards: float [n, ...], what to turn to.
        """
        distance = size(point - x, "l2")
        outward = unit(point - x)
        along = jnp.sum((towards * outward).reshape(len(x), -1), axis=1)
        return cls(x, distance, outward, unit(towards - each(along, x) * outward))

    def at(self, angle: Array) -> Array:
        """Points float [n, ...] in the box, of angles float [n] from `outward`."""
        cosine, sine = each(jnp.cos(angle), self.x), each(jnp.sin(angle), self.x)
        turned = cosine * self.outward + sine * self.sideways
        return jnp.clip(self.x + each(self.distance, self.x) * cosine * turned, 0, 1)


class Turned(NamedTuple):
    """How far hits were found.

    Attributes:
        angle: float [n], the largest one seen whose point is a hit; 0 for none.
        queries: i32 [n], used so far.
    """

    angle: Array
    queries: Array


def unit(vectors: Array) -> Array:
    """Vectors float [n, ...] over their L2 norms; 0 stays 0."""
    length = size(vectors, "l2")
    return vectors / each(jnp.where(length > 0, length, 1), vectors)


def turn(
    hits: Hits,
    arc: Arc,
    low: Array,
    high: Array,
    active: Array,
    tolerance: Array,
    queries: Array,
    budget: Array,
) -> Turned:
    """Halves between an angle whose point is a hit and one whose point is none.

    Args:
        hits: tells hits.
        arc: the half circles.
        low: float [n], angles of hits, below 0 to turn the other way.
        high: float [n], angles of no hits, or 1.5 times the right direction.
        active: bool [n], which ones to halve; the others stay at `low`.
        tolerance: float [n], the angle at which to stop.
        queries: i32 [n], used so far.
        budget: i32 [n], what may be used in all.
    """
    width = jnp.abs(high - low)

    def angle(left: Array) -> Array:
        return high + left * (low - high)

    share = tolerance / jnp.where(width > 0, width, 1)
    left, queries = halve(
        hits,
        lambda left: arc.at(angle(left)),
        jnp.ones_like(low),
        active & (width > 0),
        share,
        queries,
        budget,
    )
    return Turned(jnp.where(active, angle(left), low), queries)
