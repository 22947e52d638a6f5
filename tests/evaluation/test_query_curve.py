"""The recorded course of an attack: it is the attack's own, and only falls."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks
from zeroone_jax.evaluation import query_curve

BUDGETS = query_curve.budgets(2000, 30)


def dark(x):
    """0 where the mean of 12 numbers is below a half."""
    return (jnp.mean(x, axis=1) >= 0.5).astype(jnp.int32)


@pytest.fixture(scope="module")
def recorded():
    x = jax.random.uniform(jax.random.key(0), (6, 12), maxval=0.8)
    y = dark(x).at[2].set(1 - dark(x)[2])
    attack = attacks.hop_skip_jump(norm="l2", iterations=4)
    key = jax.random.key(1)
    result = query_curve.record(attack, key, dark, x, y, None, BUDGETS)
    return attack, key, x, y, result


@pytest.mark.slow("compiles an attack twice")
def test_the_result_is_that_of_the_attack(recorded):
    attack, key, x, y, (result, _) = recorded
    chex.assert_trees_all_close(result, attack(key, dark, x, y), atol=1e-6)


def test_curves_fall_to_the_distance_found(recorded):
    *_, (result, curve) = recorded
    curve = np.asarray(curve)
    assert curve.shape == (6, len(BUDGETS))
    with np.errstate(invalid="ignore"):
        assert not np.any(np.diff(curve, axis=1) > 0)
    # The adversary is backed off from the boundary, by 1e-4 and a little more.
    np.testing.assert_allclose(curve[:, -1], result.distance, rtol=5e-4)
    assert np.all(curve[2] == 0)
    attacked = np.arange(6) != 2
    assert np.all(np.isinf(curve[attacked, 0]))
    # The end is reached when all queries but the last look have been asked.
    done = BUDGETS[None] >= np.asarray(result.queries)[:, None]
    assert np.all((curve == curve[:, -1:])[done])
    assert np.all(curve[attacked][:, BUDGETS < 20] > curve[attacked, -1:])


def test_an_image_never_broken_stays_infinite():
    x = jnp.full((1, 12), 0.2)
    attack = attacks.hop_skip_jump(norm="l2", iterations=2, start_draws=3)

    def constant(x):
        return jnp.zeros(len(x), jnp.int32)

    y = jnp.zeros(1, jnp.int32)
    result, curve = query_curve.record(
        attack, jax.random.key(1), constant, x, y, None, BUDGETS
    )
    assert not bool(result.success[0])
    assert np.all(np.isinf(np.asarray(curve)))


def test_an_image_without_a_label_is_never_broken():
    def blind(x):
        return jnp.where(x[:, 0] > 0.9, -1, dark(x))

    x = jax.random.uniform(jax.random.key(0), (4, 12), maxval=0.8).at[1, 0].set(0.95)
    attack = attacks.hop_skip_jump(norm="l2", iterations=2)
    arguments = (jax.random.key(1), blind, x, dark(x), None, BUDGETS)
    result, curve = query_curve.record(attack, *arguments)
    assert np.isnan(result.distance[1])
    assert np.isinf(np.asarray(curve)[1]).all()
    assert np.isfinite(np.asarray(curve)[[0, 2, 3], -1]).all()


@pytest.mark.slow("compiles for several devices")
def test_chunks_and_devices_change_nothing(recorded):
    attack, key, x, y, (_, curve) = recorded
    chunked = dataclasses.replace(attack, chunk=2)
    _, found = query_curve.record(chunked, key, dark, x, y, None, BUDGETS)
    np.testing.assert_allclose(found, curve, rtol=1e-3)
    _, found = query_curve.record(
        attack, key, dark, x, y, None, BUDGETS, devices=jax.devices()[:4], room=8
    )
    np.testing.assert_allclose(found, curve, rtol=1e-3)
