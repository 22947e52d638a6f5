"""Scores, votes and margins against NumPy loops, exact arithmetic and known numbers."""

import math

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import zero_one

SHAPES = [(3, 4, 7), (5, 1, 3), (4, 4, 2), (3, 2, 4, 5)]
"""Shapes of w1. With 1 or 4 units 1/sqrt(h) is exact; the third goes vote by vote."""


def integer_networks(seed, shape, hidden_values):
    """Draws networks on which float32 is exact, so that labels may be compared."""
    generator = np.random.default_rng(seed)

    def draw(*size):
        return jnp.asarray(generator.integers(-2, 3, size), jnp.float32)

    return zero_one.Params(
        draw(*shape),
        draw(*shape[:-1]),
        draw(*shape[:-1]),
        draw(*shape[:-2]),
        hidden_values,
    )


def integer_rows(seed, rows, features):
    generator = np.random.default_rng([seed, 1])
    return jnp.asarray(generator.integers(-3, 4, (rows, features)), jnp.float32)


def oracle_hidden(params, x):
    """Works unit by unit, row by row, as section A1 puts it."""
    w1, b1 = np.asarray(params.w1, np.float64), np.asarray(params.b1, np.float64)
    hidden = np.empty((*b1.shape[:-1], len(x), b1.shape[-1]))
    for *network, row, unit in np.ndindex(hidden.shape):
        of_unit = (*network, unit)
        projection = sum(w1[of_unit] * np.asarray(x[row], np.float64)) + b1[of_unit]
        if params.hidden_values == "01":
            value = 1.0 if projection > 0 else 0.0
        else:
            value = (1.0 if projection >= 0 else -1.0) / math.sqrt(b1.shape[-1])
        hidden[(*network, row, unit)] = value
    return hidden


def oracle_scores(params, x):
    hidden = oracle_hidden(params, x)
    scores = np.empty(hidden.shape[:-1])
    for *network, row in np.ndindex(scores.shape):
        network = tuple(network)
        output = sum(hidden[(*network, row)] * np.asarray(params.w2[network]))
        scores[(*network, row)] = output + float(params.b2[network])
    return scores


def oracle_labels(scores):
    labels = []
    for row in range(scores.shape[-1]):
        if scores.ndim == 2:
            ones = sum(score > 0 for score in scores[:, row])
            labels.append(int(ones > len(scores) - ones))
        else:
            counts = [sum(score > 0 for score in one[:, row]) for one in scores]
            labels.append(counts.index(max(counts)))
    return labels


@pytest.mark.parametrize("hidden_values", zero_one.HIDDEN_VALUES)
@pytest.mark.parametrize("shape", SHAPES)
def test_everything_equals_the_oracle(shape, hidden_values):
    params = integer_networks(0, shape, hidden_values)
    x = integer_rows(0, 40, shape[-1])
    on_first_row = jnp.asarray(oracle_scores(params, x)[..., 0], jnp.float32)
    params = params.replace(b2=params.b2 - on_first_row)
    expected = oracle_scores(params, x)
    assert (expected[..., 0] == 0).all(), "the first row should test the tie rule"

    scores, votes = zero_one.scores(params, x), zero_one.votes(params, x)
    labels = zero_one.predict(params, x)

    np.testing.assert_array_equal(zero_one.hidden(params, x), oracle_hidden(params, x))
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(votes, expected > 0)
    np.testing.assert_array_equal(labels, oracle_labels(expected))
    chex.assert_shape(scores, (*shape[:-2], 40))
    chex.assert_type([scores, votes, labels], [jnp.float32, jnp.int32, jnp.int32])


@pytest.mark.parametrize(("hidden_values", "value"), [("01", 0.0), ("pm", 1.0)])
def test_a_unit_on_its_threshold(hidden_values, value):
    params = zero_one.Params(
        *(jnp.ones(shape) for shape in [(1, 1, 2), (1, 1), (1, 1)]),
        jnp.zeros(1),
        hidden_values,
    )
    on_threshold = jnp.array([[0.0, -1.0]])
    assert zero_one.hidden(params, on_threshold).item() == value


