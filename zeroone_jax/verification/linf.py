"""The nearest point of some half-spaces in Linf: of all space, or of the box [0,1].

A linear program with an unknown a pixel but few half-spaces. An interior-point method
(Mehrotra's predictor and corrector) takes some fifteen steps, each a linear system with
a row a half-space, since every pixel is eliminated on its own.
"""

import copy
from typing import NamedTuple

import numpy as np
import scipy

from zeroone_jax.verification.nearest import Nearest, Solver
from zeroone_jax.verification.networks import Bools, Floats, Ints

_STEPS = 40
# Nearer than this rounding may stop it: 1e-8 on the scale of pixels.
_ENOUGH = 1e-6
_SHORT = 0.995
_STALLED = 1e-6
_ROUNDING = 1e-12
_INFEASIBLE = 2


class _Point(NamedTuple):
    """Where the method stands; a direction has the same fields.

    Attributes:
        move: float [d].
        size: float [], epsilon, which is to become small.
        inside: float [k] > 0, how far inside the half-spaces.
        room: float [limits, d] > 0, how far from the limits.
        multipliers: float [k] > 0, of the half-spaces.
        prices: float [limits, d] > 0, of the limits.
    """

    move: Floats
    size: Floats
    inside: Floats
    room: Floats
    multipliers: Floats
    prices: Floats


class Linf(Solver):
    """Linf, in the box if the image is given.

    A pixel's move has the limits -epsilon and epsilon and, in the box, -x and 1 - x.
    """

    def __init__(self, normals: Floats, x: Floats | None = None) -> None:
        """Takes normals, float [units, d], and the image, float [d] in [0,1]."""
        super().__init__(normals)
        features = normals.shape[1]
        self._low = np.full(features, -np.inf) if x is None else -x
        self._high = np.full(features, np.inf) if x is None else 1 - x
        limits = 2 if x is None else 4
        # limit: way * move + grows * epsilon >= least
        self._way = np.array([-1.0, 1.0, 1.0, -1.0])[:limits, None]
        self._grows = np.array([1.0, 1.0, 0.0, 0.0])[:limits, None]
        self._least = np.zeros((limits, features))
        if x is not None:
            self._least[2:] = self._low, -self._high

    def _found(
        self, units: Ints, signs: Floats, rise: Floats, cutoff: float
    ) -> Nearest | None:
        normals = self._normals[units] * signs[:, None]
        # Pixels that no half-space looks at stay.
        used: Bools = (normals != 0).any(axis=0)
        solution = self._among(used)._solved(normals[:, used], rise)
        if solution is None:
            return None
        bound, multipliers, some = solution
        if bound >= cutoff:
            return None
        move = np.zeros(len(used))
        move[used] = some
        return Nearest(bound, multipliers, self._normals @ move, move)

    def _among(self, used: Bools) -> "Linf":
        """The same, of some of the pixels."""
        if used.all():
            return self
        part = copy.copy(self)
        part._low, part._high = self._low[used], self._high[used]
        part._least = self._least[:, used]
        return part

    def _solved(
        self, normals: Floats, rise: Floats
    ) -> tuple[float, Floats, Floats] | None:
        """Finds what multipliers prove, those, and the move; None without a point."""
        # Measured in the largest move that a half-space asks for alone.
        scale = float(np.max(rise / np.abs(normals).sum(axis=1)))
        with np.errstate(all="ignore"):
            solution = self._interior(normals, rise, scale)
        # Where rounding stops the one, the simplex method takes over.
        if solution is None:
            solution = self._simplex(normals, rise)
        if solution is None:
            return None
        multipliers, move = solution
        return self._proves(normals, rise, multipliers), multipliers, move

    def size(self, move: Floats) -> float:
        """Measures a move."""
        return float(np.abs(move).max())

    def reach(self, distances: Floats) -> Floats:
        """Bounds what crossing takes, in the box or without."""
        spread = np.abs(self._normals).sum(axis=1)
        return distances / np.where(spread > 0, spread, 1)

    def _proves(self, normals: Floats, rise: Floats, multipliers: Floats) -> float:
        """Computes the bound that multipliers prove.

        Inside Linf's ball of radius e a pixel gains at most |pull| min(e, its limit);
        the bound is the e at which all together gain what is asked.
        """
        pull = multipliers @ normals
        limit = np.where(pull > 0, self._high, -self._low)
        pull = np.abs(pull)
        asked = float(multipliers @ rise)
        bound = 0.0
        while True:  # Newton's method on a concave function, from below.
            waiting = limit <= bound
            slope = float(pull[~waiting].sum())
            missing = asked - float(pull[waiting] @ limit[waiting])
            if slope <= 0:
                return np.inf if missing > _ROUNDING * abs(asked) else bound
            if not missing > bound * slope * (1 + 1e-14):
                return bound
            bound = missing / slope

    def _interior(
        self, normals: Floats, rise: Floats, scale: float
    ) -> tuple[Floats, Floats] | None:
        """Finds multipliers and a move that prove one another; None if it cannot."""
        rise, least = rise / scale, self._least / scale
        point = self._begin(normals, rise, least)
        pairs = point.inside.size + point.room.size
        best, multipliers = -np.inf, point.multipliers
        for _ in range(_STEPS):
            bound = self._proves(normals, rise * scale, point.multipliers) / scale
            if bound > best:  # Rounding may spoil the last ones.
                best, multipliers = bound, point.multipliers
            move = np.clip(point.move * scale, self._low, self._high)
            missed = float((rise - normals @ move / scale).max())
            gap = self.size(move) / scale - best
            if gap < _ENOUGH * best and missed < _ENOUGH:
                return multipliers, move
            mean = _products(point).sum() / pairs
            residuals = self._residuals(normals, rise, least, point)
            newton = _Newton(self._way, self._grows, normals, point, residuals)
            try:
                affine = newton.direction(0.0, None)
                trial = _moved(point, affine, *_lengths(point, affine))
                centring = (_products(trial).sum() / pairs / mean) ** 3
                step = newton.direction(centring * mean, affine)
            except np.linalg.LinAlgError:
                return None
            lengths = _SHORT * np.array(_lengths(point, step))
            if not lengths.min() > _STALLED:
                return None
            point = _moved(point, step, *lengths)
        return None

    def _simplex(self, normals: Floats, rise: Floats) -> tuple[Floats, Floats] | None:
        """The same by SciPy's HiGHS, slower; None where there is no such point."""
        count, features = normals.shape
        eye = scipy.sparse.eye_array(features)
        one = np.ones((features, 1))
        spaces = scipy.sparse.csr_array(np.hstack([-normals, np.zeros((count, 1))]))
        rows = [spaces, *(scipy.sparse.hstack([way * eye, -one]) for way in (1, -1))]
        found = scipy.optimize.linprog(
            np.append(np.zeros(features), 1.0),
            scipy.sparse.vstack(rows),
            np.append(-rise, np.zeros(2 * features)),
            bounds=np.column_stack(
                [np.append(self._low, 0), np.append(self._high, np.inf)]
            ),
            method="highs",
        )
        if found.status == _INFEASIBLE:
            return None
        if found.status != 0:
            raise ArithmeticError(f"HiGHS gave up on a linear program: {found.message}")
        multipliers = np.maximum(-found.ineqlin.marginals[:count], 0)
        return multipliers, np.clip(found.x[:-1], self._low, self._high)

    def _begin(self, normals: Floats, rise: Floats, least: Floats) -> _Point:
        features = normals.shape[1]
        move, size = np.zeros(features), np.array(1.0)
        room = np.maximum(self._grows - least, 0.1)
        inside = np.maximum(-rise, 0.1 * np.abs(normals).sum(axis=1))
        price = 1 / (2 * features)
        return _Point(move, size, inside, room, price / inside, price / room)

    def _residuals(
        self, normals: Floats, rise: Floats, least: Floats, point: _Point
    ) -> "_Residuals":
        return _Residuals(
            normals @ point.move - rise - point.inside,
            self._way * point.move + self._grows * point.size - least - point.room,
            -point.multipliers @ normals - (self._way * point.prices).sum(axis=0),
            1 - (self._grows * point.prices).sum(),
        )


