"""A pixel without a slope does not stop the search in the others."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from zeroone_jax import attacks, losses

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.8, (8, 12)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).normal(size=(12, 4)), jnp.float32)
BALL = {"epsilon": 0.2, "random_start": False, "iterations": 10}


def linear(x):
    return jnp.matmul(x - 0.5, W, precision="highest")


def without_a_slope(x):
    """The same logits; the slope of the first pixel is NaN everywhere."""
    nothing = jnp.where(x[:, 0] > 2, jnp.sqrt(x[:, 0] - 2), 0)
    return linear(x) + nothing[:, None]


@pytest.mark.parametrize(
    "attack",
    [
        attacks.pgd(**BALL),
        attacks.pgd(momentum=0.9, **BALL),
        attacks.pgd(optimizer=optax.sgd(0.05, momentum=0.9), **BALL),
        attacks.apgd(epsilon=0.2, iterations=10),
        attacks.fab(epsilon=1.0, iterations=10),
        attacks.deep_fool(),
        attacks.super_deep_fool(iterations=20),
        pytest.param(
            attacks.carlini_wagner(iterations=100), marks=pytest.mark.slow("long")
        ),
        attacks.ddn(iterations=30),
    ],
    ids=lambda attack: attack.name,
)
def test_the_others_are_searched(attack):
    y = losses.labels(linear(X))
    slope = jax.grad(lambda x: without_a_slope(x)[:, 0].sum())(X)
    assert np.isnan(slope[:, 0]).all()
    assert np.isfinite(slope[:, 1:]).all()
    found = attack(KEY, without_a_slope, X, y)
    fixed = attack(KEY, lambda x: linear(x.at[:, 0].set(X[0, 0])), X, y)
    assert found.success.all()
    assert fixed.success.all()


def test_a_suite_tells_of_slopes_that_are_not_finite():
    y = losses.labels(linear(X))

    def blind(x):
        return linear(x) + 0 * jnp.linalg.norm(x - x, axis=1, keepdims=True)

    stage = attacks.suite.Stage(name="apgd", attack=attacks.apgd(epsilon=0.2))
    suite = attacks.suite.Suite(stages=(stage,), norm="linf", epsilon=0.2)
    report = suite(KEY, blind, X, y)
    assert report.warnings[0].startswith("The gradient is 0 or not finite at 8 of 8")


@pytest.mark.parametrize(
    ("model", "warning"),
    [
        (lambda x: jnp.sign(linear(x)), "The gradient is 0 or not finite at 8 of 8"),
        (lambda x: jax.nn.softmax(linear(x)), "The model returns probabilities"),
    ],
    ids=["no slope", "probabilities"],
)
def test_a_suite_looks_at_outputs_in_bfloat16(model, warning):
    def coarse(x):
        return model(x).astype(jnp.bfloat16)

    stage = attacks.suite.Stage(name="pgd", attack=attacks.pgd(**BALL))
    suite = attacks.suite.Suite(stages=(stage,), norm="linf", epsilon=0.2)
    report = suite(KEY, coarse, X, losses.labels(coarse(X)))
    assert any(text.startswith(warning) for text in report.warnings)
