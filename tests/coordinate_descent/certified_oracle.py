"""A2's step on the certified 01 loss, in plain numpy.

A row counts if it is right for every pattern of the units that its ball leaves open:
the patterns are gone through one by one, and whole networks are scored at every
candidate threshold. Shared with the solver are the random draws, which it is given, the
lattice's rounding rules, and in what order thresholds are compared.
"""

import itertools

import jax
import numpy as np

from tests.coordinate_descent import step_oracle


def shifts(w1, radii, order):
    """How far a ball moves each unit's projection of each row, rounded up: [h, n]."""
    return np.ceil(np.linalg.norm(w1, ord=order, axis=1)[:, None] * radii)


def patterns(low, high):
    """Every pattern of units, of which some are surely on and some surely off."""
    return itertools.product(
        *[sorted({int(a), int(b)}) for a, b in zip(low, high, strict=True)]
    )


class Oracle(step_oracle.Oracle):
    """One network on levels [d, n], in balls of radii [n]; `order` of the dual norm."""

    def __init__(self, *args, radii, order=2):
        super().__init__(*args)
        self.radii, self.order = radii, order

    def states(self):
        """Whether units are on everywhere, and whether anywhere: bool [h, n] each."""
        projection = self.w1 @ self.levels
        shift = shifts(self.w1, self.radii, self.order)
        cut = self.t1[:, None]
        return projection - shift > cut, projection + shift > cut

    def worst_sums(self, w2, low, high):
        """The least sum of rows of class 1, the largest of rows of class 0."""
        found = []
        for row, label in enumerate(self.labels):
            sums = [w2 @ np.array(p) for p in patterns(low[:, row], high[:, row])]
            found.append(min(sums) if label == 1 else max(sums))
        return np.array(found)

    def right(self, low, high):
        """Rows that are right for every pattern: bool [n]."""
        return np.array(
            [
                all(
                    (self.w2 @ np.array(pattern) > self.t2) == label
                    for pattern in patterns(low[:, row], high[:, row])
                )
                for row, label in enumerate(self.labels == 1)
            ]
        )

    def visit_output(self, mask, step, window, not_worse):
        low, high = self.states()

        def fit(values, **near):
            return self.best_cut(values, lambda on: on, mask, **near)

        current, _, position = fit(self.worst_sums(self.w2, low, high))
        size = np.rint(step * np.linalg.norm(self.w2))
        moves = [(unit, s) for s in (size, -size) for unit in range(len(self.w2))]
        scores = []
        for unit, s in moves:
            moved = self.w2.copy()
            moved[unit] += s
            sums = self.worst_sums(moved, low, high)
            scores.append(fit(sums, position=position, window=window)[0])
        best = int(np.argmax(scores))
        if scores[best] > current or (not_worse and scores[best] == current):
            unit, s = moves[best]
            self.w2[unit] += s
            norm = np.linalg.norm(self.w2)
            self.w2 = np.rint(self.w2 * (step_oracle.OUTPUT_NORM / norm))
        sums = self.worst_sums(self.w2, low, high)
        self.t2 = step_oracle.settle(sums, mask, fit(sums)[1])

    def edges(self, unit, weights):
        """Where thresholds change a row's worst case: its near or its far edge."""
        up = np.where((self.w2[unit] > 0) == (self.labels == 1), -1, 1)
        shift = shifts(weights[None], self.radii, self.order)[0]
        return weights @ self.levels + up * shift

    def best_threshold(self, unit, weights, mask, **near):
        """As `best_cut`, each threshold scored by every pattern of every row."""
        projection = weights @ self.levels
        shift = shifts(weights[None], self.radii, self.order)[0]
        low, high = self.states()
        found = step_oracle.thresholds(self.edges(unit, weights), mask)
        if near:
            reach = max(
                near["window"], min(abs(p - near["position"]) for _, p in found)
            )
            found = [(cut, p) for cut, p in found if abs(p - near["position"]) <= reach]
        scores = []
        for cut, _ in found:
            low[unit], high[unit] = projection - shift > cut, projection + shift > cut
            scores.append(int(self.weights[self.right(low, high) & mask].sum()))
        best = int(np.argmax(scores))
        return scores[best], *found[best]

    def visit_hidden(self, unit, drawn, mask, step, window, not_worse):
        before = self.w1[unit].copy()
        current, cut, position = self.best_threshold(unit, before, mask)
        size = np.rint(step * np.linalg.norm(before))
        moves = [(coordinate, s) for s in (size, -size) for coordinate in drawn]
        found = []
        for coordinate, s in moves:
            moved = before.copy()
            moved[coordinate] += s
            near = {"position": position, "window": window}
            found.append(self.best_threshold(unit, moved, mask, **near))
        best = int(np.argmax([score for score, *_ in found]))
        if found[best][0] > current or (not_worse and found[best][0] == current):
            coordinate, s = moves[best]
            self.w1[unit, coordinate] += s
            cut = found[best][1]
        edges = self.edges(unit, self.w1[unit])
        self.t1[unit] = step_oracle.settle(edges, mask, cut)
        self.halve(unit)

    def correct(self):
        """Rows of class 0 and of class 1 that are right in all of their balls."""
        right = self.right(*self.states())
        return [int(right[self.labels == label].sum()) for label in (0, 1)]


def certified_rows(params, x, y, radius):
    """Rows that are right whatever units do that may be on or off in the ball."""
    w1, b1, w2, b2 = (
        np.asarray(leaf, np.float64)[0] for leaf in jax.tree.leaves(params)
    )
    margin = x.astype(np.float64) @ w1.T + b1
    reach = radius * np.linalg.norm(w1, axis=1)
    surely, possibly = margin > reach, margin > -reach
    gain, loss = np.maximum(w2, 0), np.minimum(w2, 0)
    lowest = surely @ gain + possibly @ loss + b2
    highest = possibly @ gain + surely @ loss + b2
    return np.where(y == 1, lowest > 0, highest <= 0)
