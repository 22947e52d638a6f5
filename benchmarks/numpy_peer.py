"""One iteration of A2 in plain numpy, exhaustive: what the solver is compared with.

Every candidate is sorted whole, as a straightforward program would.
"""

import numpy as np


class Search:
    """The 2020 search for one network, h 20, K 128, window 20, steps .17 and .2.

    Args:
        seed: of the random generator.
        x: f32 [n, d], in [0, 1].
        y: integers [n], 0 or 1.
    """

    def __init__(self, seed: int, x: np.ndarray, y: np.ndarray):
        self.random = np.random.default_rng(seed)
        self.columns, self.y = np.ascontiguousarray(x.T), y
        w1 = self.random.standard_normal((20, x.shape[1])).astype(np.float32)
        self.w1 = w1 / np.linalg.norm(w1, axis=1, keepdims=True)
        w2 = self.random.standard_normal(20)
        self.w2 = w2 / np.linalg.norm(w2)
        self.projection = self.w1 @ self.columns
        self.t1 = self.projection.mean(axis=1)
        sums = self.w2 @ (self.projection > self.t1[:, None])
        self.t2 = _best(sums[None], 2 * y - 1)[1][0]

    def step(self) -> float:
        """Moves the network once; returns its accuracy on all rows."""
        rows = np.concatenate(
            [
                self.random.choice(of_class, int(0.75 * len(of_class)), replace=False)
                for of_class in (np.flatnonzero(self.y == c) for c in (0, 1))
            ]
        )
        positive = self.y[rows] == 1
        hidden = (self.projection[:, rows] > self.t1[:, None]).astype(float)
        self._visit_output(hidden, np.where(positive, 1, -1))
        self._visit_hidden(rows, hidden, positive)
        sums = self.w2 @ (self.projection > self.t1[:, None])
        return float(np.mean((sums > self.t2) == (self.y == 1)))

    def _visit_output(self, hidden: np.ndarray, gain: np.ndarray) -> None:
        sums = self.w2 @ hidden
        score, cut, position = (found[0] for found in _best(sums[None], gain))
        moves = np.concatenate([sums + 0.2 * hidden, sums - 0.2 * hidden])
        scores, _, _ = _best(moves, gain, position)
        best = int(np.argmax(scores))
        if scores[best] > score:
            self.w2[best % 20] += 0.2 if best < 20 else -0.2
            self.w2 /= np.linalg.norm(self.w2)
            cut = _best((self.w2 @ hidden)[None], gain)[1][0]
        self.t2 = cut

    def _visit_hidden(
        self, rows: np.ndarray, hidden: np.ndarray, positive: np.ndarray
    ) -> None:
        unit = self.random.integers(20)
        others = self.w2 @ hidden - self.w2[unit] * hidden[unit]
        on, off = others + self.w2[unit] > self.t2, others > self.t2
        gain = (on == positive).astype(int) - (off == positive).astype(int)
        projection = self.projection[unit, rows]
        score, cut, position = (found[0] for found in _best(projection[None], gain))
        drawn = self.random.choice(len(self.columns), 128, replace=False)
        shift = np.float32(0.17) * self.columns[drawn][:, rows]
        scores, cuts, _ = _best(
            np.concatenate([projection + shift, projection - shift]), gain, position
        )
        best = int(np.argmax(scores))
        self.t1[unit] = cut
        if scores[best] > score:
            self.w1[unit, drawn[best % 128]] += 0.17 if best < 128 else -0.17
            length = np.linalg.norm(self.w1[unit])
            self.w1[unit] /= length
            self.t1[unit] = cuts[best] / length
            self.projection[unit] = self.w1[unit] @ self.columns


def _best(
    projections: np.ndarray, gain: np.ndarray, position: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best score, threshold and position of each row of projections [c, n]."""
    order = np.argsort(projections, axis=1)
    ordered = np.take_along_axis(projections, order, axis=1)
    on_from = np.cumsum(gain[order][:, ::-1], axis=1)[:, ::-1]
    on_from = np.pad(on_from, ((0, 0), (0, 1)))
    bounded = np.pad(ordered, ((0, 0), (1, 1)), mode="edge")
    bounded[:, 0] -= 0.2
    bounded[:, -1] += 0.2
    distinct = np.diff(bounded, axis=1) > 1e-6
    low, high = 0, len(gain)
    if position is not None:
        low, high = max(0, position - 20), min(high, position + 20)
    window = slice(low, high + 1)
    best = low + np.argmax(np.where(distinct, on_from, -np.inf)[:, window], axis=1)
    row = np.arange(len(projections))
    cut = (bounded[row, best] + bounded[row, best + 1]) / 2
    return on_from[row, best], cut, best
