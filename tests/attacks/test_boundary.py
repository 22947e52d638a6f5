"""The Boundary Attack's two kinds of steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks import Attack, State
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(0)


def begun(attack: Attack, seed: int = 9) -> State:
    """Five images in the middle of the box, starts far from its walls."""
    x, y = models.images(seed, 5)
    weights = jnp.asarray(models.WEIGHTS).reshape(models.SHAPE)
    away = jnp.where((y == 1)[:, None, None, None], -1, 1) * weights[None]
    start = x + 0.1 * away / jnp.max(jnp.abs(weights))
    return attack.init(KEY, models.linear, x, y, start)


@pytest.mark.parametrize("law", ["signs", "gaussian"])
def test_points_asked_lie_on_the_sphere_and_then_nearer(law: str) -> None:
    attack = attacks.boundary(samples=40, sideways=0.05, forward=0.02, law=law)
    state = begun(attack)
    asked: list[np.ndarray] = []

    def recorded(x: jax.Array) -> jax.Array:
        jax.debug.callback(lambda points: asked.append(np.asarray(points)), x)
        return models.linear(x)

    with jax.disable_jit():
        attack.step(KEY, recorded, state)
    sideways, forward = (
        np.asarray(points).reshape(5, -1, *models.SHAPE) - np.asarray(state.x)[:, None]
        for points in asked[:2]
    )
    distance = np.asarray(state.memory.distance)[:, None]
    sizes = np.linalg.norm(sideways.reshape(5, 40, -1), axis=2)
    np.testing.assert_allclose(sizes, np.broadcast_to(distance, sizes.shape), rtol=1e-5)
    # Orthogonal steps of .05 of the distance: signs are of norm 1 before projection.
    cosine = (
        np.einsum("nmhwc,nhwc->nm", sideways, np.asarray(state.adversary - state.x))
        / distance**2
    )
    assert np.abs(cosine - 1 / np.sqrt(1 + 0.05**2)).max() < 1e-3
    sizes = np.linalg.norm(forward.reshape(5, 40, -1), axis=2)
    np.testing.assert_allclose(
        sizes, np.broadcast_to(0.98 * distance, sizes.shape), rtol=1e-5
    )


def test_steps_adapt_to_the_share_of_hits() -> None:
    attack = attacks.boundary(samples=40, sideways=0.05, forward=0.02)
    state = begun(attack)
    # Far inside the other class every step stays a hit: both grow.
    after, info = attack.step(KEY, models.linear, state)
    grown = np.asarray(info.moved)
    assert grown.all()
    np.testing.assert_allclose(after.memory.sideways, 0.05 / 0.667, rtol=1e-6)
    np.testing.assert_allclose(after.memory.forward, 0.02 / 0.667, rtol=1e-6)
    np.testing.assert_allclose(
        after.memory.distance, 0.98 * np.asarray(state.memory.distance), rtol=1e-5
    )
    # At the boundary no step forward is one: it shrinks.
    at_boundary = attack.finish(KEY, models.linear, state)
    distance = size(at_boundary.adversary - state.x, "l2")
    at_boundary = at_boundary._replace(memory=state.memory._replace(distance=distance))
    after, _ = attack.step(KEY, models.linear, at_boundary)
    assert (after.memory.forward < 0.02).any()


def test_the_distance_to_a_hyperplane_is_approached() -> None:
    x, y = models.images(9, 8)
    attack = attacks.boundary(iterations=400, samples=30, max_queries=10_000)
    out = attack(KEY, models.linear, x, y)
    exact = models.linear_distance(x, "l2")
    assert np.median(np.asarray(out.distance) / exact) < 1.2
