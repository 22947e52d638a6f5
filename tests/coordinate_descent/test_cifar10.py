"""The default run on real images, and what its networks promise."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.coordinate_descent.certified_oracle import certified_rows
from zeroone_jax import coordinate_descent, data, verification
from zeroone_jax.models import zero_one

pytestmark = pytest.mark.computes


@pytest.fixture(scope="module")
def features(cifar10_0v1):
    return tuple(data.as_features(split) for split in cifar10_0v1)


@pytest.fixture(scope="module")
def images(features):
    (x, _), (x_test, _) = features
    return np.concatenate([x, x_test])


@pytest.fixture(scope="module")
def trained(features):
    (x, y), _ = features
    return coordinate_descent.fit(jax.random.key(0), x, y)


@pytest.fixture(scope="module")
def labels(trained, images):
    return np.asarray(jax.jit(zero_one.votes)(trained.params, images))


def test_default_reaches_its_accuracy(trained, features):
    (x, y), (x_test, y_test) = features
    votes = np.asarray(zero_one.votes(trained.params, x))
    assert np.mean(votes == y) >= 0.863
    # What the solver counted on its lattice is what the model does.
    np.testing.assert_allclose(
        trained.history.pocket_accuracy[-1], np.mean(votes == y, axis=1), atol=1e-6
    )
    assert (
        np.mean(np.asarray(zero_one.votes(trained.params, x_test)) == y_test) >= 0.817
    )
    majority = np.asarray(zero_one.predict(trained.params, x_test))
    assert np.mean(majority == y_test) >= 0.850


def test_labels_are_those_of_float64(trained, images, labels):
    with jax.enable_x64():
        params = zero_one.astype(trained.params, jnp.float64)
        double = zero_one.votes(params, jnp.asarray(images, jnp.float64))
    np.testing.assert_array_equal(labels, double)


def test_labels_are_those_of_eager_and_of_any_batch(trained, images, labels):
    np.testing.assert_array_equal(labels, zero_one.votes(trained.params, images))
    votes = jax.jit(zero_one.votes)
    batches = [votes(trained.params, images[i : i + 96]) for i in range(0, 12_000, 96)]
    np.testing.assert_array_equal(labels, np.concatenate(batches, axis=1))


def test_labels_are_those_of_images_one_at_a_time(trained, images, labels):
    one = jax.jit(lambda image: zero_one.votes(trained.params, image[None])[:, 0])
    singly = np.stack([np.asarray(one(image)) for image in images[::8]], axis=1)
    np.testing.assert_array_equal(labels[:, ::8], singly)


@pytest.mark.parametrize("shift", [1e-5, -1e-5])
def test_labels_outlast_a_change_of_every_score(trained, images, labels, shift):
    scores = zero_one.scores(trained.params, images)
    np.testing.assert_array_equal(labels, scores + shift > 0)


def test_hidden_thresholds_sit_mid_gap(trained, features):
    (x, _), _ = features
    params = trained.params
    w1, b1 = (np.asarray(leaf, np.float64) for leaf in (params.w1, params.b1))
    # One unit of the lattice, in which a threshold's place is rounded.
    unit = 1 / 255 / 256
    for weights, biases in zip(w1, b1, strict=True):
        distance = weights @ x.T.astype(np.float64) + biases[:, None]
        above = np.min(np.where(distance > 0, distance, np.inf), axis=1)
        below = np.min(np.where(distance > 0, np.inf, -distance), axis=1)
        inner = np.isfinite(above) & np.isfinite(below)
        assert np.all(np.abs(above - below)[inner] <= unit + 1e-7)
        assert np.all(np.minimum(above, below) >= 0.5 / 255 / 513 - 1e-7)


def test_margins_are_reported(trained, images):
    margins = zero_one.margins(trained.params, images)
    assert float(np.min(margins.output)) > 1e-4
    assert float(np.min(margins.hidden)) > 1e-6


def test_units_are_a_gaussian_start_and_spikes(trained):
    """A2: norm 1; the start plus some spikes that hold most of the squared norm."""
    w1, w2 = np.asarray(trained.params.w1), np.asarray(trained.params.w2)
    np.testing.assert_allclose(np.linalg.norm(w1, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(w2, axis=-1), 1, atol=1e-5)
    spread = np.median(np.abs(w1), axis=-1, keepdims=True) / 0.6745
    spikes = np.abs(w1) > 5 * spread
    counts = spikes.sum(axis=-1)
    share = np.sum(np.where(spikes, w1**2, 0), axis=-1)
    assert 7 <= np.median(counts) <= 61
    assert 0.4 < np.median(share) < 0.9
    # What is left is Gaussian: its kurtosis is 3.
    rest = [unit[~spike] for unit, spike in zip(w1[0], spikes[0], strict=True)]
    kurtosis = [np.mean(r**4) / np.mean(r**2) ** 2 for r in rest]
    np.testing.assert_allclose(np.mean(kurtosis), 3, atol=0.5)


def test_certified_images_have_no_nearer_adversary(features, cifar10_0v1):
    """Of 500 training images, by networks that were trained for it a little."""
    (x, y), _ = features
    config = dataclasses.replace(
        coordinate_descent.PRESETS["certified"](),
        basis="dct",
        components=64,
        features=64,
        iterations=150,
        votes=1,
    )
    images = x.reshape(len(x), *cifar10_0v1[0].images.shape[1:])
    found = coordinate_descent.fit(jax.random.key(0), images, y, config)
    chosen = certified_rows(found.params, x, y, config.epsilon)
    # What the search counted is what the plain bounds say of the network on pixels.
    counted = float(found.history.pocket_accuracy[-1, 0])
    assert counted == pytest.approx(chosen.mean(), abs=2e-3)
    assert counted <= chosen.mean() + 1e-6
    assert chosen.mean() > 0.6
    some = np.flatnonzero(chosen)[:500]
    lower = verification.measure(found.params, x[some], y[some]).lower
    assert (lower >= config.epsilon).all()
