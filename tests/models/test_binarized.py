"""The binarized network against NumPy, and its gradients by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import models
from zeroone_jax.models import binarized

SHAPE = (4, 3, 1)
GENERATOR = np.random.default_rng(0)
X = GENERATOR.random((9, *SHAPE)).astype(np.float32)


def _sign(x):
    return np.where(x >= 0, 1.0, -1.0)


def test_only_signs_of_kernels_count():
    network = models.build("binarized20", SHAPE, 3)
    variables = network.init(jax.random.key(2))
    stats = {
        "BatchNorm_0": {
            "mean": jnp.asarray(GENERATOR.normal(size=20), jnp.float32),
            "var": jnp.asarray(GENERATOR.random(20) + 0.5, jnp.float32),
        }
    }
    variables = variables.replace(batch_stats=stats)
    params = jax.tree.map(np.asarray, variables.params)
    first = X.reshape(9, 12) @ _sign(params["_Dense_0"]["kernel"])
    mean, var = (np.asarray(stats["BatchNorm_0"][name]) for name in ("mean", "var"))
    normal = (first - mean) / np.sqrt(var + 1e-3)
    hidden = _sign(normal + params["BatchNorm_0"]["bias"])
    expected = hidden @ _sign(params["_Dense_1"]["kernel"]) / np.sqrt(20)
    logits = network.apply(variables, jnp.asarray(X))
    np.testing.assert_allclose(logits, expected, rtol=1e-6)
    smaller = jax.tree.map(
        lambda array: array / 3 if array.ndim > 1 else array, variables.params
    )
    again = network.apply(variables.replace(params=smaller), jnp.asarray(X))
    np.testing.assert_array_equal(again, logits)


def test_training_normalises_by_the_batch_and_remembers():
    network = models.build("binarized20", SHAPE, 3)
    variables = network.init(jax.random.key(2))
    _, stats = network.train(variables, jnp.asarray(X), jax.random.key(0))
    first = X.reshape(9, 12) @ _sign(variables.params["_Dense_0"]["kernel"])
    mean, var = (np.asarray(stats["BatchNorm_0"][name]) for name in ("mean", "var"))
    np.testing.assert_allclose(mean, 0.1 * first.mean(0), atol=1e-5)
    np.testing.assert_allclose(var, 0.9 + 0.1 * first.var(0), atol=1e-4)


def test_gradients_pass_signs_within_one():
    x = jnp.array([-1.5, -0.75, 0.0, 0.25, 2.0])
    value, gradient = jax.value_and_grad(lambda x: jnp.sum(binarized.sign(x)))(x)
    assert float(value) == 1.0
    np.testing.assert_array_equal(gradient, [0, 1, 1, 1, 0])
    kernel = jnp.asarray(GENERATOR.normal(size=(12, 4)), jnp.float32)

    def loss(kernel):
        return jnp.sum(jnp.matmul(X.reshape(9, 12), binarized.sign(kernel)) ** 2) / 2

    sums = X.reshape(9, 12) @ _sign(kernel)
    expected = np.where(np.abs(kernel) <= 1, X.reshape(9, 12).T @ sums, 0)
    np.testing.assert_allclose(jax.grad(loss)(kernel), expected, rtol=1e-4)
