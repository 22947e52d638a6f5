"""Branch and bound over which units, and which votes, flip.

A node of the tree says of some units that they flip or keep their side, and of some
votes that they must flip or need not. Its bound is the distance of the nearest point of
those units' half-spaces, or what the votes still to flip cost in pairs, if that is
more. The nearest node is opened first. If the label changes at its own nearest point,
the search is over; if not, a unit or a vote in the way is decided both ways: the unit
that has farthest to go, and the vote that is hardest to flip, which make the bounds
grow fastest.
"""

import dataclasses
import heapq
import itertools
import time
from typing import NamedTuple

import numpy as np

from zeroone_jax.verification.cells import Target, half_spaces, polished
from zeroone_jax.verification.nearest import Nearest, Solver
from zeroone_jax.verification.networks import Bools, Floats, Ints


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to stop with what is known.

    Attributes:
        nodes: how many nodes of the tree to open.
        until: when, by `time.monotonic()`.
    """

    nodes: int
    until: float

    def reached(self, nodes: int) -> bool:
        """Whether that many nodes, or the time, are enough."""
        return nodes >= self.nodes or time.monotonic() >= self.until


class Found(NamedTuple):
    """What a search knows when it ends.

    Attributes:
        lower: no nearer point hits the target.
        infimum: points that hit it come as near as this, on the hyperplanes.
        upper: the witness's distance, behind all hyperplanes by the margin.
        witness: float [d], a move that hits the target; None if none was found.
        cell: int [units], of the witness: 1 for units that it needs to flip, -1 for
            those that must keep their side, else 0.
        nodes: how many nodes were opened.
    """

    lower: float
    infimum: float
    upper: float
    witness: Floats | None
    cell: Ints
    nodes: int


@dataclasses.dataclass(frozen=True)
class _Node:
    """A node of the tree.

    Attributes:
        units: int [units], 1 if the unit flips, -1 if it keeps its side, 0 undecided.
        votes: int [votes], 1 if the vote must flip, -1 if it need not, 0 undecided.
    """

    units: Ints
    votes: Ints

    def unit(self, unit: int, value: int) -> "_Node":
        units = self.units.copy()
        units[unit] = value
        return _Node(units, self.votes)

    def vote(self, vote: int, value: int) -> "_Node":
        votes = self.votes.copy()
        votes[vote] = value
        return _Node(self.units, votes)


class _Solved(NamedTuple):
    """A node's nearest point without the margin, and who found it."""

    nearest: Nearest
    solver: Solver


