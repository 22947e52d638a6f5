"""Projections stay in ball and box and are exact; steps; starting points."""

import functools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.attacks import perturbation

SHAPE = (3, 2, 5)
EPSILONS = (1e-6, 1e-3, 8 / 255, 0.3, 1.0, 2.5)

project = jax.jit(perturbation.project, static_argnames="norm")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)


@st.composite
def images_and_points(draw):
    pixels = st.one_of(
        st.sampled_from([0.0, 1.0, 0.5, 1 / 3]), st.floats(0, 1, allow_subnormal=False)
    )
    x = draw(hnp.arrays(np.float64, SHAPE, elements=pixels))
    far = draw(st.sampled_from([1e-6, 1e-3, 0.1, 1.0, 10.0]))
    move = draw(
        hnp.arrays(np.float64, SHAPE, elements=st.floats(-1, 1, allow_subnormal=False))
    )
    return x, far * move, draw(st.sampled_from(EPSILONS))


def nearest_in_ball(move, epsilon, norm):
    """The nearest point of the ball, in float64; L1's shift by bisection."""
    flat = move.reshape(len(move), -1)
    if norm == "linf":
        flat = np.clip(flat, -epsilon, epsilon)
    elif norm == "l2":
        length = np.linalg.norm(flat, axis=1, keepdims=True)
        flat = flat * np.minimum(1, epsilon / np.maximum(length, 1e-300))
    else:
        low, high = np.zeros((len(flat), 1)), np.abs(flat).max(1, keepdims=True)
        for _ in range(200):
            middle = (low + high) / 2
            left = np.maximum(np.abs(flat) - middle, 0).sum(1, keepdims=True)
            low, high = np.where(left > epsilon, [middle, high], [low, middle])
        flat = np.sign(flat) * np.maximum(np.abs(flat) - high, 0)
    return flat.reshape(move.shape)


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_projection(norm, dtype):
    @hypothesis.given(images_and_points())
    def check(drawn):
        x, move, epsilon = drawn
        x = jnp.asarray(x, dtype)
        point = x + jnp.asarray(move, dtype)
        projected = project(point, x, epsilon, norm=norm)
        assert projected.dtype == dtype
        assert projected.shape == SHAPE
        # Measured here, eagerly and one at a time: other orders of summation.
        for one, image in zip(projected, x, strict=True):
            distance = perturbation.size((one - image)[None], norm)[0]
            assert float(distance) <= float(dtype.type(epsilon))
        assert float(jnp.min(projected)) >= 0
        assert float(jnp.max(projected)) <= 1
        again = project(projected, x, epsilon, norm=norm)
        np.testing.assert_array_equal(again, projected)
        wide = np.asarray(x, np.float64)
        exact = wide + nearest_in_ball(
            np.asarray(point, np.float64) - wide, epsilon, norm
        )
        unit = float(jnp.finfo(dtype).eps)
        size = np.abs(np.asarray(point, np.float64)).max()
        np.testing.assert_allclose(
            projected, np.clip(exact, 0, 1), atol=unit * (2 + size + 15 * epsilon)
        )

    check()


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_projection_of_thousands_of_coordinates(norm):
    x = jax.random.uniform(jax.random.key(0), (8, 3072))
    point = x + jax.random.normal(jax.random.key(1), x.shape)
    for epsilon in (1e-4, 0.5, 12.0):
        projected = project(point, x, epsilon, norm=norm)
        for order in (slice(None), slice(None, None, -1)):
            for one, image in zip(projected, x, strict=True):
                distance = perturbation.size((one - image)[order][None], norm)[0]
                assert float(distance) <= np.float32(epsilon)
        inside = project(jnp.clip(x + 1e-9, 0, 1), x, epsilon, norm=norm)
        np.testing.assert_array_equal(inside, jnp.clip(x + 1e-9, 0, 1))


def test_projection_with_a_radius_each():
    x = jnp.full((2, 4), 0.5)
    projected = project(x + 1, x, jnp.array([0.1, 0.2]), norm="linf")
    np.testing.assert_allclose(projected[:, 0], [0.6, 0.7], rtol=1e-6)


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_projection_into_a_ball_of_radius_0_is_its_middle(norm):
    x = jnp.full((2, 4), 0.25)
    for move in (jnp.ones_like(x), x.at[:, 1].set(0), jnp.zeros_like(x)):
        np.testing.assert_array_equal(project(x + move, x, 0.0, norm=norm), x)


def test_sizes():
    move = jnp.array([[[3.0, -4.0]], [[0.0, 0.0]]])
    for norm, wanted in (("linf", 4), ("l2", 5), ("l1", 7)):
        np.testing.assert_allclose(perturbation.size(move, norm), [wanted, 0])


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_directions_have_size_one(norm, scale):
    gradient = scale * jax.random.normal(jax.random.key(0), (4, 20, 20))
    step = perturbation.direction(gradient, norm)
    np.testing.assert_allclose(perturbation.size(step, norm), 1, rtol=1e-5)
    assert jnp.all(step * gradient >= 0)
    nothing = perturbation.direction(jnp.zeros((2, 3)), norm)
    np.testing.assert_array_equal(nothing, np.zeros((2, 3)))


def test_directions():
    gradient = np.array([[0.3, -0.4, 0.0]], np.float32)
    direction = functools.partial(perturbation.direction, jnp.asarray(gradient))
    np.testing.assert_array_equal(direction("linf"), [[1, -1, 0]])
    np.testing.assert_allclose(direction("l2"), [[0.6, -0.8, 0]], rtol=1e-6)
    np.testing.assert_array_equal(direction("l1"), [[0, -1, 0]])
    # A hundredth of the coordinates, rounded up, share a step of L1.
    slopes = np.arange(250, dtype=np.float32)[None] * np.float32(-1)
    step = np.asarray(perturbation.direction(jnp.asarray(slopes), "l1"))[0]
    np.testing.assert_array_equal(np.flatnonzero(step), [247, 248, 249])
    np.testing.assert_allclose(step[247:], -1 / 3, rtol=1e-6)


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_slopes_that_are_not_finite_move_nothing(norm):
    gradient = jnp.array([[jnp.nan, 1.0], [2.0, -jnp.inf], [jnp.inf, jnp.nan]])
    step = perturbation.direction(gradient, norm)
    np.testing.assert_allclose(step, [[0, 1], [1, 0], [0, 0]])
