"""A2's step in plain numpy, scoring whole networks at every candidate threshold.

Nothing here counts gains or bins: for each candidate move and each threshold the
network's output is computed anew and its correct rows counted. It shares with the
solver only the random draws, which it is given, and the lattice's rounding rules.
"""

import numpy as np

OUTPUT_NORM = 256
LARGEST_HIDDEN_NORM = 512


def thresholds(values, mask):
    """Thresholds that tell rows apart, with their positions among masked rows."""
    levels = np.unique(values)
    cuts = [levels[0] - 1, *((levels[1:] + levels[:-1]) / 2), levels[-1] + 1]
    return [(cut, int(((values <= cut) & mask).sum())) for cut in cuts]


def gap(values, cut):
    """The values next to a cut, or one beyond the outermost."""
    below, above = values[values <= cut], values[values > cut]
    low = below.max() if below.size else above.min() - 1
    return low, above.min() if above.size else low + 1


def settle(values, mask, cut):
    """Midpoint between neighbours in the sample; then to the middle of its own gap.

    That middle is a half-integer, half a unit above where it would be an integer.
    """
    return np.floor(np.mean(gap(values, np.mean(gap(values[mask], cut))))) + 0.5


class Oracle:
    """One network on levels [d, n], moved by exhaustive evaluation."""

    def __init__(self, levels, labels, w1, t1, w2, t2, weights):
        self.levels, self.labels = levels, labels
        self.w1, self.t1, self.w2, self.t2 = w1.copy(), t1.copy(), w2.copy(), t2
        self.weights = np.where(labels == 1, weights[1], weights[0])

    def hidden(self):
        return (self.w1 @ self.levels > self.t1[:, None]).astype(float)

    def score(self, output, mask):
        right = (output == (self.labels == 1)) & mask
        return int(self.weights[right].sum())

    def best_cut(self, values, output_of, mask, position=None, window=None):
        """The best score, lowest threshold first; optionally near a position."""
        found = thresholds(values, mask)
        if position is not None:
            reach = max(window, min(abs(p - position) for _, p in found))
            found = [(cut, p) for cut, p in found if abs(p - position) <= reach]
        scores = [self.score(output_of(values > cut), mask) for cut, _ in found]
        best = int(np.argmax(scores))
        return scores[best], *found[best]

    def visit_output(self, mask, step, window, not_worse):
        hidden = self.hidden()

        def fit(values, **near):
            return self.best_cut(values, lambda on: on, mask, **near)

        current, _, position = fit(self.w2 @ hidden)
        size = np.rint(step * np.linalg.norm(self.w2))
        moves = [(unit, s) for s in (size, -size) for unit in range(len(self.w2))]
        scores = [
            fit(self.w2 @ hidden + s * hidden[unit], position=position, window=window)[
                0
            ]
            for unit, s in moves
        ]
        best = int(np.argmax(scores))
        if scores[best] > current or (not_worse and scores[best] == current):
            unit, s = moves[best]
            self.w2[unit] += s
            self.w2 = np.rint(self.w2 * (OUTPUT_NORM / np.linalg.norm(self.w2)))
        sums = self.w2 @ hidden
        self.t2 = settle(sums, mask, fit(sums)[1])

    def visit_hidden(self, unit, drawn, mask, step, window, not_worse):
        hidden = self.hidden()

        def output_of(on):
            changed = hidden.copy()
            changed[unit] = on
            return self.w2 @ changed > self.t2

        values = self.w1[unit] @ self.levels
        current, cut, position = self.best_cut(values, output_of, mask)
        size = np.rint(step * np.linalg.norm(self.w1[unit]))
        moves = [(coordinate, s) for s in (size, -size) for coordinate in drawn]
        found = [
            self.best_cut(
                values + s * self.levels[coordinate],
                output_of,
                mask,
                position=position,
                window=window,
            )
            for coordinate, s in moves
        ]
        best = int(np.argmax([score for score, *_ in found]))
        if found[best][0] > current or (not_worse and found[best][0] == current):
            coordinate, s = moves[best]
            self.w1[unit, coordinate] += s
            cut = found[best][1]
        self.t1[unit] = settle(self.w1[unit] @ self.levels, mask, cut)
        self.halve(unit)

    def halve(self, unit):
        """Halves weights that have grown beyond the lattice's limit."""
        if np.linalg.norm(self.w1[unit]) > LARGEST_HIDDEN_NORM:
            self.w1[unit] = np.rint(self.w1[unit] / 2)
            values = self.w1[unit] @ self.levels
            everything = np.ones_like(values, bool)
            cut = np.rint(self.t1[unit] / 2) + 0.5
            self.t1[unit] = settle(values, everything, cut)

    def correct(self):
        """Rows of class 0 and of class 1 that the network gets right."""
        right = (self.w2 @ self.hidden() > self.t2) == (self.labels == 1)
        return [int(right[self.labels == label].sum()) for label in (0, 1)]
