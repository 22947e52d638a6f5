import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from zeroone_jax.coordinate_descent import cross_entropy

ROWS = 20
LARGEST_LOGIT = 16

losses = jax.jit(cross_entropy.losses, static_argnames="scale")
best_shift = jax.jit(cross_entropy.best_shift, static_argnames="scale")


def fractions_of_one(rows):
    """How finely a loss is counted, so that rows of the largest fit in 30 bits."""
    return 2 ** (30 - int(rows).bit_length()) // LARGEST_LOGIT


def softplus_loss(sums, threshold, labels, scale):
    logits = (np.asarray(sums, np.float64) - threshold) / scale
    return np.logaddexp(0, np.where(labels == 1, -logits, logits))


def problem(low, high):
    """Whole-numbered sums, labels, and which rows count."""

    def lists(numbers):
        drawn = st.lists(numbers, min_size=ROWS, max_size=ROWS)
        return drawn.map(functools.partial(np.array, dtype=np.int32))

    bits = lists(st.integers(0, 1))
    return st.tuples(lists(st.integers(low, high)), bits, bits)


class LossesTest(parameterized.TestCase):
    @parameterized.product(
        scale=(1.0, 20.0, 256.0), threshold=(-7.5, 0.5, 100.5), label=(0, 1)
    )
    def test_equal_softplus_within_the_fraction(self, scale, threshold, label):
        reach = int((LARGEST_LOGIT - 1) * scale)
        offsets = np.unique(np.linspace(-reach, reach, 1001).astype(int))
        sums = np.float32(np.floor(threshold) + offsets)
        labels = np.full(sums.size, label, np.int32)
        found = losses(sums, jnp.float32(threshold), labels, scale)
        assert found.dtype == jnp.int32
        fractions = fractions_of_one(sums.size)
        np.testing.assert_allclose(
            np.asarray(found) / fractions,
            softplus_loss(sums, threshold, labels, scale),
            atol=0.5001 / fractions,
        )

    @parameterized.product(scale=(1.0, 256.0), beyond=(17, 100, 1000))
    def test_beyond_the_largest_logit_are_constant(self, scale, beyond):
        size = np.float32(beyond * scale)
        sums = np.array([-size, -size, size, size])
        labels = np.array([0, 1, 0, 1], np.int32)
        found = np.asarray(losses(sums, jnp.float32(0.5), labels, scale))
        expected = np.array([0, LARGEST_LOGIT, LARGEST_LOGIT, 0])
        np.testing.assert_allclose(
            found / fractions_of_one(4), expected, atol=0.5 / scale + 1e-3
        )

    def test_sixty_thousand_of_the_largest_add_up(self):
        sums = jnp.full(60_000, 1e5)
        found = losses(sums, jnp.float32(0.5), jnp.zeros(60_000, jnp.int32), 256.0)
        assert np.asarray(found, np.int64).sum() < 2**31
        assert int(jnp.sum(found)) == np.asarray(found, np.int64).sum()


class BestShiftTest(parameterized.TestCase):
    # Differences of sums stay within the largest logit, where the loss is convex.
    @hypothesis.given(problem(-8, 8))
    def test_equals_brute_force_at_scale_1(self, drawn):
        self._check(drawn, 1.0)

    @hypothesis.given(problem(-1000, 1000))
    def test_equals_brute_force_at_scale_256(self, drawn):
        self._check(drawn, 256.0)

    @hypothesis.given(problem(-3, 3))
    def test_equals_brute_force_with_many_ties(self, drawn):
        self._check(drawn, 2.0)

    def _check(self, drawn, scale):
        sums, labels, counts = drawn
        threshold, total = best_shift(np.float32(sums), labels, counts, scale)
        threshold = float(threshold)
        assert threshold % 1 == 0.5
        assert sums.min() - 1 < threshold < sums.max() + 1

        one_by_one = losses(np.float32(sums), np.float32(threshold), labels, scale)
        assert int(total) == int(np.sum(counts * np.asarray(one_by_one)))

        candidates = np.arange(sums.min() - 0.5, sums.max() + 1)
        totals = counts @ softplus_loss(
            sums[:, None], candidates[None, :], labels[:, None], scale
        )
        best = candidates[totals <= totals.min() + 1e-12]
        # Rounded losses may misjudge a slope by one fraction a row, no more.
        slack = np.abs(best - threshold).min() * counts.sum() / fractions_of_one(ROWS)
        assert totals[candidates == threshold] <= totals.min() + slack + 1e-9

    def test_rows_that_do_not_count_change_nothing(self):
        sums = jnp.array([-90.0, -30.0, 10.0, 80.0, 40.0])
        labels = jnp.array([0, 1, 0, 1, 1])
        counts = jnp.array([1, 1, 1, 1, 0])
        expected = best_shift(sums, labels, counts, 256.0)
        for value in (-50.0, 0.0, 60.0):
            found = best_shift(sums.at[4].set(value), 1 - labels, counts, 256.0)
            other = best_shift(sums.at[4].set(value), labels, counts, 256.0)
            assert other == expected
            assert found != expected

    @parameterized.parameters((0, 2.5), (1, -4.5))
    def test_one_class_lies_on_its_side(self, label, expected):
        sums = jnp.array([-4.0, 0.0, 2.0])
        labels = jnp.full(3, label)
        threshold, _ = best_shift(sums, labels, jnp.ones(3, jnp.int32), 256.0)
        assert threshold == expected


if __name__ == "__main__":
    absltest.main()
