"""sigma-zero against a numpy version of Algorithm 1; values and pixels."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks, losses


def algorithm_1(params, x, y, steps, total):
    """The points of one image."""
    points, threshold = [x], 0.3
    first = second = np.zeros_like(x)
    for turn in range(steps):
        margin, slope = models.margin_in_numpy(params, points[-1], y)
        move = points[-1] - x
        gradient = 2e-3 * move / (move**2 + 1e-3) ** 2 / len(x)
        gradient = gradient - slope * (margin < 0)
        gradient = gradient / abs(gradient).max()
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        mean, square = (
            first / (1 - 0.9 ** (turn + 1)),
            second / (1 - 0.999 ** (turn + 1)),
        )
        step = 0.1 + 0.9 * (1 + np.cos(np.pi * turn / total)) / 2
        point = np.clip(points[-1] - step * mean / (np.sqrt(square) + 1e-8), 0, 1)
        threshold = np.clip(threshold + (0.01 if margin > 0 else -0.01) * step, 0, 1)
        points.append(np.where(abs(point - x) < threshold, x, point))
    return points


def test_points_are_those_of_algorithm_1():
    params, x, y, points = models.points_of(attacks.sigma_zero(iterations=40), 12)
    for i in range(len(x)):
        expected = algorithm_1(params, x[i], y[i], 12, 40)
        np.testing.assert_allclose(points[i], expected, atol=1e-7)


def test_pixels_change_as_a_whole():
    """Two channels tell of class 1: one pixel of both is fewer than two of one."""
    weight = np.zeros((3, 2, 2), np.float32)
    weight[0, 0] = 0.8, 0.8
    weight[1, 0, 0] = weight[2, 1, 0] = 1.0
    x = jnp.full((2, 3, 2, 2), 0.2).at[1].add(0.05)

    def fn(x):
        return jnp.sum(x * weight[None], axis=(1, 2, 3)) - 1.7

    y = losses.labels(fn(x))
    key = jax.random.key(0)
    for norm, count in (("l0", 2), ("l0_pixels", 1)):
        out = attacks.sigma_zero(norm=norm, iterations=300)(key, fn, x, y)
        np.testing.assert_array_equal(out.distance, count)
