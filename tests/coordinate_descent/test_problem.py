import fractions
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from zeroone_jax import coordinate_descent
from zeroone_jax.coordinate_descent import Config
from zeroone_jax.coordinate_descent.problem import (
    Problem,
    binary,
    class_weights,
    correct_rows,
    sample_rows,
)
from zeroone_jax.coordinate_descent.program import share_of, split

CONFIG = Config(features=3, candidates=3)
X = np.array(
    [[0, 51, 255], [1, 52, 254], [2, 53, 253], [7, 53, 0], [9, 60, 1]], np.float32
) / np.float32(255)
Y = np.array([0, 1, 1, 0, 1])


def labelled(*rows):
    """A problem of one coordinate with so many rows of each class, mixed."""
    labels = np.repeat(np.arange(len(rows)), rows)
    labels = np.random.default_rng(0).permutation(labels)
    return Problem(
        jnp.zeros((1, labels.size)), jnp.zeros(1), jnp.asarray(labels, jnp.int32)
    )


class ProblemTest(parameterized.TestCase):
    def test_lays_out_a_row_of_whole_levels_a_coordinate(self):
        data = coordinate_descent.prepare(jnp.asarray(X), jnp.asarray(Y), CONFIG)
        assert data.levels.shape == (3, 5)
        np.testing.assert_array_equal(
            data.levels, [[0, 1, 2, 7, 9], [51, 52, 53, 53, 60], [255, 254, 253, 0, 1]]
        )
        np.testing.assert_array_equal(data.mean, [4, 54, 153])
        np.testing.assert_array_equal(data.labels, Y)
        assert data.levels.dtype == data.mean.dtype == jnp.float32
        assert data.labels.dtype == jnp.int32

    @parameterized.parameters(np.float32, np.float64)
    def test_every_level_of_a_pixel_is_whole(self, dtype):
        x = np.repeat(np.arange(256, dtype=dtype)[:, None] / dtype(255), 3, axis=1)
        data = coordinate_descent.prepare(x, np.arange(256) % 2, CONFIG)
        np.testing.assert_array_equal(data.levels[1], np.arange(256))
        assert data.levels.dtype == jnp.float32

    def test_noisy_features_are_kept_as_they_are(self):
        x = np.random.default_rng(0).random((50, 3)).astype(np.float32)
        data = coordinate_descent.prepare(x, np.arange(50) % 2, CONFIG)
        np.testing.assert_allclose(data.levels.T, x.astype(np.float64) * 255, rtol=1e-6)
        np.testing.assert_array_equal(
            data.mean, np.rint(255 * x.mean(axis=0, dtype=np.float64))
        )

    def test_one_number_between_levels_keeps_all_as_they_are(self):
        x = X.copy()
        x[3, 1] += 0.3 / 255
        data = coordinate_descent.prepare(x, Y, CONFIG)
        np.testing.assert_allclose(data.levels[1, 3], 53.3, rtol=1e-6)

    @parameterized.named_parameters(
        ("floating_labels", X, Y.astype(np.float32), "labels must be integers"),
        ("integer_features", (X * 255).astype(np.uint8), Y, "floats in .* not uint8"),
        ("not_a_number", np.where(X > 0.9, np.nan, X), Y, "not nan..nan"),
        ("above_one", X * 255, Y, r"in \[0, 1\], not 0.0..255.0"),
        ("below_zero", X - np.float32(0.5), Y, r"in \[0, 1\], not -0.5"),
        ("images", X[:, :, None], Y, r"\[n, d\].*\[5, 3, 1\]"),
        ("one_row", X[0], Y, r"not \[3\] and \[5\]"),
        ("a_label_too_few", X, Y[1:], r"not \[5, 3\] and \[4\]"),
        ("columns_of_labels", X, Y[:, None], r"not \[5, 3\] and \[5, 1\]"),
        ("no_rows", X[:0], Y[:0], r"not empty, not \[0, 3\]"),
        ("no_coordinates", X[:, :0], Y, r"not empty, not \[5, 0\]"),
        ("gap_in_labels", X, 2 * Y, r"\[0, 2\].*without rows: \[1\]"),
        ("negative_labels", X, Y - 1, r"\[-1, 0\].*every class of 0..k-1"),
        ("stray_label", X, Y * 10**9, r"1000000000\].*without rows: \[1, 2"),
        ("only_class_0", X, 0 * Y, r"k at least 2; without rows: \[1\]"),
        ("only_class_1", X, 0 * Y + 1, r"k at least 2; without rows: \[0\]"),
    )
    def test_refuses(self, x, y, message):
        with pytest.raises(ValueError, match=message):
            coordinate_descent.prepare(x, y, CONFIG)

    def test_refuses_more_features_than_there_are(self):
        with pytest.raises(ValueError, match=r"features=4 .* only 3"):
            coordinate_descent.prepare(X, Y, Config(features=4, candidates=1))

    def test_refuses_samples_without_a_row_of_some_class(self):
        small = Config(features=3, candidates=3, rows=0.4)
        with pytest.raises(ValueError, match=r"rows=0.4 .* class 0, which has 2"):
            coordinate_descent.prepare(X, Y, small)
        just = Config(features=3, candidates=3, rows=0.5)
        coordinate_descent.prepare(X, Y, just)

    @parameterized.parameters(0, 1, 2)
    def test_binary_tells_one_class_from_all_others(self, positive):
        data = labelled(4, 3, 2)
        told = binary(data, jnp.int32(positive))
        np.testing.assert_array_equal(told.labels, np.asarray(data.labels) == positive)
        assert told.labels.dtype == jnp.int32
        assert told.levels is data.levels


