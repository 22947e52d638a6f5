"""The binarized network against NumPy, and its gradients by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, models
from zeroone_jax.models import binarized, zero_one

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


@pytest.mark.parametrize(
    "members", [1, pytest.param(4, marks=pytest.mark.slow("the same once more"))]
)
def test_it_is_a_01_network(members):
    """Majorities say the same, and votes of one network."""
    network = models.build("binarized20", SHAPE, 2)
    ensemble = models.Ensemble(network, members, "votes")
    variables = ensemble.init(jax.random.key(5))
    draw = GENERATOR.normal(size=(members, 20)).astype(np.float32)
    stats = {"BatchNorm_0": {"mean": draw, "var": np.exp(draw)}}
    params = variables.params | {"BatchNorm_0": {"bias": draw[:, ::-1] / 2}}
    variables = variables.replace(
        params=jax.tree.map(jnp.asarray, params),
        batch_stats=jax.tree.map(jnp.asarray, stats),
    )
    x = jnp.asarray(GENERATOR.random((500, *SHAPE)), jnp.float32)
    labels = attacks.as_label_fn(ensemble.bind(variables))(x)
    assert 20 < int(jnp.sum(labels)) < 480
    written = binarized.as_zero_one(variables)
    rows = x.reshape(500, 12)
    np.testing.assert_array_equal(zero_one.predict(written, rows), labels)
    one = jax.tree.map(lambda array: array[0], variables)
    alone = zero_one.predict(binarized.as_zero_one(one), rows)
    np.testing.assert_array_equal(alone, attacks.as_label_fn(network.bind(one))(x))


def test_more_classes_are_no_01_network():
    variables = models.build("binarized20", SHAPE, 3).init(jax.random.key(0))
    with pytest.raises(ValueError, match="3 classes"):
        binarized.as_zero_one(variables)


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
