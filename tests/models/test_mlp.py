"""Perceptrons against plain numpy, and their ensembles against averaged softmax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import mlp


def drawn(config, features=12, seed=0):
    """Parameters whose biases are not 0."""
    params = mlp.init(jax.random.key(seed), features, config)
    keys = jax.random.split(jax.random.key(seed + 1), len(jax.tree.leaves(params)))
    leaves, structure = jax.tree.flatten(params)
    return jax.tree.unflatten(
        structure,
        [
            leaf + 0.5 * jax.random.normal(key, leaf.shape)
            for leaf, key in zip(leaves, keys, strict=True)
        ],
    )


def oracle(params, x):
    """Float64 logits of every member, [members, n, classes]."""
    units = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "relu": lambda z: z * (z > 0)}
    depth = len(params.config.hidden)
    outputs = []
    for member in range(params.config.members):
        value = np.asarray(x, np.float64).reshape(len(x), -1)
        for layer in range(depth + 1):
            dense = params.layers[f"Dense_{layer}"]
            value = value @ np.asarray(dense["kernel"][member], np.float64)
            value = value + np.asarray(dense["bias"][member], np.float64)
            if layer < depth:
                value = units[params.config.activation](value)
        outputs.append(value)
    return np.stack(outputs)


@pytest.mark.parametrize(
    "config",
    [
        mlp.Config(members=3),
        mlp.Config(hidden=(7, 5), activation="relu", classes=4),
        mlp.Config(hidden=(), classes=3, members=2),
    ],
    ids=["sigmoid ensemble", "relu", "linear ensemble"],
)
def test_logits_are_those_of_numpy(config):
    params = drawn(config)
    x = jax.random.uniform(jax.random.key(9), (6, 2, 2, 3))
    expected = oracle(params, x)
    chex.assert_trees_all_close(
        np.asarray(mlp.members(params, x)), expected.astype(np.float32), atol=1e-5
    )
    probabilities = np.exp(expected) / np.exp(expected).sum(2, keepdims=True)
    softmax = jax.nn.softmax(mlp.apply(params, x), axis=1)
    np.testing.assert_allclose(softmax, probabilities.mean(0), atol=1e-6)


def test_the_module_is_one_member_and_flattens_images():
    params = drawn(mlp.Config(members=3))
    x = jax.random.uniform(jax.random.key(9), (6, 2, 2, 3))
    layers = jax.tree.map(lambda array: array[1], params.layers)
    logits = mlp.Module(params.config).apply({"params": layers}, x, train=True)
    chex.assert_trees_all_close(logits, mlp.members(params, x)[1], atol=1e-5)


def test_apply_under_jit_and_one_image_at_a_time():
    params = drawn(mlp.Config(members=3))
    x = jax.random.uniform(jax.random.key(9), (6, 12))
    together = jax.jit(mlp.apply)(params, x)
    alone = jnp.concatenate([mlp.apply(params, x[i : i + 1]) for i in range(6)])
    chex.assert_trees_all_close(together, alone, atol=1e-5)


def test_a_member_does_not_depend_on_how_many_there_are():
    few, many = (
        mlp.init(jax.random.key(3), 12, mlp.Config(members=members)).layers
        for members in (2, 5)
    )
    chex.assert_trees_all_equal(few, jax.tree.map(lambda array: array[:2], many))
    assert not np.array_equal(few["Dense_0"]["kernel"][0], few["Dense_0"]["kernel"][1])


def test_float64():
    with jax.enable_x64():
        params = mlp.init(jax.random.key(0), 12, mlp.Config(members=2))
        x = jax.random.uniform(jax.random.key(9), (6, 12))
        logits = mlp.apply(params, x)
        assert logits.dtype == jnp.float64
        expected = np.log(np.mean(np.asarray(jax.nn.softmax(oracle(params, x))), 0))
        np.testing.assert_allclose(logits, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "tanh"}, "'tanh', not one of .*sigmoid.*relu"),
        ({"hidden": (3, 0)}, r"hidden is \(3, 0\)"),
        ({"classes": 1}, "classes is 1"),
        ({"members": 0}, "members is 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        mlp.Config(**settings)


@pytest.mark.parametrize("shape", [(5, 13), (12,), (5, 2, 2, 2)])
def test_bad_images(shape):
    params = mlp.init(jax.random.key(0), 12, mlp.Config())
    with pytest.raises(ValueError, match="take 12 numbers"):
        mlp.apply(params, jnp.zeros(shape))
