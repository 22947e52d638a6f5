"""Adversaries that stay adversaries when they are saved as an image.

An image file holds whole numbers, as a rule 0 to 255. Rounded to them, about half of
the adversaries of least distance are none any more, and others leave the ball. `settle`
therefore looks for one on the grid: it makes the perturbation a little longer or
shorter, rounds, and takes the first point that is inside the ball and an adversary.
"""

from collections.abc import Callable

import jax.numpy as jnp

from zeroone_jax import loops
from zeroone_jax.attacks.perturbation import (
    Norm,
    each,
    inside,
    radius,
)
from zeroone_jax.attacks.state import State
from zeroone_jax.types import Array, Number

LENGTHS = (1.0, 1.01, 1.03, 1.06, 1.1, 1.2, 1.4, 2.0, 0.99, 0.97, 0.94, 0.9)
"""How much longer the perturbation is made before it is rounded, in this order."""

TOLERANCE = 1e-6
"""By how much of epsilon rounding may lengthen a perturbation on the grid."""

_ROUNDING = 1e-4
"""Share of a step of the grid within which a number counts as on it."""


def settle(
    hits: Callable[[Array, Array], Array],
    state: State,
    levels: int,
    epsilon: Number | None,
    norm: Norm,
) -> State:
    """Brings adversaries onto the grid.

    Args:
        hits: points [n, ...], and which of them to ask about, bool [n], to whether they
            are adversaries, bool [n].
        state: as `finish` left it.
        levels: the largest whole number of the grid, 255 for images of eight bits.
        epsilon: the radius, as for `perturbation.radius`, or None.
        norm: of the ball.

    Returns:
        The state with `found` only where there is an adversary on the grid. It costs
        an image at most `len(LENGTHS)` queries.
    """
    lengths = jnp.asarray(LENGTHS, state.x.dtype)
    perturbation = state.adversary - state.x
    none = jnp.zeros_like(state.found)

    def searching(carry: tuple[Array, Array, Array, Array]) -> Array:
        turn, _, hit, _ = carry
        return state.found & ~hit & (turn < len(LENGTHS))

    def look(
        carry: tuple[Array, Array, Array, Array],
    ) -> tuple[Array, Array, Array, Array]:
        turn, adversary, hit, queries = carry
        point = state.x + lengths[turn] * perturbation
        point = rounded(point, state.x, levels, epsilon, norm)
        asking = searching(carry) & inside_ball(point - state.x, epsilon, norm)
        found = asking & hits(point, asking)
        return (
            turn + 1,
            jnp.where(each(found, point), point, adversary),
            hit | found,
            queries + asking.astype(jnp.int32),
        )

    _, adversary, hit, queries = loops.while_loop(
        lambda carry: jnp.any(searching(carry)),
        look,
        (jnp.asarray(0, jnp.int32), state.x, none, state.queries),
    )
    return state._replace(adversary=adversary, found=hit, queries=queries)


def rounded(
    point: Array, x: Array, levels: int, epsilon: Number | None, norm: Norm
) -> Array:
    """Rounds points to the grid, in Linf to that part of it that is in the ball.

    Args:
        point: float [n, ...].
        x: float [n, ...] in [0,1], on the grid or not.
        levels: the largest whole number of the grid.
        epsilon: the radius, as for `perturbation.radius`, or None.
        norm: of the ball.

    Returns:
        float [n, ...], whole numbers over `levels`.
    """
    steps = jnp.round(point * levels)
    if norm == "linf" and epsilon is not None:
        own = radius(epsilon, x)
        low = jnp.ceil((x - own) * levels - _ROUNDING)
        high = jnp.floor((x + own) * levels + _ROUNDING)
        steps = jnp.clip(steps, low, high)
    return jnp.clip(steps, 0, levels) / levels


def inside_ball(perturbation: Array, epsilon: Number | None, norm: Norm) -> Array:
    """Whether perturbations between grid points are inside the ball, bool [n].

    Two numbers of the grid are written as floats, and their difference may be above
    epsilon by rounding alone.
    """
    if epsilon is None:
        return jnp.ones(len(perturbation), bool)
    return inside(perturbation, radius(epsilon, perturbation) * (1 + TOLERANCE), norm)
