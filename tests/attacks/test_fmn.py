"""FMN against a numpy version of Algorithm 1."""

import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from tests.attacks.test_hyperplane import ORDER
from tests.attacks.test_perturbation import nearest_in_ball
from zeroone_jax import attacks

DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


def onto_ball(move, epsilon, norm):
    if norm != "l0":
        return nearest_in_ball(move[None], epsilon, norm)[0]
    kept = np.argsort(-abs(move))[: int(epsilon)]
    return np.where(np.isin(np.arange(len(move)), kept), move, 0)


def algorithm_1(params, x, y, norm, steps, total):
    """The points of one image, with the larger ball before there is an adversary."""
    points, best = [x], np.inf
    epsilon = 1.0 if norm == "l0" else 0.0
    farthest = np.linalg.norm(np.maximum(x, 1 - x), ORDER[norm])
    for turn in range(steps):
        margin, slope = models.margin_in_numpy(params, points[-1], y)
        cosine = (1 + np.cos(np.pi * turn / total)) / 2
        gamma = 1e-4 + (0.05 - 1e-4) * cosine
        length = np.linalg.norm(points[-1] - x, ORDER[norm])
        if margin > 0:
            best = min(best, length)
        if norm == "l0":
            fewer = min(epsilon - 1, np.floor(epsilon * (1 - gamma)), best)
            more = max(epsilon + 1, np.floor(epsilon * (1 + gamma)))
            epsilon = np.clip(fewer if margin > 0 else more, 1, farthest)
        elif margin > 0:
            epsilon = min(epsilon * (1 - gamma), best)
        elif best < np.inf:
            epsilon *= 1 + gamma
        else:
            boundary = length - margin / np.linalg.norm(slope, DUAL[norm])
            epsilon = max(boundary, epsilon) * (1 + gamma)
        epsilon = min(epsilon, farthest)
        alpha = 0.01 + 0.99 * cosine
        move = points[-1] - x + alpha * slope / np.linalg.norm(slope)
        points.append(np.clip(x + onto_ball(move, epsilon, norm), 0, 1))
    return points


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_points_are_those_of_algorithm_1(norm):
    attack = attacks.fmn(norm=norm, iterations=40)
    params, x, y, points = models.points_of(attack, 12)
    for i in range(len(x)):
        expected = algorithm_1(params, x[i], y[i], norm, 12, 40)
        np.testing.assert_allclose(points[i], expected, atol=1e-9)
