"""Ascent against a loop in NumPy, and the starts' balls and keys."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.training.ascent import ascend, nearby_start, random_start

KEY = jax.random.key(2)
NORMS = ("linf", "l2", "l1")
COUNT, SHAPE = 12, (3, 2, 1)
GENERATOR = np.random.default_rng(1)
X = GENERATOR.random((COUNT, *SHAPE))
WEIGHTS = GENERATOR.normal(size=X.shape)
RADII = np.linspace(0.05, 0.6, COUNT)
EACH = (slice(None), None, None, None)


def loss(point):
    """Curved, and every image's own."""
    return jnp.sum(jnp.sin(3 * point) * WEIGHTS, (1, 2, 3))


def slope(point):
    return 3 * np.cos(3 * point) * WEIGHTS


def magnitudes(perturbation, norm):
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    return np.linalg.norm(np.reshape(perturbation, (len(perturbation), -1)), order, 1)


def upwards(gradient, norm):
    """Of length 1; in L1 the one coordinate of the largest slope."""
    if norm == "linf":
        return np.sign(gradient)
    if norm == "l2":
        return gradient / magnitudes(gradient, norm)[EACH]
    flat = gradient.reshape(len(gradient), -1)
    steepest = np.abs(flat) == np.abs(flat).max(1, keepdims=True)
    return (np.sign(flat) * steepest).reshape(gradient.shape)


def onto_ball(perturbation, radii, norm):
    if norm == "linf":
        return np.clip(perturbation, -radii[EACH], radii[EACH])
    if norm == "l2":
        longer = np.maximum(magnitudes(perturbation, norm) / radii, 1)
        return perturbation / longer[EACH]
    # The threshold of the nearest point in L1, by bisection.
    low, high = np.zeros(COUNT), magnitudes(perturbation, "linf")
    for _ in range(60):
        middle = (low + high) / 2
        left = np.maximum(np.abs(perturbation) - middle[EACH], 0)
        long = magnitudes(left, norm) > radii
        low, high = np.where(long, middle, low), np.where(long, high, middle)
    inside = (magnitudes(perturbation, norm) <= radii)[EACH]
    left = np.maximum(np.abs(perturbation) - high[EACH], 0)
    return np.where(inside, perturbation, np.sign(perturbation) * left)


def climbed(start, radii, lengths, steps, norm):
    point = start
    for _ in range(steps):
        moved = point + lengths[EACH] * upwards(slope(point), norm)
        point = np.clip(X + onto_ball(moved - X, radii, norm), 0, 1)
    return point


@pytest.mark.parametrize("norm", NORMS)
def test_steps_are_those_of_projected_gradient_ascent(norm):
    """With a radius and a step size for each image, and one for all."""
    lengths = RADII[::-1] / 2
    start = np.clip(X + onto_ball(0.1 * WEIGHTS, RADII, norm), 0, 1)
    every = np.ones(COUNT)
    with jax.enable_x64(True):
        climb = jax.jit(
            lambda start, radii, lengths: ascend(
                loss,
                jnp.asarray(X),
                start,
                epsilon=radii,
                step_size=lengths,
                steps=6,
                norm=norm,
            )
        )
        for radii, step_size in ((RADII, lengths), (0.3 * every, 0.1 * every)):
            expected = climbed(start, radii, step_size, 6, norm)
            np.testing.assert_allclose(
                climb(start, radii, step_size), expected, atol=1e-9
            )
            # One step more, or one fewer, is another point.
            for steps in (5, 7):
                other = climbed(start, radii, step_size, steps, norm)
                assert np.abs(other - expected).max() > 1e-3


@pytest.mark.parametrize("norm", NORMS)
def test_one_number_counts_for_every_image(norm):
    x = jnp.asarray(X, jnp.float32)
    found = []
    for epsilon, step_size in (
        (0.3, 0.1),
        (jnp.full(COUNT, 0.3), jnp.full(COUNT, 0.1)),
    ):
        climb = functools.partial(
            ascend, lambda point: jnp.sum(point**3, (1, 2, 3)), steps=3, norm=norm
        )
        found.append(climb(x, x, epsilon=epsilon, step_size=step_size))
    # A number of Python is rounded down to the images' type.
    np.testing.assert_allclose(*found, atol=1e-7)
    assert found[0].dtype == jnp.float32


