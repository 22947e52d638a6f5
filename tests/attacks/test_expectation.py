"""Means over the draws of random models, in gradients and in verdicts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, losses

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.8, (10, 8)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).normal(size=(8, 3)), jnp.float32)


def linear(x):
    return jnp.matmul(x - 0.5, W, precision="highest")


def noisy(key, x):
    return linear(x) + 0.1 * jax.random.normal(key, (len(x), 3))


def dropping(key, x):
    kept = jax.random.bernoulli(key, 0.5, x.shape)
    return jnp.matmul(jnp.where(kept, 2 * (x - 0.5), 0), W, precision="highest")


def test_means_and_slopes_are_those_of_the_draws():
    mean = attacks.expectation(noisy, KEY, samples=400, average="logits")
    np.testing.assert_allclose(mean(X), linear(X), atol=0.03)
    slope = jax.grad(lambda x: mean(x)[:, 0].sum())(X)
    np.testing.assert_allclose(slope, np.broadcast_to(W[:, 0], X.shape), rtol=1e-5)
    likely = attacks.expectation(noisy, KEY, samples=400)(X)
    wanted = jnp.log(jax.nn.softmax(linear(X)))
    np.testing.assert_allclose(likely, wanted, atol=0.03)


def test_draws_belong_to_the_image_not_to_its_place():
    fn = attacks.expectation(dropping, KEY, samples=4)
    order = np.random.default_rng(2).permutation(len(X))
    np.testing.assert_allclose(fn(X[order]), fn(X)[order], rtol=1e-5)
    np.testing.assert_allclose(fn(X[3:4]), fn(X)[3:4], rtol=1e-5)
    other = attacks.expectation(dropping, jax.random.key(1), samples=4)
    assert not np.allclose(fn(X), other(X))
    assert not np.allclose(fn(X), fn(X + 1e-6), atol=1e-4)


@pytest.mark.slow("averages many draws")
def test_success_holds_on_draws_the_attack_never_met():
    y = losses.labels(linear(X))
    attack = attacks.pgd(epsilon=0.25, iterations=10)
    fresh = attacks.expectation(dropping, jax.random.key(9), samples=2000)

    def holding(samples):
        fn = attacks.expectation(dropping, KEY, samples=samples)
        found = attack(KEY, fn, X, y)
        success = np.asarray(found.success & (found.distance > 0))
        wrong = np.asarray(losses.labels(fresh(found.adversary)) != y)
        return (success & wrong).sum() / success.sum()

    # Of one draw the attack takes the luck for success.
    assert holding(64) >= 0.9 > holding(1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"samples": 0}, ValueError, "samples is 0"),
        ({"average": "votes"}, ValueError, "average is 'votes'"),
        ({"key": 3}, TypeError, "key is 3"),
    ],
)
def test_bad_settings_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        attacks.expectation(**({"fn": noisy, "key": KEY} | arguments))


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_a_masked_class_leaves_the_slopes_of_the_others(average):
    def masked(key, x):
        none = jnp.full((len(x), 1), -jnp.inf)
        return jnp.concatenate([noisy(key, x), none], axis=1)

    mean = attacks.expectation(masked, KEY, samples=4, average=average)
    alone = attacks.expectation(noisy, KEY, samples=4, average=average)
    np.testing.assert_array_equal(mean(X)[:, 3], -np.inf)

    y = losses.labels(linear(X))

    def margin(fn):
        return jax.grad(lambda x: losses.soft_margin(fn(x)[:, :3], y).sum())(X)

    np.testing.assert_allclose(margin(mean), margin(alone), rtol=1e-6)