@pytest.mark.parametrize(
    ("votes", "labels"),
    [
        ([[0, 0, 1, 1], [0, 1, 0, 1]], [0, 0, 0, 1]),
        ([[1, 1], [0, 1], [0, 1]], [0, 1]),
        (
            [[[1, 0, 0], [0, 0, 0]], [[0, 1, 0], [1, 1, 0]], [[1, 1, 0], [0, 1, 0]]],
            [0, 1, 0],
        ),
    ],
)
def test_majority_by_hand(votes, labels):
    assert zero_one.majority(jnp.array(votes)).tolist() == labels


def test_majority_wants_votes():
    with pytest.raises(ValueError, match=r"neither \[votes, n\] nor \[classes"):
        zero_one.majority(jnp.array([1, 0]))


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from(SHAPES),
    hidden_values=st.sampled_from(zero_one.HIDDEN_VALUES),
)
@pytest.mark.slow("compiles for other orders")
def test_order_does_not_matter(seed, shape, hidden_values):
    params = integer_networks(seed, shape, hidden_values)
    x = integer_rows(seed, 12, shape[-1])
    labels = zero_one.predict(params, x)
    generator = np.random.default_rng([seed, 2])

    rows = generator.permutation(12)
    np.testing.assert_array_equal(zero_one.predict(params, x[rows]), labels[rows])
    halves = [zero_one.predict(params, half) for half in (x[:6], x[6:])]
    np.testing.assert_array_equal(jnp.concatenate(halves), labels)

    votes = generator.permutation(shape[-3])
    axis = len(shape) - 3
    shuffled = jax.tree.map(lambda array: jnp.take(array, votes, axis), params)
    np.testing.assert_array_equal(zero_one.predict(shuffled, x), labels)
    units = generator.permutation(shape[-2])
    reordered = params.replace(
        w1=params.w1[..., units, :], b1=params.b1[..., units], w2=params.w2[..., units]
    )
    np.testing.assert_array_equal(zero_one.predict(reordered, x), labels)


@pytest.mark.parametrize("shape", SHAPES)
def test_jit_equals_eager_and_traces_once(shape):
    params = integer_networks(1, shape, "pm")
    x = integer_rows(1, 9, shape[-1])
    chex.clear_trace_counter()
    predict = jax.jit(chex.assert_max_traces(zero_one.predict, n=1))
    for rows in (x, x[::-1]):
        np.testing.assert_array_equal(
            predict(params, rows), zero_one.predict(params, rows)
        )
    margins = jax.jit(zero_one.margins)(params, x)
    chex.assert_trees_all_close(margins, zero_one.margins(params, x), rtol=1e-6)


def test_vmap_over_images_and_over_networks():
    params = integer_networks(2, (3, 2, 4, 5), "01")
    x = integer_rows(2, 6, 5)
    by_class = jax.vmap(zero_one.scores, in_axes=(0, None))(params, x)
    np.testing.assert_array_equal(by_class, zero_one.scores(params, x))
    one_by_one = jax.vmap(lambda row: zero_one.predict(params, row[None])[0])(x)
    np.testing.assert_array_equal(one_by_one, zero_one.predict(params, x))


def test_no_rows_have_no_labels():
    params = integer_networks(3, (3, 4, 7), "01")
    assert zero_one.predict(params, jnp.zeros((0, 7))).shape == (0,)


@pytest.mark.parametrize("hidden_values", zero_one.HIDDEN_VALUES)
@pytest.mark.parametrize("shape", SHAPES)
def test_margins_equal_the_oracle(shape, hidden_values):
    params = integer_networks(4, shape, hidden_values)
    params = params.replace(w1=params.w1.at[..., 0, :].set(0.0))
    x = integer_rows(4, 15, shape[-1])
    margins = zero_one.margins(params, x, levels=(0.5, 1.5, 100.0))

    w1, b1 = np.asarray(params.w1), np.asarray(params.b1)
    projection = np.einsum("...hd,nd->...nh", w1, x) + b1[..., None, :]
    norm = np.linalg.norm(w1, axis=-1)
    assert (norm[..., 0] == 0).all()
    distance = np.full(norm.shape, np.inf)
    np.divide(abs(projection).min(axis=-2), norm, out=distance, where=norm > 0)
    size = abs(oracle_scores(params, x))
    share = [(size < level).mean(axis=-1) for level in (0.5, 1.5, 100.0)]

    np.testing.assert_allclose(margins.hidden, distance, rtol=1e-6)
    np.testing.assert_array_equal(margins.output, size.min(axis=-1))
    np.testing.assert_allclose(margins.share, np.stack(share, axis=-1), rtol=1e-6)
    np.testing.assert_array_equal(margins.levels, [0.5, 1.5, 100.0])


