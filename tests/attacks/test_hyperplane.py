"""The projection against its problem solved otherwise, in float64 numpy."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies

from zeroone_jax.attacks import hyperplane

ORDER = {"linf": np.inf, "l2": 2, "l1": 1, "l0": 0}
project = functools.partial(jax.jit, static_argnums=3)(hyperplane.onto_hyperplane)


def draw(seed, size=9, images=8):
    """Points, some on the border, slopes, some 0 and some equal, and rises."""
    generator = np.random.default_rng(seed)
    point = generator.choice([0, 1, 0.2, 0.7, 0.5], (images, size))
    slope = generator.choice([0, 1, -1, 0.5], (images, size))
    slope = np.where(generator.random((images, size)) < 0.5, slope, 0) + np.where(
        generator.random((images, size)) < 0.4, generator.normal(size=slope.shape), 0
    )
    rise = generator.normal(size=images) * generator.choice([0.1, 1, 4], images)
    return np.float32(point), np.float32(slope), np.float32(rise)


def least_length(point, slope, rise, norm):
    """The length of the smallest move, infinite where the box forbids it."""
    slope, rise = np.float64(slope) * np.sign(rise), abs(np.float64(rise))
    room = np.where(slope > 0, 1 - np.float64(point), point) * (slope != 0)
    steep = abs(slope)
    if (steep * room).sum() < rise:
        return np.inf
    if norm == "l1":
        length = 0.0
        for i in np.argsort(-steep):
            # Rounding leaves a little of the rise where nothing is steep any more.
            step = min(room[i], rise / steep[i]) if rise > 0 < steep[i] else 0
            length, rise = length + step, rise - step * steep[i]
        return length
    speed = steep if norm == "l2" else np.ones_like(steep)
    low, high = 0.0, 1e4
    for _ in range(60):
        dual = (low + high) / 2
        short = (steep * np.minimum(dual * speed, room)).sum() < rise
        low, high = (dual, high) if short else (low, dual)
    return np.linalg.norm(np.minimum(high * speed, room), ORDER[norm])


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@hypothesis.given(seed=strategies.integers(0, 10**6))
def test_the_move_is_the_smallest(norm, seed):
    point, slope, rise = draw(seed)
    move = np.asarray(project(point, slope, rise, norm))
    assert (point + move).min() >= -1e-6
    assert (point + move).max() <= 1 + 1e-6
    assert (move[slope == 0] == 0).all()
    for i in range(len(point)):
        expected = least_length(point[i], slope[i], rise[i], norm)
        reached = (move[i] * slope[i]).sum()
        if np.isfinite(expected):
            np.testing.assert_allclose(reached, rise[i], rtol=1e-4, atol=1e-5)
            length = np.linalg.norm(move[i], ORDER[norm])
            np.testing.assert_allclose(length, expected, rtol=1e-4, atol=1e-5)
        else:
            corner = np.where(slope[i] * np.sign(rise[i]) > 0, 1, 0)
            stuck = np.where(slope[i] == 0, point[i], corner)
            np.testing.assert_allclose(point[i] + move[i], stuck, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_slopes_of_any_size(norm, scale):
    point, slope, rise = map(jnp.asarray, draw(3))
    move = project(point, slope, rise, norm)
    scaled = project(point, slope * scale, rise * scale, norm)
    np.testing.assert_allclose(scaled, move, atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_images_keep_their_shape(norm):
    generator = np.random.default_rng(0)
    point = jnp.asarray(generator.uniform(size=(3, 4, 5, 2)), jnp.float32)
    slope = jnp.asarray(generator.normal(size=point.shape), jnp.float32)
    rise = jnp.array([0.5, -0.5, 0.0])
    move = project(point, slope, rise, norm)
    gained = jnp.sum(move * slope, axis=(1, 2, 3))
    np.testing.assert_allclose(gained, rise, atol=1e-5)
    assert (move[2] == 0).all()
