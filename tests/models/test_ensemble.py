"""Ensembles against NumPy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, models
from zeroone_jax.models import network as networks

SHAPE = (4, 3, 1)
X = np.random.default_rng(0).random((30, *SHAPE)).astype(np.float32)


def ensemble(combine="probabilities", members=4):
    network = models.build("mlp_sigmoid20", SHAPE, 3)
    return models.Ensemble(network, members, combine)


def test_members_are_networks_of_their_own():
    made = ensemble()
    variables = made.init(jax.random.key(1))
    logits = made.members_logits(variables, X)
    for member in range(4):
        one = jax.tree.map(lambda array: array[member], variables)  # noqa: B023
        alone = made.network.apply(one, jnp.asarray(X))
        chex.assert_trees_all_close(logits[member], alone, atol=1e-5)
    more = ensemble(members=6).init(jax.random.key(1))
    chex.assert_trees_all_close(jax.tree.map(lambda a: a[:4], more), variables)


def test_probabilities_are_averaged():
    made = ensemble()
    variables = made.init(jax.random.key(1))
    logits = np.asarray(made.members_logits(variables, X), np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    found = np.exp(np.asarray(made.apply(variables, X)))
    np.testing.assert_allclose(found, probabilities.mean(0), atol=1e-6)


def test_votes_are_counted_and_the_lower_class_wins_a_tie():
    made = ensemble("votes", members=2)
    variables = made.init(jax.random.key(1))
    votes = np.asarray(made.members_logits(variables, X)).argmax(2)
    counts = np.stack([(votes == label).sum(0) for label in range(3)], 1)
    shares = np.asarray(made.apply(variables, X))
    np.testing.assert_allclose(shares, counts / 2)
    ties = (counts == counts.max(1, keepdims=True)).sum(1) > 1
    assert ties.any()
    label_fn = attacks.as_label_fn(made.bind(variables))
    np.testing.assert_array_equal(label_fn(X), counts.argmax(1))


def test_votes_have_the_slopes_of_probabilities():
    variables = ensemble().init(jax.random.key(1))

    def slope(combine):
        made = ensemble(combine)
        return jax.grad(lambda x: made.apply(variables, x)[:, 0].sum())(jnp.asarray(X))

    chex.assert_trees_all_equal(slope("votes"), slope("probabilities"))


def test_functions_of_equal_ones_are_compiled_once():
    """JAX compiles for every structure of arguments: here they are the same."""
    variables = networks.Variables({}, {})

    def structure(made):
        return jax.tree.structure(made.bind(variables))

    assert structure(ensemble()) == structure(ensemble())
    assert structure(ensemble()) != structure(ensemble("votes"))
    assert structure(ensemble().network) == structure(ensemble().network)


def test_files_keep_them(tmp_path):
    made = ensemble()
    variables = made.init(jax.random.key(1))
    networks.save(tmp_path / "network.npz", variables)
    chex.assert_trees_all_equal(
        networks.load(tmp_path / "network.npz", made), variables
    )
    with pytest.raises(ValueError, match="another network"):
        networks.load(tmp_path / "network.npz", ensemble(members=3))