class CorrectRowsTest(parameterized.TestCase):
    @parameterized.parameters(0, 1, 2)
    def test_counts_by_class(self, seed):
        data = labelled(17, 5)
        labels = np.asarray(data.labels)
        predicted = np.random.default_rng(seed).random(22) < 0.6
        expected = [
            sum(predicted[i] == label for i in range(22) if labels[i] == label)
            for label in (0, 1)
        ]
        correct = correct_rows(data, jnp.asarray(predicted))
        np.testing.assert_array_equal(correct, expected)
        assert correct.dtype == jnp.int32


class ClassWeightsTest(parameterized.TestCase):
    @parameterized.product(
        rows=((3, 4), (5000, 5000), (54_000, 6000), (59_000, 1000), (10, 9990)),
        situation=(
            ("plain", 0),
            ("balanced", 49),
            ("schedule", 0),
            ("schedule", 9),
            ("schedule", 10),
            ("schedule", 49),
        ),
    )
    def test_are_proportional_to_the_objective(self, rows, situation):
        objective, iteration = situation
        config = Config(objective=objective, iterations=50, balanced_share=0.2)
        program, tuning = split(config)
        early = iteration < tuning.balanced
        weights = class_weights(labelled(*rows), program, early)
        total = sum(rows)
        plain = np.full(2, 1 / total)
        balanced = 0.5 / np.array(rows)
        expected = {
            "plain": plain,
            "balanced": balanced,
            "schedule": balanced if iteration < 10 else balanced + plain,
        }[objective]
        finest = int(np.max(weights))
        # Whole multiples of a fraction: off by half of it, and float32's rounding.
        np.testing.assert_allclose(
            weights, expected / expected.max() * finest, atol=0.5, rtol=3e-7
        )
        assert weights.dtype == jnp.int32
        assert np.min(weights) >= 1
        # Adversarial training judges every row twice.
        assert 2**28 < total * finest < 2 * total * finest < 2**31

    def test_a_class_without_rows_stays_finite(self):
        program, _ = split(Config(objective="balanced"))
        weights = class_weights(labelled(5), program, jnp.bool(True))
        assert np.min(weights) > 0


@functools.partial(jax.jit, static_argnames=("share", "draws"))
def sample(key, data, share, draws):
    keys = jax.random.split(key, draws)
    return jax.lax.map(lambda key: sample_rows(key, data, share_of(share)), keys)


class SampleRowsTest(parameterized.TestCase):
    @parameterized.product(
        rows=((100, 43), (1, 142), (138, 5)), share=(0.093, 0.29, 0.75, 1.0)
    )
    def test_draws_the_floor_of_each_class(self, rows, share):
        data = labelled(*rows)
        drawn = np.asarray(sample(jax.random.key(1), data, share, 200))
        assert set(np.unique(drawn)) <= {0, 1}
        for label, count in enumerate(rows):
            expected = int(fractions.Fraction(str(share)) * count)
            inside = drawn[:, np.asarray(data.labels) == label].sum(axis=1)
            np.testing.assert_array_equal(inside, expected)

    @parameterized.parameters(0.129, 0.9)
    def test_draws_the_floor_of_many_rows(self, share):
        data = labelled(50_001, 8999)
        drawn = np.asarray(sample(jax.random.key(2), data, share, 1))[0]
        for label, count in enumerate((50_001, 8999)):
            expected = int(fractions.Fraction(str(share)) * count)
            assert drawn[np.asarray(data.labels) == label].sum() == expected

    @parameterized.parameters(0.25, 0.6)
    def test_draws_every_row_and_pair_equally_often(self, share):
        rows, draws = (20, 8), 4000
        data = labelled(*rows)
        drawn = np.asarray(sample(jax.random.key(3), data, share, draws), np.float64)
        labels = np.asarray(data.labels)
        for label, count in enumerate(rows):
            inside = drawn[:, labels == label]
            size = int(fractions.Fraction(str(share)) * count)
            together = inside.T @ inside / draws
            once, twice = size / count, size * (size - 1) / (count * (count - 1))
            expected = np.where(np.eye(count) == 1, once, twice)
            deviation = np.sqrt(expected * (1 - expected) / draws)
            assert np.all(np.abs(together - expected) < 5 * deviation)

    def test_keys_differ(self):
        drawn = np.asarray(sample(jax.random.key(4), labelled(30, 30), 0.5, 50))
        assert len(np.unique(drawn, axis=0)) == 50


if __name__ == "__main__":
    absltest.main()
