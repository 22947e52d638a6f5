"""DDN against a numpy version of Algorithm 1, and on the grid."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks, losses

KEY = jax.random.key(0)


def algorithm_1(params, x, y, steps, total):
    """The points of one image, whose first radius is 1."""
    points, epsilon = [x], 1.0
    for turn in range(steps):
        z, gradients = models.mlp_in_numpy(params, points[-1])
        share = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        gradient = share @ gradients - gradients[y]
        alpha = 0.01 + 0.99 * (1 + np.cos(np.pi * turn / total)) / 2
        move = points[-1] - x + alpha * gradient / np.linalg.norm(gradient)
        epsilon *= 0.95 if np.argmax(z) != y else 1.05
        epsilon = min(epsilon, np.linalg.norm(np.maximum(x, 1 - x)))
        points.append(np.clip(x + epsilon * move / np.linalg.norm(move), 0, 1))
    return points


def test_points_are_those_of_algorithm_1():
    params, x, y, points = models.points_of(attacks.ddn(iterations=40), 12)
    for i in range(len(x)):
        expected = algorithm_1(params, x[i], y[i], 12, 40)
        np.testing.assert_allclose(points[i], expected, atol=1e-9)


def test_on_the_grid_every_point_is_on_it():
    fn, _, x, _ = models.mlp(2)
    x = jnp.round(x * 15) / 15
    y = losses.labels(fn(x))
    attack = attacks.ddn(iterations=30, levels=15)
    out = attack(KEY, fn, x, y)
    assert out.success.all()
    steps = np.asarray(out.adversary) * 15
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    free = dataclasses.replace(attack, levels=None)(KEY, fn, x, y)
    assert (out.distance >= free.distance * 0.9).all()
    # One look at the image, 30 points, one point on the grid, and the frame's two.
    assert (out.queries == 1 + 30 + 1 + 2).all()
