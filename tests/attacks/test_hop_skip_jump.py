"""HopSkipJump on models whose distance is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("norm", "law"),
    [
        ("l2", "signs"),
        ("linf", "signs"),
        *(
            pytest.param(*one, marks=pytest.mark.slow("the papers' laws"))
            for one in (("l2", "gaussian"), ("linf", "uniform"))
        ),
    ],
)
def test_the_distance_to_a_hyperplane_is_reached(norm: str, law: str) -> None:
    x, y = models.images(8, 10)
    attack = attacks.hop_skip_jump(norm=norm, law=law, iterations=60)
    out = attack(KEY, models.linear, x, y)
    exact = models.linear_distance(x, norm)
    np.testing.assert_array_less(np.asarray(out.distance), 1.05 * exact + 1e-5)
    np.testing.assert_array_less(exact * (1 - 1e-5), np.asarray(out.distance))


def facets(x: jax.Array) -> jax.Array:
    """A sign network: class 1 where most of 21 units are on."""
    weights = np.random.default_rng(5).normal(size=(60, 21)).astype(np.float32)
    flat = x.reshape(len(x), -1) - 0.5
    on = jnp.matmul(flat, weights, precision="highest") > 0
    return (jnp.sum(on, axis=1) > 10).astype(jnp.int32)


@pytest.mark.slow("compiles three radii")
def test_a_far_and_an_adaptive_radius_come_nearer_on_facets() -> None:
    """docs/papers.md, A6: a tiny radius sees one facet only."""
    x = 0.3 + 0.4 * jax.random.uniform(KEY, (12, *models.SHAPE))
    y = facets(x)
    tiny, far, adaptive = (
        attacks.hop_skip_jump(radius=radius, max_queries=2000)(KEY, facets, x, y)
        for radius in (0.01, 0.5, "adaptive")
    )
    for out in (tiny, far, adaptive):
        assert out.success.all()
        assert (out.queries <= 2000).all()
    assert jnp.mean(far.distance) < jnp.mean(tiny.distance)
    assert jnp.mean(adaptive.distance) < jnp.mean(tiny.distance)


def test_the_adaptive_radius_follows_the_share_of_hits() -> None:
    x, y = models.images(8, 5)
    attack = attacks.hop_skip_jump(radius="adaptive")
    state = attack.init(KEY, models.linear, x, y)
    step = jax.jit(lambda state: attack.step(KEY, models.linear, state))
    np.testing.assert_array_equal(state.memory.radius, 1)
    for _ in range(5):
        before = state
        state, info = step(state)
        one_sided = np.abs(2 * np.asarray(info.hit_share) - 1)
        factor = np.where(one_sided < 0.4, 1.2, np.where(one_sided > 0.8, 0.8, 1))
        expected = np.clip(np.asarray(before.memory.radius) * factor, 0.003, 2)
        np.testing.assert_allclose(state.memory.radius, expected, rtol=1e-6)


def test_a_step_asks_estimates_and_jumps_as_the_paper_says() -> None:
    x, y = models.images(8, 5)
    attack = attacks.hop_skip_jump(initial_directions=70)
    state = attack.init(KEY, models.linear, x, y)
    step = jax.jit(lambda state: attack.step(KEY, models.linear, state))
    for iteration in range(1, 5):
        before = state
        state, info = step(state)
        # Directions, then at least one jump and one halving of the way back.
        directions = int(np.float32(70) * np.sqrt(np.float32(iteration)))
        used = np.asarray(state.queries - before.queries)
        assert (used >= directions + 2).all()
        assert (used <= directions + 25 + 20).all()
        # The jump is the distance over the root, halved some times.
        longest = np.asarray(before.memory.distance) / np.sqrt(iteration)
        halvings = np.log2(longest / np.asarray(info.jump))
        np.testing.assert_allclose(halvings, np.round(halvings), atol=1e-4)
        # The new point lies at the boundary, to the tolerance of the search, a share
        # of the way to the point jumped to.
        reached = before.memory.distance + info.jump
        share = 1 - 1.01 * 0.01 / np.sqrt(60) * reached / state.memory.distance
        shorter = x + share[:, None, None, None] * (state.memory.point - x)
        assert (models.linear(shorter) == y).all()
        np.testing.assert_array_equal(
            state.memory.distance, size(state.memory.point - x, "l2")
        )