@pytest.mark.parametrize("transform", [lambda function: function, jax.jit])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 10), np.float32), "x has 10 features but the network takes 7"),
        (np.zeros(7, np.float32), r"x has shape \(7,\), but must be \[n, features\]"),
        (np.zeros((2, 7), np.uint8), "x is uint8 but the network computes in float32"),
    ],
)
def test_x_must_fit(x, message, transform):
    params = integer_networks(5, (3, 4, 7), "01")
    for function in (zero_one.predict, zero_one.scores, zero_one.margins):
        with pytest.raises(ValueError, match=message):
            transform(function)(params, x)


def test_params_must_be_valid():
    params = integer_networks(5, (3, 4, 7), "01").replace(hidden_values="sign")
    with pytest.raises(ValueError, match="hidden_values is 'sign'"):
        zero_one.predict(params, jnp.zeros((2, 7)))


def test_margins_need_rows():
    params = integer_networks(5, (3, 4, 7), "01")
    with pytest.raises(ValueError, match="x has no rows"):
        zero_one.margins(params, jnp.zeros((0, 7)))


def features(split):
    """Flattens images to float64 features in [0,1], height-width-channel."""
    images = np.asarray(split.images)
    return images.reshape(len(images), -1) / 255


def accuracy(labels, split):
    return np.mean(np.asarray(labels) == np.asarray(split.labels), axis=-1)


def test_example_networks(reference, cifar10_0v1):
    """A well-conditioned ensemble has one answer, whatever the precision (A5)."""
    _, test = cifar10_0v1
    path = reference / "example_mlp01_8votes.npz"
    single = zero_one.load(path)
    x = jnp.asarray(features(test), jnp.float32)
    votes = zero_one.votes(single, x)
    np.testing.assert_allclose(
        accuracy(votes, test),
        [0.8195, 0.7985, 0.805, 0.811, 0.813, 0.8095, 0.816, 0.8165],
        atol=1e-9,
    )
    assert accuracy(zero_one.predict(single, x), test) == pytest.approx(0.841)
    margins = zero_one.margins(single, x, levels=(1e-4,))
    assert margins.output.min() > 1e-4
    assert margins.share.max() == 0
    with jax.enable_x64():
        double = zero_one.load(path)
        assert double.w1.dtype == jnp.float64
        np.testing.assert_array_equal(
            zero_one.votes(double, jnp.asarray(features(test))), votes
        )


def test_authors_networks(reference, cifar10_0v1):
    """The numbers of section A5, and section A6: three votes hang on rounding."""
    train, test = cifar10_0v1
    with jax.enable_x64():
        params = zero_one.load(reference / "authors_mlp01_8votes.npz")
        x = jnp.asarray(features(test))
        np.testing.assert_allclose(
            accuracy(zero_one.votes(params, x), test),
            [0.820, 0.823, 0.828, 0.820, 0.8315, 0.822, 0.830, 0.8105],
            atol=1e-9,
        )
        assert accuracy(zero_one.predict(params, x), test) == pytest.approx(0.8535)

        nudged = zero_one.votes(params.replace(b2=params.b2 + 1e-6), x)
        assert (accuracy(nudged, test)[np.array([0, 5, 6])] < 0.53).all()

        x = jnp.asarray(features(train))
        assert accuracy(zero_one.predict(params, x), train) == pytest.approx(0.9028)
        share = zero_one.margins(params, x).share[:, 0]
        near = np.asarray(share)
        assert ((near > 0.47) & (near < 0.59)).tolist() == [
            True,
            False,
            False,
            False,
            False,
            True,
            True,
            False,
        ]
