"""Convolutional networks against loops in numpy, and the papers' parameter counts."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import models
from zeroone_jax.models import Network, cnn


def oracle_pool(x):
    count, height, width, channels = x.shape
    pooled = np.empty((count, height // 2, width // 2, channels))
    for i, j in np.ndindex(height // 2, width // 2):
        pooled[:, i, j] = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((1, 2))
    return pooled


def oracle(module, variables, x):
    """Float64 logits by sliding windows."""
    value = np.asarray(x, np.float64)
    padding = module.padding
    arrays = jax.tree.map(lambda a: np.asarray(a, np.float64), variables.params)
    for layer in range(len(module.channels)):
        edge = (padding, padding)
        value = np.pad(value, ((0, 0), edge, edge, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(value, (5, 5), (1, 2))
        conv = arrays[f"Conv_{layer}"]
        value = np.einsum("nhwcij,ijco->nhwo", windows, conv["kernel"]) + conv["bias"]
        value = oracle_pool(np.maximum(value, 0))
    value = value.reshape(len(value), -1)
    depth = len(module.hidden)
    for layer in range(depth + 1):
        dense = arrays[f"Dense_{layer}"]
        value = value @ dense["kernel"] + dense["bias"]
        if layer < depth:
            value = np.maximum(value, 0)
    return value


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (cnn.Module(channels=(3, 4), hidden=(9, 5), classes=3), (8, 12, 3)),
        (cnn.Module(channels=(3,), padding=0, hidden=(), classes=2), (9, 11, 1)),
    ],
    ids=["padded", "odd sizes"],
)
def test_logits_are_those_of_numpy(module, shape):
    network = Network(module, shape)
    variables = network.init(jax.random.key(0))
    variables = jax.tree.map(lambda a: a + 0.05, variables)
    x = jax.random.uniform(jax.random.key(1), (4, *shape))
    expected = oracle(module, variables, x)
    np.testing.assert_allclose(network.apply(variables, x), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 12, 3), (9, 11, 1)])
def test_logits_of_strides_are_those_of_numpy(shape):
    network = Network(cnn.Strided(classes=3, width=2), shape)
    variables = network.init(jax.random.key(0))
    variables = jax.tree.map(lambda a: a + 0.05, variables)
    x = jax.random.uniform(jax.random.key(1), (4, *shape))
    arrays = jax.tree.map(lambda a: np.asarray(a, np.float64), variables.params)
    value = np.asarray(x, np.float64)
    for layer in range(2):
        value = np.pad(value, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(value, (4, 4), (1, 2))
        conv = arrays[f"Conv_{layer}"]
        value = np.einsum("nhwcij,ijco->nhwo", windows[:, ::2, ::2], conv["kernel"])
        value = np.maximum(value + conv["bias"], 0)
    hidden, last = (arrays[f"Dense_{layer}"] for layer in range(2))
    value = value.reshape(len(value), -1) @ hidden["kernel"] + hidden["bias"]
    assert value.shape == (4, 12)
    expected = np.maximum(value, 0) @ last["kernel"] + last["bias"]
    np.testing.assert_allclose(network.apply(variables, x), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (2, 7, 9, 1)])
def test_pooling_and_its_gradient(shape):
    x = jax.random.normal(jax.random.key(0), shape)
    np.testing.assert_allclose(cnn.max_pool(x), oracle_pool(np.asarray(x)), atol=0)
    gradient = jax.grad(lambda x: cnn.max_pool(x).sum())(x)
    chosen = np.zeros(shape)
    for i, j in np.ndindex(shape[1] // 2, shape[2] // 2):
        window = np.asarray(x)[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        chosen[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = window == window.max(
            (1, 2), keepdims=True
        )
    np.testing.assert_array_equal(gradient, chosen)


@pytest.mark.parametrize(
    ("name", "classes", "size"),
    [
        # conv 456 and 2,416, then dense layers with their biases.
        ("lenet", 2, 456 + 2416 + 1025 * 120 + 121 * 84 + 85 * 2),
        ("simple_net", 2, 456 + 2416 + 1025 * 1000 + 1001 * 2),
        ("lenet_valid", 10, 62_006),
        ("lenet_narrow", 10, 15_773),
    ],
)
def test_the_papers_networks_have_as_many_parameters(name, classes, size):
    network = models.build(name, (32, 32, 3), classes)
    variables = jax.eval_shape(network.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == size


@pytest.mark.slow("compiles for other batches")
def test_apply_under_jit_and_one_image_at_a_time():
    network = models.build("lenet", (8, 8, 3), 2)
    variables = network.init(jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (4, 8, 8, 3))
    together = jax.jit(network.apply)(variables, x)
    alone = jnp.concatenate([network.apply(variables, x[i : i + 1]) for i in range(4)])
    chex.assert_trees_all_close(together, alone, atol=1e-5)
