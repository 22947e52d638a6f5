"""Starting points and the way to the boundary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.attacks import oracle
from zeroone_jax.attacks.perturbation import size

LIMITS = jnp.array([0.3, 0.5, 0.8])


EVERYWHERE = jnp.ones(3, bool)


def hits(points: jax.Array, asked: jax.Array = EVERYWHERE) -> jax.Array:
    """A hit where the first coordinate is above the image's limit.

    Where it is not to ask it says the opposite, which nobody may heed.
    """
    return (points[:, 0] > LIMITS) == asked


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_bisection_ends_at_the_boundary(norm: oracle.Norm) -> None:
    x, point = jnp.zeros((3, 4)), jnp.ones((3, 4)).at[:, 1].set(0.25)
    many = jnp.full(3, 1000, jnp.int32)
    none = jnp.zeros(3, jnp.int32)
    active = jnp.array([True, True, False])
    found = oracle.bisect(hits, x, point, active, 1e-3, none, many, norm)
    np.testing.assert_array_equal(found.point[2], point[2])
    assert hits(found.point)[active].all()
    assert (found.point[:2, 0] - LIMITS[:2] <= 1e-3).all()
    np.testing.assert_array_equal(found.queries, [10, 10, 0])
    # L2 stays on the line; Linf clips every coordinate to the same radius.
    share = found.point[:2, 0]
    other = 0.25 * share if norm == "l2" else jnp.minimum(0.25, share)
    np.testing.assert_allclose(found.point[:2, 1], other, rtol=1e-6)


def test_bisection_stops_at_every_images_own_budget() -> None:
    x, point = jnp.zeros((3, 4)), jnp.ones((3, 4))
    budget = jnp.array([2, 5, 9], jnp.int32)
    used = jnp.array([0, 5, 6], jnp.int32)
    found = oracle.bisect(hits, x, point, jnp.ones(3, bool), 1e-6, used, budget, "l2")
    np.testing.assert_array_equal(found.queries, budget)
    np.testing.assert_array_equal(found.point[1], point[1])
    np.testing.assert_array_equal(found.point[:, 0], [0.5, 1, 0.875])


@pytest.mark.parametrize("kind", ["uniform", "blended"])
def test_noise_is_drawn_until_it_hits(kind: oracle.StartKind) -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    x, many = jnp.zeros((3, 4)), jnp.full(3, 1000, jnp.int32)
    found = oracle.find_start(hits, keys, x, kind, 100, many)
    assert found.hit.all()
    assert hits(found.point).all()
    assert ((found.point >= 0) & (found.point <= 1)).all()
    assert (found.queries >= 1).all()


def test_draws_are_bounded_and_a_failure_is_the_image() -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    x = jnp.full((3, 4), 0.25)

    def never(points: jax.Array, asked: jax.Array) -> jax.Array:
        return ~asked

    many = jnp.full(3, 1000, jnp.int32)
    found = oracle.find_start(never, keys, x, "uniform", 7, many)
    assert not found.hit.any()
    np.testing.assert_array_equal(found.point, x)
    np.testing.assert_array_equal(found.queries, 7)
    few = oracle.find_start(never, keys, x, "blended", 7, jnp.array([3, 30, 1000]))
    np.testing.assert_array_equal(few.queries, [3, 28, 28])


def test_blended_noise_reaches_what_even_noise_does_not() -> None:
    """A class of dark images: even noise of many coordinates is never dark."""
    keys = jax.random.split(jax.random.key(0), 3)
    x, many = jnp.ones((3, 1000)), jnp.full(3, 1000, jnp.int32)

    def dark(points: jax.Array, asked: jax.Array) -> jax.Array:
        return jnp.mean(points, axis=1) < 0.3

    assert not oracle.find_start(dark, keys, x, "uniform", 100, many).hit.any()
    assert oracle.find_start(dark, keys, x, "blended", 100, many).hit.all()


def test_blended_noise_starts_nearer() -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    x, many = jnp.full((3, 4), 0.29), jnp.full(3, 1000, jnp.int32)

    def near(points: jax.Array, asked: jax.Array) -> jax.Array:
        return points[:, 0] > 0.3

    sizes = [
        size(oracle.find_start(near, keys, x, kind, 100, many).point - x, "l2")
        for kind in ("blended", "uniform")
    ]
    assert sizes[0].mean() < sizes[1].mean()
