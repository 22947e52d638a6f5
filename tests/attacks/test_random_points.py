import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.attacks import perturbation, random_points


@pytest.mark.parametrize("quickly", [False, True])
@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_random_points_fill_the_ball_evenly(norm, quickly):
    """The share within r of the centre is r**d, in each coordinate's sign half."""
    epsilon, dimension = 0.1, 3
    keys = jax.random.split(jax.random.key(0), 4000)
    x = jnp.full((len(keys), dimension), 0.5)
    moves = random_points.random_in_ball(keys, x, epsilon, norm, False, quickly) - x
    sizes = perturbation.size(moves, norm)
    assert float(sizes.max()) <= np.float32(epsilon)
    for share in (0.5, 0.8):
        expected = share**dimension
        noise = 4 * math.sqrt(expected * (1 - expected) / len(keys))
        assert abs(float(jnp.mean(sizes <= share * epsilon)) - expected) < noise
    assert jnp.all(jnp.abs(jnp.mean(moves > 0, axis=0) - 0.5) < 0.04)


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_random_points_stay_in_the_box(norm):
    x = jnp.array([[0.0, 1.0], [1.0, 0.0]])
    keys = jax.random.key(1)[None]
    point = random_points.random_in_ball(keys, x[None], 2.0, norm)
    assert point.shape == (1, *x.shape)
    assert jnp.all((point >= 0) & (point <= 1))
    assert float(perturbation.size(point - x[None], norm)[0]) <= 2


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_random_points_fill_what_ball_and_box_share(norm):
    """At a corner of the box they fill an orthant of the ball, and leave its faces."""
    epsilon, dimension = 0.1, 3
    keys = jax.random.split(jax.random.key(0), 4000)
    x = jnp.tile(jnp.array([[0.0, 1.0, 0.5]]), (len(keys), 1))
    moves = random_points.random_in_ball(keys, x, epsilon, norm, fit_box=True) - x
    sizes = perturbation.size(moves, norm)
    assert float(sizes.max()) <= np.float32(epsilon)
    assert jnp.mean(moves[:, 0] > 0) > 0.99
    assert jnp.mean(moves[:, 1] < 0) > 0.99
    assert abs(float(jnp.mean(moves[:, 2] > 0)) - 0.5) < 0.04
    for share in (0.5, 0.8):
        expected = share**dimension
        noise = 4 * math.sqrt(expected * (1 - expected) / len(keys))
        assert abs(float(jnp.mean(sizes <= share * epsilon)) - expected) < noise


def test_linf_points_are_even_between_the_borders():
    keys = jax.random.split(jax.random.key(0), 4000)
    x = jnp.tile(jnp.array([[0.0, 0.03, 0.5, 0.98]]), (len(keys), 1))
    points = random_points.random_in_ball(keys, x, 0.1, "linf", fit_box=True)
    low, high = np.array([0, 0, 0.4, 0.88]), np.array([0.1, 0.13, 0.6, 1])
    place = (np.asarray(points) - low) / (high - low)
    for share in (0.1, 0.5, 0.9):
        np.testing.assert_allclose((place < share).mean(0), share, atol=0.03)


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_far_from_the_borders_the_box_does_not_matter(norm):
    x = jnp.full((1, 50), 0.5)
    inside, clipped = (
        random_points.random_in_ball(jax.random.key(3)[None], x, 0.1, norm, fit_box)
        for fit_box in (True, False)
    )
    np.testing.assert_allclose(inside, clipped, atol=1e-7)
