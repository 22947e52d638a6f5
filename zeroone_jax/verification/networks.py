"""01 networks as verification sees them: half-spaces, and counts of votes.

On the host in float64, whatever the networks' own dtype: the searches here are trees of
small problems, which NumPy and SciPy solve well and arrays do not.
"""

import dataclasses
from typing import Self

import numpy as np

from zeroone_jax.models import zero_one

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

_ROUNDINGS = 8
"""How many roundings of its terms an output's sum may be off by."""


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks of one ensemble, their hidden weights scaled to length 1.

    Units of all votes stand in one row, vote by vote.

    Attributes:
        normals: float [units, d], each of length 1, or 0 for a unit without weights.
        hyperplanes: float [units, d + 1], weights and bias as they were, so that images
            on a hyperplane are found there. Where their product is positive the unit is
            on (of "pm" networks: off, so that on the hyperplane itself none is on).
        lengths: float [units], the weights' lengths, or 1.
        weights: float [votes, h], what a unit that is on adds to its vote's score.
        scores: float [votes], the scores while every unit is off.
        tolerance: float [votes], scores nearer to 0 than this may round to either side.
    """

    normals: Floats
    hyperplanes: Floats
    lengths: Floats
    weights: Floats
    scores: Floats
    tolerance: Floats

    @classmethod
    def of(cls, params: zero_one.Params) -> Self:
        """Reads networks of two classes, `[votes, ...]`; here they are in float64.

        Raises:
            ValueError: the networks are one-against-all, or hold what is not finite.
        """
        zero_one.check(params)
        if params.w1.ndim != 3:
            raise ValueError(
                f"the networks tell {len(params.w1)} classes apart (w1 has shape "
                f"{params.w1.shape}), but only two classes can be verified"
            )
        arrays = []
        for name in ("w1", "b1", "w2", "b2"):
            arrays.append(np.asarray(getattr(params, name), np.float64))
            if not np.isfinite(arrays[-1]).all():
                raise ValueError(f"{name} holds numbers that are not finite")
        w1, b1, w2, b2 = arrays
        length = np.linalg.norm(w1, axis=2)
        scale = np.where(length > 0, length, 1)
        on, off = 1.0, 0.0
        if params.hidden_values == "pm":
            # On a hyperplane these are on. Turned round, they are off like the others.
            off = 1 / np.sqrt(w1.shape[1])
            on, w1, b1 = -off, -w1, -b1
        weights, scores = (on - off) * w2, b2 + off * w2.sum(axis=1)
        unit = float(np.finfo(np.dtype(params.w1.dtype)).eps)
        size = np.abs(weights).sum(axis=1) + np.abs(scores)
        # A unit without weights never changes: its value is the vote's bias.
        dead = length == 0
        scores = scores + np.where(dead & (b1 > 0), weights, 0).sum(axis=1)
        bias = np.where(dead, -1.0, b1)[..., None]
        return cls(
            normals=(w1 / scale[..., None]).reshape(-1, w1.shape[2]),
            hyperplanes=np.concatenate([w1, bias], axis=2).reshape(-1, w1.shape[2] + 1),
            lengths=scale.reshape(-1),
            weights=np.where(dead, 0.0, weights),
            scores=scores,
            tolerance=_ROUNDINGS * unit * size,
        )

    @property
    def votes(self) -> int:
        """How many networks there are."""
        return len(self.weights)

    def distances(self, x: Floats) -> Floats:
        """Signed distances [units] of an image [d] from the hyperplanes."""
        return (self.hyperplanes @ np.append(x, 1.0)) / self.lengths


@dataclasses.dataclass(frozen=True)
class Image:
    """What has to happen for one image's label to change.

    A vote counts as standing if it says the label that is to go. Of flips only those of
    standing votes help; flips of the others may undo them.

    Attributes:
        label: 0 or 1, what the networks say.
        distances: float [units], to each hyperplane from where the image is, >= 0.
        side: float [units], 1 where the unit is on, else -1.
        gains: float [votes, h], how far flipping a unit moves its vote's score towards
            0 and beyond; of the others' votes, away from the label that is to go.
        need: float [votes], how much gain flips the vote.
        tolerance: float [votes], how near to `need` rounding decides.
        standing: bool [votes].
        flips: how many standing votes must flip, if no other does.
    """

    label: int
    distances: Floats
    side: Floats
    gains: Floats
    need: Floats
    tolerance: Floats
    standing: Bools
    flips: int

    @classmethod
    def of(cls, networks: Networks, x: Floats) -> Self:
        """Looks at an image, float [d]."""
        distances = networks.distances(x)
        side = np.where(distances > 0, 1.0, -1.0)
        on = side.reshape(networks.weights.shape) > 0
        scores = networks.scores + (networks.weights * on).sum(axis=1)
        ones = scores > 0
        label = 2 * int(ones.sum()) > networks.votes
        change = np.where(on, -networks.weights, networks.weights)
        half = networks.votes // 2
        flips = int(ones.sum()) - half if label else half + 1 - int(ones.sum())
        return cls(
            label=int(label),
            distances=np.abs(distances),
            side=side,
            gains=np.where(ones, -1.0, 1.0)[:, None] * change,
            need=np.abs(scores),
            tolerance=networks.tolerance,
            standing=ones == label,
            flips=flips,
        )

    def beyond(self, change: Floats) -> Floats:
        """How far behind each hyperplane a point is, below 0 on the image's side.

        The units' projections changed by so much, float [units].
        """
        return -(self.distances + self.side * change)

    def flipped(self, beyond: Floats, margin: float) -> tuple[Bools, Bools]:
        """Which votes certainly flip, and which may: bool [votes] twice.

        Args:
            beyond: float [units], how far a point is behind each hyperplane.
            margin: units nearer to their hyperplanes than this may be on either side.
        """
        beyond = beyond.reshape(self.gains.shape)
        gain = np.where(beyond >= margin, self.gains, 0).sum(axis=1)
        doubtful = np.abs(beyond) < margin
        least = gain + np.where(doubtful, np.minimum(self.gains, 0), 0).sum(axis=1)
        most = gain + np.where(doubtful, np.maximum(self.gains, 0), 0).sum(axis=1)
        return least > self.need + self.tolerance, most > self.need - self.tolerance