class _Residuals(NamedTuple):
    """By how much the equations are missed: two of the point, two of the prices."""

    inside: Floats
    room: Floats
    move: Floats
    size: Floats


class _Newton:
    """One step's linear system, solved for several right-hand sides."""

    def __init__(
        self,
        way: Floats,
        grows: Floats,
        normals: Floats,
        point: _Point,
        residuals: _Residuals,
    ) -> None:
        self._way, self._grows, self._normals = way, grows, normals
        self._point, self._residuals = point, residuals
        stiffness = point.prices / point.room
        self._stiffness = stiffness
        self._pixel = 1 / stiffness.sum(axis=0)
        self._coupling = (way * grows * stiffness).sum(axis=0)
        # Rows: the half-spaces and epsilon.
        self._rows = np.vstack([normals, self._coupling])
        self._system = (self._rows * self._pixel) @ self._rows.T
        count = len(normals)
        self._system[range(count), range(count)] += point.inside / point.multipliers
        self._system[count, count] -= (grows * stiffness).sum()

    def direction(self, target: float, affine: _Point | None) -> _Point:
        """Heads for products of `target`, corrected by the affine direction's."""
        point, residuals = self._point, self._residuals
        wanted_inside = target - point.inside * point.multipliers
        wanted_room = target - point.room * point.prices
        if affine is not None:
            wanted_inside = wanted_inside - affine.inside * affine.multipliers
            wanted_room = wanted_room - affine.room * affine.prices
        spaces = (wanted_inside - point.multipliers * residuals.inside) / point.inside
        limits = (wanted_room - point.prices * residuals.room) / point.room
        pull = spaces @ self._normals + (self._way * limits).sum(axis=0)
        pull -= residuals.move
        push = (self._grows * limits).sum() - residuals.size
        right = self._rows @ (self._pixel * pull)
        right[-1] -= push
        solution = np.linalg.solve(self._system, right)
        move = self._pixel * (pull - solution @ self._rows)
        size = solution[-1]
        inside = self._normals @ move + residuals.inside
        room = self._way * move + self._grows * size + residuals.room
        multipliers = (wanted_inside - point.multipliers * inside) / point.inside
        prices = (wanted_room - point.prices * room) / point.room
        return _Point(move, size, inside, room, multipliers, prices)


def _products(point: _Point) -> Floats:
    """What is 0 at the solution: how far inside, times its price."""
    room = (point.room * point.prices).reshape(-1)
    return np.concatenate([point.inside * point.multipliers, room])


def _lengths(point: _Point, step: _Point) -> tuple[float, float]:
    """How long steps of the point and of its prices may be, at most 1."""

    def longest(numbers: Floats, change: Floats) -> float:
        falling = change < 0
        return min(1.0, float(np.min(-numbers[falling] / change[falling], initial=1.0)))

    inside, room, multipliers, prices = map(longest, point[2:], step[2:])
    return min(inside, room), min(multipliers, prices)


def _moved(point: _Point, step: _Point, primal: float, dual: float) -> _Point:
    lengths = (primal, primal, primal, primal, dual, dual)
    parts = zip(point, step, lengths, strict=True)
    return _Point(*(at + length * way for at, way, length in parts))
