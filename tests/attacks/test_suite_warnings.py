"""What suites warn of."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks.shifts import KEY, ONE, TWO, N, X, Y, model
from zeroone_jax import attacks
from zeroone_jax.attacks.suite_run import Stage, Suite


def test_black_boxes_that_beat_gradients_are_told():
    suite = Suite(stages=(ONE, TWO), norm="linf", epsilon=0.31)
    report = suite(KEY, model, X, Y)
    only = report.stages[1].broken
    assert only > 0
    assert any(f"broke {only} images" in warning for warning in report.warnings)
    white = dataclasses.replace(TWO, black_box=False)
    calm = dataclasses.replace(suite, stages=(ONE, white))(KEY, model, X, Y)
    assert calm.warnings == ()
    alone = dataclasses.replace(suite, stages=(TWO,))(KEY, model, X, Y)
    assert alone.warnings == ()


def test_gradients_of_zero_are_told():
    def sign_network(x):
        return jnp.sign(model(x))

    report = Suite(stages=(ONE,), norm="linf", epsilon=0.31)(KEY, sign_network, X, Y)
    assert report.warnings[0].startswith("The gradient is 0 or not finite at 20 of 20")


def test_random_models_are_told():
    calls = []

    def host(x):
        calls.append(len(x))
        return np.asarray(x[:, :3] + np.float32(len(calls)), np.float32)

    def random(x):
        shape = jax.ShapeDtypeStruct((len(x), 3), jnp.float32)
        noise = jax.pure_callback(host, shape, x, vmap_method="sequential")
        return model(x) + 1e-3 * jax.lax.stop_gradient(noise)

    report = Suite(stages=(TWO,), norm="linf", epsilon=0.31)(KEY, random, X, Y)
    assert report.warnings[0].startswith("The model is random: asked twice, it gave 20")


def test_probabilities_are_told():
    def probabilities(x):
        return jax.nn.softmax(model(x))

    report = Suite(stages=(ONE,), norm="linf", epsilon=0.31)(KEY, probabilities, X, Y)
    assert report.warnings[0].startswith("The model returns probabilities")


@pytest.mark.parametrize(
    ("iterations", "warned"),
    [(3, True), pytest.param(100, False, marks=pytest.mark.slow("converges"))],
)
@pytest.mark.slow("long attacks")
def test_an_attack_that_has_not_converged_is_told(iterations, warned):
    """A narrow ridge that bends: a few moves do not get far along it."""

    def ridge(x):
        z = x - 0.5
        height = 4 * z[:, 0] - 60 * jnp.sum((z[:, 1:] - z[:, :1] ** 2) ** 2, axis=1)
        return jnp.stack([jnp.full_like(height, 9.0), height], axis=1)

    x, y = 0.5 + 0.02 * (X - 0.5), jnp.zeros(N, jnp.int32)
    suite = Suite(
        stages=(
            Stage(
                name="apgd",
                attack=attacks.apgd(norm="l2", epsilon=0.4, iterations=iterations),
            ),
        ),
        norm="l2",
        epsilon=0.4,
    )
    report = suite(KEY, ridge, x, y)
    assert report.robust_accuracy == 1
    assert any("has not converged" in text for text in report.warnings) == warned