def test_without_steps_it_is_the_start():
    x = jnp.asarray(X, jnp.float32)
    settings = {"epsilon": 0.1, "step_size": 0.1, "norm": "linf"}
    point = ascend(lambda point: point.sum((1, 2, 3)), x, x / 2, steps=0, **settings)
    np.testing.assert_array_equal(point, x / 2)


@functools.partial(jax.jit, static_argnames=("norm", "draw"))
def drawn(seed, x, y, epsilon, norm="linf", draw=random_start):
    return draw(jax.random.key(seed), x, y, epsilon, norm)


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_fill_each_images_ball(norm):
    """The volume within a share s of the radius is s to the power of the dimension."""
    count, radius = 2000, 0.4
    generator = np.random.default_rng(0)
    # No two images alike, and so far inside the box that it does not cut the ball.
    x = jnp.asarray(generator.uniform(0.45, 0.55, (count, *SHAPE)), jnp.float32)
    radii = np.where(np.arange(count) < count // 2, radius, radius / 4)
    y = jnp.zeros(count, jnp.int32)
    moved = drawn(0, x, y, jnp.asarray(radii, jnp.float32), norm) - x
    share = magnitudes(np.asarray(moved), norm) / radii
    assert share.max() <= 1 + 1e-5
    for half in (share[: count // 2], share[count // 2 :]):
        uniform = np.sort(half**6)
        expected = (np.arange(len(half)) + 0.5) / len(half)
        # Kolmogorov and Smirnov: passed by chance but once in 10^5 times.
        assert np.abs(uniform - expected).max() < 2.5 / np.sqrt(len(half))
    signs = np.sign(moved).reshape(count, -1)
    assert np.abs(signs.mean(0)).max() < 0.11
    assert np.abs(np.corrcoef(signs.T) - np.eye(6)).max() < 0.11


def test_nearby_starts_are_normal_noise_of_a_thousandth():
    count = 2000
    x = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.8, (count, *SHAPE)))
    y = jnp.zeros(count, jnp.int32)
    moved = np.asarray(drawn(0, x, y, 0.1, draw=nearby_start) - x)
    assert abs(moved.std() / 0.001 - 1) < 0.04
    assert abs(moved.mean()) < 5e-5
    # Normal: a third of the coordinates are beyond one deviation, .27% beyond three.
    assert abs((np.abs(moved) > 0.001).mean() - 0.317) < 0.02
    assert 0.001 < (np.abs(moved) > 0.003).mean() < 0.005


@pytest.mark.parametrize("draw", [random_start, nearby_start])
@pytest.mark.parametrize("norm", NORMS)
def test_starts_are_inside_ball_and_box_and_follow_key_image_and_label(draw, norm):
    x = jnp.asarray(X, jnp.float32).at[:3].set(0).at[3:6].set(1)
    x = x.at[0].set(x[-1]).at[1].set(x[-1])
    y = jnp.arange(COUNT, dtype=jnp.int32) % 3
    y = y.at[0].set(y[-1]).at[1].set((y[-1] + 1) % 3)
    radii = jnp.full(COUNT, 5e-4)
    start = np.asarray(drawn(1, x, y, radii, norm, draw))
    assert start.dtype == np.float32
    assert start.min() >= 0
    assert start.max() <= 1
    assert (magnitudes(start - np.asarray(x), norm) <= 5e-4 * (1 + 1e-6)).all()
    np.testing.assert_array_equal(start[0], start[-1])
    assert (start[1] != start[-1]).any()
    # At a corner of the box what is left of a small move may be nothing.
    other = drawn(2, x, y, radii, norm, draw)
    assert (other[6:] != start[6:]).any((1, 2, 3)).all()
    backwards = drawn(1, x[::-1], y[::-1], radii, norm, draw)
    np.testing.assert_allclose(backwards[::-1], start, atol=1e-7)
