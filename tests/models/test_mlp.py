"""Perceptrons against plain numpy, and their ensembles against averaged softmax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import Ensemble, Network, mlp

SHAPE = (2, 2, 3)


def drawn(module, members=1, seed=0):
    """An ensemble, and variables whose biases are not 0."""
    ensemble = Ensemble(Network(module, SHAPE), members)
    variables = ensemble.init(jax.random.key(seed))
    keys = jax.random.split(jax.random.key(seed + 1), len(jax.tree.leaves(variables)))
    leaves, structure = jax.tree.flatten(variables)
    return ensemble, jax.tree.unflatten(
        structure,
        [
            leaf + 0.5 * jax.random.normal(key, leaf.shape)
            for leaf, key in zip(leaves, keys, strict=True)
        ],
    )


def oracle(ensemble, variables, x):
    """Float64 logits of every member, [members, n, classes]."""
    units = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "relu": lambda z: z * (z > 0)}
    module = ensemble.network.module
    depth = len(module.hidden)
    outputs = []
    for member in range(ensemble.members):
        value = np.asarray(x, np.float64).reshape(len(x), -1)
        for layer in range(depth + 1):
            dense = variables.params[f"Dense_{layer}"]
            value = value @ np.asarray(dense["kernel"][member], np.float64)
            value = value + np.asarray(dense["bias"][member], np.float64)
            if layer < depth:
                value = units[module.activation](value)
        outputs.append(value)
    return np.stack(outputs)


@pytest.mark.parametrize(
    ("module", "members"),
    [
        (mlp.Module(classes=2), 3),
        (mlp.Module(hidden=(7, 5), activation="relu", classes=4), 1),
        (mlp.Module(hidden=(), classes=3), 2),
    ],
    ids=["sigmoid ensemble", "relu", "linear ensemble"],
)
def test_logits_are_those_of_numpy(module, members):
    ensemble, variables = drawn(module, members)
    x = jax.random.uniform(jax.random.key(9), (6, *SHAPE))
    expected = oracle(ensemble, variables, x)
    found = np.asarray(ensemble.members_logits(variables, x))
    chex.assert_trees_all_close(found, expected.astype(np.float32), atol=1e-5)
    probabilities = np.exp(expected) / np.exp(expected).sum(2, keepdims=True)
    softmax = jax.nn.softmax(ensemble.apply(variables, x), axis=1)
    np.testing.assert_allclose(softmax, probabilities.mean(0), atol=1e-6)


def test_members_say_in_training_what_they_say_later():
    ensemble, variables = drawn(mlp.Module(classes=2), 3)
    x = jax.random.uniform(jax.random.key(9), (6, *SHAPE))
    layers = jax.tree.map(lambda array: array[1], variables.params)
    logits = ensemble.network.module.apply({"params": layers}, x, train=True)
    expected = ensemble.members_logits(variables, x)[1]
    chex.assert_trees_all_close(logits, expected, atol=1e-5)


def test_apply_under_jit_and_one_image_at_a_time():
    ensemble, variables = drawn(mlp.Module(classes=2), 3)
    x = jax.random.uniform(jax.random.key(9), (6, *SHAPE))
    together = jax.jit(ensemble.apply)(variables, x)
    alone = jnp.concatenate([ensemble.apply(variables, x[i : i + 1]) for i in range(6)])
    chex.assert_trees_all_close(together, alone, atol=1e-5)


@pytest.mark.slow("once more in float64")
def test_float64():
    with jax.enable_x64():
        ensemble, variables = drawn(mlp.Module(classes=2), 2)
        x = jax.random.uniform(jax.random.key(9), (6, *SHAPE))
        logits = ensemble.apply(variables, x)
        assert logits.dtype == jnp.float64
        members = jax.nn.softmax(oracle(ensemble, variables, x))
        expected = np.log(np.mean(np.asarray(members), 0))
        np.testing.assert_allclose(logits, expected, atol=1e-12)
