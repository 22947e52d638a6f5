"""Trained models as callables that own their arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import compiling
from zeroone_jax import attacks, models
from zeroone_jax.models import binarized, zero_one

KEY = jax.random.key(0)
SHAPE = (4, 3, 1)
X = jax.random.uniform(jax.random.key(1), (6, *SHAPE))
NETWORK = models.build("mlp_sigmoid20", SHAPE, classes=3)
VOTE = models.Ensemble(models.build("binarized20", SHAPE, 2), 3, combine="votes")


def classifiers():
    generator = np.random.default_rng(0)
    params = zero_one.linear(
        jnp.asarray(generator.normal(size=(5, 12)), jnp.float32),
        jnp.asarray(generator.normal(size=5), jnp.float32),
    )
    return {
        "network": NETWORK.bind(NETWORK.init(KEY)),
        "ensemble": VOTE.bind(VOTE.init(KEY)),
        "01 network": zero_one.Vote(params, SHAPE),
    }


@pytest.mark.parametrize("name", classifiers())
def test_images_may_be_flat(name):
    model = classifiers()[name]
    assert model.image_shape == SHAPE
    flat = X.reshape(len(X), -1)
    np.testing.assert_array_equal(model(X), model(flat))
    np.testing.assert_array_equal(model.labels(X), model.labels(flat))
    np.testing.assert_array_equal(attacks.as_label_fn(model)(X), model.labels(X))
    for wrong in (X[:, 1:], flat[:, 1:], X.reshape(6, 3, 4, 1)):
        with pytest.raises(ValueError, match=r"but must be \[n, 4, 3, 1\], or flat"):
            model(wrong)


def test_flat_networks_take_images_too():
    vote = zero_one.Vote.flat(classifiers()["01 network"].params)
    assert vote.image_shape == (12,)
    np.testing.assert_array_equal(vote(X), vote(X.reshape(6, 12)))
    np.testing.assert_array_equal(vote(X), zero_one.vote_scores(vote.params, X))
    np.testing.assert_array_equal(vote.labels(X), zero_one.predict(vote.params, X))


@pytest.mark.parametrize("name", classifiers())
def test_it_can_be_jitted_as_it_is(name):
    model = classifiers()[name]
    np.testing.assert_allclose(jax.jit(model)(X), model(X), rtol=1e-6)
    np.testing.assert_array_equal(jax.jit(model.labels)(X), model.labels(X))


@pytest.mark.parametrize("name", classifiers())
def test_other_weights_are_arguments(name):
    model = classifiers()[name]
    labels = jax.jit(lambda model, x: model.labels(x))
    labels(model, X)
    other = jax.tree.map(lambda a: -a, model)
    with compiling.compiling_nothing():
        found = labels(other, X)
    np.testing.assert_array_equal(found, other.labels(X))


def test_who_needs_weights_is_given_them():
    found = classifiers()
    assert models.sign_networks(found["network"]) is None
    assert models.sign_networks(lambda x: x) is None
    params = found["01 network"].params
    assert models.sign_networks(params) is params
    assert models.sign_networks(found["01 network"]) is params
    ensemble = found["ensemble"]
    expected = binarized.as_zero_one(ensemble.variables)
    jax.tree.map(
        np.testing.assert_array_equal, models.sign_networks(ensemble), expected
    )
    np.testing.assert_array_equal(
        zero_one.predict(expected, X), ensemble.labels(X), strict=True
    )
    mean = models.Ensemble(VOTE.network, 3).bind(ensemble.variables)
    assert models.sign_networks(mean) is None


def test_attacks_that_need_weights_take_binarized_networks():
    ensemble = classifiers()["ensemble"]
    y = ensemble.labels(X)
    attack = attacks.hyperplane_crossing(epsilon=0.3)
    found = attack(KEY, ensemble, X, y)
    success = np.asarray(found.success)
    assert success.any()
    np.testing.assert_array_equal(ensemble.labels(found.adversary) != y, success)
