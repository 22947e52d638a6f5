"""Cells: the points at which every unit that matters is on a given side.

The nearest point of a cell is a small convex problem, so an adversary is sharpened by
going to the nearest point of its own cell, and on to cells beside it where that helps:
those in which one of the units that hold it back is on its other side.
"""

import dataclasses
from typing import Self, TypeAlias

import numpy as np

from zeroone_jax.verification.nearest import Nearest, Solver
from zeroone_jax.verification.networks import Bools, Floats, Image, Ints


@dataclasses.dataclass(frozen=True)
class Target:
    """What has to flip.

    Attributes:
        image: the image.
        votes: int [votes], 1 for votes that must flip, -1 for those that need not, 0
            for those of which `flips` in all must.
        flips: how many votes must flip.
        together: bool [votes], the votes that are to flip whatever becomes of the
            majority; none of them if it is the majority that is to change.
    """

    image: Image
    votes: Ints
    flips: int
    together: Bools

    @classmethod
    def majority(cls, image: Image) -> Self:
        """The majority is to change."""
        votes = np.where(image.standing, 0, -1)
        if image.standing.sum() == image.flips:
            votes = np.where(image.standing, 1, -1)
        return cls(image, votes, image.flips, np.zeros(len(votes), bool))

    @classmethod
    def all_of(cls, image: Image, *votes: int) -> Self:
        """These votes are to flip, all of them."""
        together = np.zeros(len(image.standing), bool)
        together[list(votes)] = True
        return cls(image, np.where(together, 1, -1), int(together.sum()), together)

    def hit(self, helpful: Bools, harmful: Bools) -> bool:
        """Whether all votes flip that are to, or the majority changes.

        With helpful votes that certainly flip and harmful ones that may, it certainly
        is; the other way round, it may be.

        Args:
            helpful: bool [votes], which of the votes that are to flip do.
            harmful: bool [votes], which of the others do.
        """
        if self.together.any():
            return bool(helpful[self.together].all())
        standing = self.image.standing
        ahead = int((helpful & standing).sum()) - int((harmful & ~standing).sum())
        return ahead >= self.image.flips


def half_spaces(
    image: Image, units: Ints, margin: float
) -> tuple[Ints, Floats, Floats]:
    """What a solver takes: where the units of a cell have to be.

    Args:
        image: the image.
        units: int [units], 1 for a unit that flips, -1 for one that keeps its side.
        margin: how far they have to be from their hyperplanes.

    Returns:
        The units, the signs and the rises of `Solver`.
    """
    chosen = np.flatnonzero(units)
    way = units[chosen]
    signs = -image.side[chosen] * way
    return chosen, signs, way * image.distances[chosen] + margin


def cell_of(beyond: Floats) -> Ints:
    """The cell, int [units], of a point that is so far behind the hyperplanes."""
    return np.where(beyond > 0, 1, -1)


_Cell: TypeAlias = tuple[Ints, Nearest]
"""A cell, and its nearest point."""


def polished(
    target: Target,
    solver: Solver,
    margin: float,
    cell: Ints,
    quick: Solver | None = None,
) -> tuple[float, Ints, Nearest] | None:
    """Finds the nearest point of a cell, and of better ones beside it.

    Args:
        target: what has to flip.
        solver: finds nearest points.
        margin: how far from hyperplanes the point has to be.
        cell: int [units], 1 for a unit that flips, -1 for one that keeps its side, 0
            for one that may do either.
        quick: another solver, in whose eyes better cells are looked for first.

    Returns:
        How near the cell comes without the margin, the cell, and its nearest point;
        None where that does not hit the target.
    """
    best = None
    if quick is not None:
        near = _descended(target, quick, margin, cell)
        if near is not None:
            best = _descended(target, solver, margin, near[0])
    if best is None:
        best = _descended(target, solver, margin, cell)
    if best is None:
        return None
    units, inside = best
    outer = solver(*half_spaces(target.image, units, 0.0))
    return (inside.bound if outer is None else outer.bound), units, inside


def _descended(
    target: Target, solver: Solver, margin: float, cell: Ints
) -> _Cell | None:
    """Goes from cell to cell as long as one beside it is nearer."""
    best = _nearest(target, solver, margin, cell, np.inf)
    while best is not None:
        units, inside = best
        chosen = np.flatnonzero(units)
        # Those that hold it back most first: their multipliers are the largest.
        holding = chosen[np.argsort(-inside.multipliers)]
        for unit in holding[: int((inside.multipliers > 0).sum())]:
            beside = units.copy()
            beside[unit] = -units[unit]
            better = _nearest(target, solver, margin, beside, inside.bound)
            if better is not None:
                break
        else:
            return best
        best = better
    return None


def _nearest(
    target: Target, solver: Solver, margin: float, cell: Ints, cutoff: float
) -> _Cell | None:
    """The nearest point of a cell nearer than the cutoff, if it hits the target.

    Most units of a cell do not hold its nearest point back: only those that do are
    given to the solver, found by looking which side was left.
    """
    image = target.image
    units = np.where(cell == 1, 1, 0)
    while True:
        inside = solver(*half_spaces(image, units, margin), cutoff)
        if inside is None:
            return None
        beyond = image.beyond(inside.change)
        left = (cell != 0) & (units == 0) & (cell * beyond < margin / 2)
        if not left.any():
            break
        units = np.where(left, cell, units)
    if not target.hit(*image.flipped(beyond, margin / 2)):
        return None
    return units, inside