class Search:
    """The search of one image for one target."""

    def __init__(
        self,
        target: Target,
        solver: Solver,
        margin: float,
        prices: Floats | None = None,
        relaxed: Solver | None = None,
    ) -> None:
        """Begins.

        Args:
            target: what has to flip.
            solver: finds nearest points.
            margin: how far behind hyperplanes a witness has to be.
            prices: float [votes, votes], lower bounds for flipping two votes together,
                on the diagonal one alone; None where nothing is known.
            relaxed: a faster solver whose points are never farther; nodes are branched
                by its points as long as those do not hit the target.
        """
        image = target.image
        count = len(image.standing)
        self._target, self._image = target, image
        self._solver, self._relaxed, self._margin = solver, relaxed, margin
        self._prices = np.zeros((count, count)) if prices is None else prices
        self._reach = solver.reach(image.distances).reshape(image.gains.shape)
        self._order = itertools.count()
        self._heap: list[tuple[float, int, _Node, _Solved | None]] = []
        self._nodes = 0
        self._doubtful = self._infimum = self._upper = np.inf
        self._witness: Floats | None = None
        self._cell: Ints = np.zeros(image.distances.size, np.int64)
        self._push(0.0, _Node(self._cell, target.votes), None)

    def run(self, limits: Limits) -> Found:
        """Opens nodes until the nearest is found or a limit is reached."""
        lower = 0.0
        while self._heap:
            lower = max(lower, self._heap[0][0])
            if lower >= self._infimum or limits.reached(self._nodes):
                break
            bound, _, node, solved = heapq.heappop(self._heap)
            if solved is None:
                self._solve(bound, node, self._relaxed or self._solver)
            else:
                self._open(bound, node, solved)
        else:
            lower = np.inf
        lower = min(lower, self._infimum, self._doubtful)
        return Found(
            lower, self._infimum, self._upper, self._witness, self._cell, self._nodes
        )

    def offer(self, cell: Ints) -> None:
        """Offers a first witness: the nearest point of a cell, or of one beside it."""
        found = polished(self._target, self._solver, self._margin, cell, self._relaxed)
        if found is not None:
            self._record(*found)

    def _push(self, bound: float, node: _Node, solved: "_Solved | None") -> None:
        heapq.heappush(self._heap, (bound, next(self._order), node, solved))

    def _solve(self, bound: float, node: _Node, solver: Solver) -> None:
        """Finds a node's nearest point, and puts it back, now behind nearer ones."""
        self._nodes += 1
        nearest = solver(*half_spaces(self._image, node.units, 0.0), self._upper)
        if nearest is not None:
            bound = max(bound, nearest.bound)
            if bound < self._infimum:
                self._push(bound, node, _Solved(nearest, solver))

    def _open(self, bound: float, node: _Node, solved: "_Solved") -> None:
        """Ends with a node, if its nearest point hits the target, or branches."""
        spaces = half_spaces(self._image, node.units, self._margin)
        inside = solved.solver(*spaces, self._upper)
        change = solved.nearest.change if inside is None else inside.change
        beyond = self._image.beyond(change)
        certain, possible = self._image.flipped(beyond, self._margin / 2)
        hit = inside is not None and self._target.hit(certain, possible)
        children = [] if hit else self._branch(node, beyond, certain)
        if not children and solved.solver is self._relaxed:
            self._solve(bound, node, self._solver)
        elif hit and inside is not None:
            self._record(bound, node.units, inside)
        elif not children and self._target.hit(possible, certain):
            # Only rounding, or the margin, stands in the way.
            self._doubtful = min(self._doubtful, bound)
        for child in children:
            settled = self._settled(child)
            if settled is not None:
                least = max(bound, self._combined(settled))
                if least < self._infimum:
                    self._push(least, settled, None)

    def _record(self, infimum: float, units: Ints, inside: Nearest) -> None:
        self._infimum = min(self._infimum, infimum)
        chosen, signs, _ = half_spaces(self._image, units, self._margin)
        move = self._solver.move(chosen, signs, inside)
        size = self._solver.size(move)
        if size < self._upper:
            self._upper, self._witness, self._cell = size, move, units

    def _branch(self, node: _Node, beyond: Floats, certain: Bools) -> list[_Node]:
        """Decides what stands in the way, both ways."""
        required: Bools = node.votes == 1
        children = self._branch_unit(node, beyond, required & ~certain)
        undecided = np.flatnonzero(node.votes == 0)
        if not children and required.sum() < self._target.flips and len(undecided):
            hardest = int(undecided[np.argmax(np.diag(self._prices)[undecided])])
            children = [node.vote(hardest, 1), node.vote(hardest, -1)]
        return children or self._branch_unit(node, beyond, np.ones_like(required))

    def _branch_unit(self, node: _Node, beyond: Floats, votes: Bools) -> list[_Node]:
        """Decides the unit of these votes that is farthest on the wrong side."""
        image = self._image
        beyond = beyond.reshape(image.gains.shape)
        # Where the unit should be: of a standing vote, behind if that helps.
        wanted = np.where((image.gains > 0) == image.standing[:, None], 1.0, -1.0)
        free = (node.units == 0).reshape(beyond.shape) & (image.gains != 0)
        free &= votes[:, None]
        wrong = free & (wanted * beyond < self._margin / 2)
        if not wrong.any():
            return []
        unit = int(np.argmax(np.where(wrong, np.abs(beyond), -1.0)))
        return [node.unit(unit, 1), node.unit(unit, -1)]

    def _settled(self, node: _Node) -> _Node | None:
        """Decides what follows; None where the target cannot be hit any more."""
        image = self._image
        required = node.votes == 1
        if (node.votes >= 0).sum() < self._target.flips:
            return None
        units: Ints = node.units.reshape(image.gains.shape)
        can = (units == 0) & (self._reach < self._upper)
        most = np.where(units == 1, image.gains, 0).sum(axis=1)
        most += np.where(can, np.maximum(image.gains, 0), 0).sum(axis=1)
        spare = most - (image.need - image.tolerance)
        if (spare[required] < 0).any():
            return None
        # What a vote cannot do without flips, what it cannot bear keeps its side.
        pivotal: Bools = (units == 0) & required[:, None]
        pivotal &= np.abs(image.gains) > spare[:, None]
        pivotal &= can | (image.gains < 0)
        if not pivotal.any():
            return node
        forced = np.where(image.gains > 0, 1, -1)
        return _Node(np.where(pivotal, forced, units).reshape(-1), node.votes)

    def _combined(self, node: _Node) -> float:
        """What the votes cost that must flip, and those that still have to be found."""
        required = node.votes == 1
        least = float(self._prices[np.ix_(required, required)].max(initial=0.0))
        rest = self._target.flips - int(required.sum())
        if rest > 0:
            undecided = node.votes == 0
            price = np.diag(self._prices)[undecided]
            if required.any():
                beside = self._prices[np.ix_(undecided, required)].max(axis=1)
                price = np.maximum(price, beside)
            least = max(least, float(np.sort(price)[rest - 1]))
        return least
