"""Surrogate scores: their values, their limits, and their slopes by the chain rule."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import zero_one

SHAPES = [(3, 4, 7), (4, 1, 3), (3, 2, 4, 5)]
"""Of w1; even numbers of votes can tie."""


def networks(seed, shape, hidden_values="01", dtype=np.float32):
    generator = np.random.default_rng(seed)
    return zero_one.Params(
        *(
            jnp.asarray(generator.normal(size=size), dtype)
            for size in (shape, shape[:-1], shape[:-1], shape[:-2])
        ),
        hidden_values,
    )


def rows(seed, count, features, dtype=np.float32):
    generator = np.random.default_rng([seed, 1])
    return jnp.asarray(generator.random((count, features)), dtype)


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def oracle(params, x, sharpness):
    """One network, one row: the smooth score and its slope, by hand."""
    w1, b1, w2, b2 = (
        np.asarray(a, np.float64) for a in (params.w1, params.b1, params.w2, params.b2)
    )
    total, slope = 0.0, np.zeros(len(x))
    for vote in range(len(b2)):
        score, score_slope = b2[vote], np.zeros(len(x))
        for unit in range(len(b1[vote])):
            on = sigmoid(sharpness * (w1[vote, unit] @ x + b1[vote, unit]))
            scale, shift = 1.0, 0.0
            if params.hidden_values == "pm":
                scale, shift = 2 / math.sqrt(len(b1[vote])), 0.5
            score += w2[vote, unit] * scale * (on - shift)
            score_slope += (
                w2[vote, unit] * scale * sharpness * on * (1 - on) * w1[vote, unit]
            )
        vote_on = sigmoid(sharpness * score)
        total += (2 * vote_on - 1) / len(b2)
        slope += 2 * sharpness * vote_on * (1 - vote_on) * score_slope / len(b2)
    return total, slope


@pytest.mark.parametrize("hidden_values", zero_one.HIDDEN_VALUES)
@pytest.mark.parametrize("shape", SHAPES)
def test_vote_scores_are_mean_votes(shape, hidden_values):
    params, x = networks(0, shape, hidden_values), rows(0, 60, shape[-1])
    votes = np.asarray(zero_one.votes(params, x), np.float64)
    expected = np.moveaxis((2 * votes - 1).mean(axis=-2), -1, 0)
    labels = np.asarray(zero_one.predict(params, x))
    hard = zero_one.vote_scores(params, x)
    for scores in (hard, zero_one.straight_through_scores(params, x, 3.0)):
        np.testing.assert_allclose(scores, expected, atol=1e-6)
        if len(shape) == 3:
            np.testing.assert_array_equal(np.asarray(scores) > 0, labels == 1)
        else:
            np.testing.assert_array_equal(np.argmax(scores, 1), labels)
    if shape == (4, 1, 3):
        assert (expected == 0).any(), "ties should be among the rows"


@pytest.mark.parametrize("hidden_values", ["01", "pm"])
def test_on_a_threshold(hidden_values):
    """A unit on its threshold is on or off as `Params` says; a score of 0 is off."""
    params = zero_one.Params(
        jnp.ones((1, 1, 1)),
        jnp.zeros((1, 1)),
        jnp.ones((1, 1)),
        jnp.zeros(1),
        hidden_values,
    )
    x = jnp.zeros((1, 1))
    expected = 1.0 if hidden_values == "pm" else -1.0
    assert zero_one.vote_scores(params, x).item() == expected
    assert zero_one.straight_through_scores(params, x).item() == expected
    assert 2 * zero_one.predict(params, x).item() - 1 == expected


@pytest.mark.parametrize("hidden_values", ["01", "pm"])
def test_smooth_scores_and_slopes_are_the_chain_rules(hidden_values):
    params, x = networks(1, (3, 4, 7), hidden_values), rows(1, 5, 7)
    scores = zero_one.smooth_scores(params, x, 2.5)
    slopes = jax.grad(lambda x: jnp.sum(zero_one.smooth_scores(params, x, 2.5)))(x)
    for row in range(5):
        value, slope = oracle(params, np.asarray(x[row], np.float64), 2.5)
        assert scores[row] == pytest.approx(value, abs=1e-5)
        np.testing.assert_allclose(slopes[row], slope, atol=1e-5)


def test_smooth_scores_sharpen_to_the_votes():
    params, x = networks(2, (3, 4, 7)), rows(2, 20, 7)
    errors = [
        float(
            jnp.abs(
                zero_one.smooth_scores(params, x, sharpness)
                - zero_one.vote_scores(params, x)
            ).mean()
        )
        for sharpness in (1.0, 10.0, 100.0, 1e5)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_straight_through_slope_of_one_unit():
    """Chain rule with the sigmoid's slope at each hard step's own argument."""
    params = zero_one.Params(
        jnp.array([[[3.0, -1.0]]]),
        jnp.array([[-0.4]]),
        jnp.array([[0.8]]),
        jnp.array([-0.3]),
    )
    x = jnp.array([[0.5, 0.2]])
    slope = jax.grad(lambda x: zero_one.straight_through_scores(params, x, 2.0)[0])(x)
    unit, score = 3 * 0.5 - 0.2 - 0.4, 0.8 * 1 - 0.3
    steep = [2 * sigmoid(2 * v) * (1 - sigmoid(2 * v)) for v in (unit, score)]
    expected = 2 * steep[1] * 0.8 * steep[0] * np.array([3.0, -1.0])
    np.testing.assert_allclose(slope[0], expected, rtol=1e-5)


def test_float64_and_wrong_rows():
    with jax.enable_x64():
        params, x = (
            networks(3, (3, 4, 7), dtype=np.float64),
            rows(3, 4, 7, np.float64),
        )
        assert zero_one.smooth_scores(params, x, 2.0).dtype == jnp.float64
        assert zero_one.straight_through_scores(params, x).dtype == jnp.float64
    with pytest.raises(ValueError, match="x has 6 features but the network takes 7"):
        zero_one.vote_scores(networks(3, (3, 4, 7)), rows(3, 4, 6))
