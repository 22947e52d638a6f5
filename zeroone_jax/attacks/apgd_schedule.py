"""AutoPGD's plan of a restart: its phases, their radii, and where step sizes change."""

from typing import NamedTuple

import numpy as np

from zeroone_jax.attacks.perturbation import Norm

_L1_PHASES = ((0.3, 3.0), (0.3, 2.0))
"""In L1: the shares of the moves and the radii, in units of epsilon, of the phases
before the one that has the rest of the moves."""

_L1_WINDOW = 0.04
"""In L1: the share of a phase's moves between two checkpoints."""


class Schedule(NamedTuple):
    """A restart, point by point.

    Attributes:
        turn: i32 [m], how many moves of the phase led to the point.
        ends: bool [m], whether it is the last one of the phase, which no move leaves.
        window: i32 [m], moves since the last checkpoint where the point is one, else 0.
        factor: float64 [m], the radius in units of epsilon.
    """

    turn: np.ndarray
    ends: np.ndarray
    window: np.ndarray
    factor: np.ndarray


def schedule(iterations: int, norm: Norm) -> Schedule:
    """Plans a restart of so many moves."""
    if norm != "l1":
        return one_phase(iterations, norm)
    moves = [int(share * iterations) for share, _ in _L1_PHASES]
    moves.append(iterations - sum(moves))
    factors = [*(factor for _, factor in _L1_PHASES), 1.0]
    parts = [
        one_phase(count, norm, factor)
        for count, factor in zip(moves, factors, strict=True)
        if count
    ]
    return Schedule(*map(np.concatenate, zip(*parts, strict=True)))


def checkpoints(iterations: int) -> tuple[int, ...]:
    """The moves after which the step size is looked at in Linf and L2 (section 3.2).

    `ceil(p_j iterations)` with p_0 = 0, p_1 = .22 and
    `p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06)`, below 1.
    """
    # In hundredths, so that no rounding moves a checkpoint.
    before, share, found = 0, 22, []
    while share < 100:
        found.append(-(-share * iterations // 100))
        before, share = share, share + max(share - before - 3, 6)
    return tuple(sorted(set(found)))


def one_phase(moves: int, norm: Norm, factor: float = 1.0) -> Schedule:
    """Plans so many moves in one radius, in units of epsilon."""
    turn = np.arange(moves + 1, dtype=np.int32)
    window = np.zeros_like(turn)
    if norm == "l1":
        every = max(int(_L1_WINDOW * moves), 1)
        window[every::every] = every
    else:
        places = checkpoints(moves)
        window[list(places)] = np.diff((0, *places))
    return Schedule(turn, turn == moves, window, np.full(len(turn), factor))
