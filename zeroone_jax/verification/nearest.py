"""The nearest point of some half-spaces in L2: of all space, or of the box [0,1].

The half-spaces are those of some units, entered from the image: `sign * normal . move`
is to be at least the unit's `rise`. The problem is solved through its multipliers, one
a half-space, so that its size does not grow with the image. Any multipliers prove a
lower bound; what is returned as a bound is computed from them, not believed.
"""

import abc
from typing import NamedTuple

import numpy as np
import scipy

from zeroone_jax.verification.networks import Floats, Ints

_INFEASIBLE = 1e-12
_NEWTONS = 50
_EXACT = 1e-12


class Nearest(NamedTuple):
    """The nearest point of some half-spaces.

    Attributes:
        bound: no point of theirs is nearer.
        multipliers: float [k] >= 0, which prove it.
        change: float [units], by how much the move changes each unit's projection.
        move: float [d], the way there; None where it was not asked for.
    """

    bound: float
    multipliers: Floats
    change: Floats
    move: Floats | None


class Solver(abc.ABC):
    """Finds nearest points for one image, in L2 where nothing else is said.

    Subclasses write `_found`, which does what a call says.
    """

    def __init__(self, normals: Floats) -> None:
        """Takes the units' normals, float [units, d]."""
        self._normals = normals

    def __call__(
        self, units: Ints, signs: Floats, rise: Floats, cutoff: float = np.inf
    ) -> Nearest | None:
        """Finds the nearest point of some half-spaces.

        Args:
            units: int [k], whose half-spaces.
            signs: float [k], 1 where the projection is to rise, -1 where it is to fall.
            rise: float [k], by how much; below 0 where the image is inside already.
            cutoff: points at this distance and beyond are not wanted.

        Returns:
            The nearest point, or None where there is none nearer than the cutoff.
        """
        if (rise > 0).any():
            return self._found(units, signs, rise, cutoff)
        # The image itself is inside all of them.
        count, features = self._normals.shape
        return Nearest(0.0, np.zeros(len(units)), np.zeros(count), np.zeros(features))

    @abc.abstractmethod
    def _found(
        self, units: Ints, signs: Floats, rise: Floats, cutoff: float
    ) -> Nearest | None: ...

    def move(self, units: Ints, signs: Floats, nearest: Nearest) -> Floats:
        """Gives the way, float [d], to a point found with these half-spaces."""
        assert nearest.move is not None
        return nearest.move

    def size(self, move: Floats) -> float:
        """Measures a move, float [d], in the norm."""
        return float(np.linalg.norm(move))

    def reach(self, distances: Floats) -> Floats:
        """Bounds what crossing hyperplanes so far away in L2 takes, float [units]."""
        return distances


class Free(Solver):
    """L2 without the box: a least-squares problem in the units' Gram matrix.

    The least distance problem of Lawson and Hanson (Solving Least Squares Problems,
    chapter 23), which turns it into non-negative least squares.
    """

    def __init__(self, normals: Floats) -> None:
        """Factors the Gram matrix of normals, float [units, d]."""
        super().__init__(normals)
        self._gram = normals @ normals.T
        # Coordinates in which the normals are short.
        self._factor = np.linalg.qr(normals.T)[1]

    def _found(
        self, units: Ints, signs: Floats, rise: Floats, cutoff: float
    ) -> Nearest | None:
        directions = self._factor[:, units] * signs
        multipliers = least_distance(directions, rise)
        if multipliers is None:
            return None
        change = self._gram[:, units] @ (signs * multipliers)
        length = np.sqrt(max(float((signs * multipliers) @ change[units]), 0.0))
        bound = float(multipliers @ rise) / length if length > 0 else np.inf
        return Nearest(bound, multipliers, change, None) if bound < cutoff else None

    def move(self, units: Ints, signs: Floats, nearest: Nearest) -> Floats:
        """Gives the way to a point found."""
        return (signs * nearest.multipliers) @ self._normals[units]


class Boxed(Solver):
    """L2 inside the box: Newton's method on the multipliers.

    For given multipliers every pixel goes where they pull it, and stops at its limit.
    What that proves is a concave function of them, quadratic while the same pixels
    stand at their limits: each Newton step is the problem without box in the pixels
    that are free.
    """

    def __init__(self, normals: Floats, x: Floats, limit: float | None = None) -> None:
        """Takes normals, float [units, d], and the image, float [d] in [0,1].

        No pixel moves farther than the limit, if there is one.
        """
        super().__init__(normals)
        self._low, self._high = -x, 1 - x
        if limit is not None:
            self._low = np.maximum(self._low, -limit)
            self._high = np.minimum(self._high, limit)

    def _found(
        self, units: Ints, signs: Floats, rise: Floats, cutoff: float
    ) -> Nearest | None:
        normals = self._normals[units] * signs[:, None]
        multipliers = np.zeros(len(units))
        value, move = self._value(normals, rise, multipliers)
        farthest = min(cutoff, float(np.sqrt(self._low.size)))
        for _ in range(_NEWTONS):
            slope = rise - normals @ move
            pull = multipliers @ normals
            free = normals.compress((self._low <= pull) & (pull <= self._high), axis=1)
            gram = free @ free.T
            # Where no pixel of a unit is free the model is linear: a ridge bounds it.
            gram[np.diag_indices_from(gram)] += 1e-9
            target = least_distance(
                scipy.linalg.cholesky(gram), slope + gram @ multipliers
            )
            if target is None:  # Rounding alone; nothing is left to gain.
                break
            step = target - multipliers
            gain = float(slope @ step)
            if gain <= _EXACT * max(value, _EXACT):
                break
            size = 1.0
            while True:
                trial = np.maximum(multipliers + size * step, 0)
                new_value, new_move = self._value(normals, rise, trial)
                if new_value >= value + 1e-4 * size * gain or size < 1e-12:
                    break
                size /= 2
            if new_value <= value:
                break
            multipliers, value, move = trial, new_value, new_move
            if value >= farthest**2 / 2:
                return None
        bound = float(np.sqrt(2 * max(value, 0.0)))
        return Nearest(bound, multipliers, self._normals @ move, move)

    def _value(
        self, normals: Floats, rise: Floats, multipliers: Floats
    ) -> tuple[float, Floats]:
        """What they prove of half the squared distance, and where they pull."""
        pull = multipliers @ normals
        move = np.clip(pull, self._low, self._high)
        return float(multipliers @ rise - move @ (pull - move / 2)), move


def least_distance(directions: Floats, rise: Floats) -> Floats | None:
    """Solves min |z| with `directions.T @ z >= rise` by its multipliers float [k] >= 0.

    z is `directions @ multipliers`, float [r]; None where no z does it.
    """
    rows = np.vstack([directions, rise])
    goal = np.zeros(len(rows))
    goal[-1] = 1.0
    weights, residual = scipy.optimize.nnls(rows, goal, maxiter=100 * len(rise))
    rest = 1.0 - float(rise @ weights)
    if residual < _INFEASIBLE or rest < _INFEASIBLE:
        return None
    return weights / rest
