import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from zeroone_jax.coordinate_descent import threshold


@st.composite
def rows(draw, low=-40, high=40):
    """Projections with many ties, gains of weighted classes, rows that count."""
    size = draw(st.integers(1, 40))
    numbers = st.lists(st.integers(low, high), min_size=size, max_size=size)
    projection = np.array(draw(numbers))
    weights = draw(st.sampled_from([(1, 1), (9, 1), (0, 3)]))
    signs = draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=size, max_size=size))
    gain = np.array([weights[0] * s if s < 0 else weights[1] * s for s in signs])
    counts = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    counts = np.array(counts)
    return projection, gain * counts, counts


def candidates(projection):
    """Every threshold that tells rows apart, lowest first."""
    values = np.unique(projection).astype(float)
    middles = (values[1:] + values[:-1]) / 2
    return np.concatenate([values[:1] - 1, middles, values[-1:] + 1])


def score(projection, gain, cut):
    return int(gain[projection > cut].sum())


class BestThresholdTest(parameterized.TestCase):
    @hypothesis.given(rows())
    def test_equals_brute_force(self, drawn):
        projection, gain, _ = drawn
        scores = [score(projection, gain, cut) for cut in candidates(projection)]
        found = threshold.best_threshold(
            jnp.asarray(projection, jnp.float32), jnp.asarray(gain, jnp.int32)
        )
        assert found.gain == max(scores)
        assert score(projection, gain, float(found.threshold)) == max(scores)
        # The lowest of the best wins, and sits mid-gap.
        expected = candidates(projection)[int(np.argmax(scores))]
        if scores.index(max(scores)) in (0, len(scores) - 1):
            expected += np.sign(np.mean(projection) - expected) * 0.5
        np.testing.assert_allclose(float(found.threshold), expected, atol=1e-5)
        nearest = np.min(np.abs(projection - float(found.threshold)))
        np.testing.assert_allclose(float(found.gap), nearest, atol=1e-5)

    def test_near_ties_are_ties(self):
        # Between the first two, one more row would be right.
        projection = jnp.array([0.5, 0.5 + 1e-6, 0.9])
        gain = jnp.array([-1.0, 1.0, -1.0])
        found = threshold.best_threshold(projection, gain)
        assert found.gain == 0.0
        assert found.gap > 1e-06

    def test_gains_of_one_class_only(self):
        projection = jnp.array([3.0, 1.0, 2.0])
        for sign, expected in ((1, 3), (-1, 0)):
            found = threshold.best_threshold(projection, jnp.full(3, sign))
            assert found.gain == expected

    def test_shapes_must_match(self):
        with pytest.raises(AssertionError):
            threshold.best_threshold(jnp.zeros(3), jnp.zeros(4))


class BinnedThresholdTest(parameterized.TestCase):
    @hypothesis.given(rows())
    def test_equals_brute_force_with_a_bin_a_number(self, drawn):
        projection, gain, _ = drawn
        best = max(score(projection, gain, cut) for cut in candidates(projection))
        found = threshold.binned_threshold(
            jnp.asarray(projection, jnp.int32),
            jnp.asarray(gain, jnp.int32),
            threshold.bounds_of(jnp.asarray(projection, jnp.float32)),
            128,
        )
        assert found.gain == best
        assert score(projection, gain, float(found.threshold)) == best

    @hypothesis.given(rows(-100_000, 100_000), st.sampled_from([4, 16, 64]))
    def test_wide_bins_score_their_edges_exactly(self, drawn, bins):
        projection, gain, _ = drawn
        low, high = -100_000, 100_000
        found = threshold.binned_threshold(
            jnp.asarray(projection, jnp.int32),
            jnp.asarray(gain, jnp.int32),
            threshold.Bounds(jnp.int32(low), jnp.int32(high)),
            bins,
        )
        width = 1
        while (high - low) // width >= bins:
            width *= 2
        edges = [low + index * width - 0.5 for index in range(bins + 1)]
        best = max(score(projection, gain, edge) for edge in edges)
        assert found.gain == best
        assert score(projection, gain, float(found.threshold)) == best


class ThresholdNearTest(parameterized.TestCase):
    @hypothesis.given(rows(), st.integers(0, 40), st.integers(1, 10))
    def test_equals_brute_force(self, drawn, position, window):
        self._check(drawn, position, window, 128)

    @hypothesis.given(rows(-90_000, 90_000), st.integers(0, 40), st.integers(1, 4))
    @pytest.mark.slow("the same on wide ranges")
    def test_zooms_in_on_wide_ranges(self, drawn, position, window):
        # Rows this sparse are told apart however wide the bins of the first count.
        self._check(drawn, position, window, 2**18)

    def _check(self, drawn, position, window, bins):
        projection, gain, counts = drawn
        position = min(position, int(counts.sum()))
        found = threshold.threshold_near(
            jnp.asarray(projection, jnp.int32),
            jnp.asarray(gain, jnp.int32),
            jnp.asarray(counts, jnp.int32),
            threshold.bounds_of(jnp.asarray(projection, jnp.float32)),
            jnp.int32(position),
            window,
            bins,
        )
        cut = float(found.threshold)
        assert score(projection, gain, cut) == int(found.gain)
        distances = {
            value: abs(int(counts[projection <= value].sum()) - position)
            for value in candidates(projection)
        }
        reach = max(window, min(distances.values()))
        assert abs(int(counts[projection <= cut].sum()) - position) <= reach
        best = max(
            score(projection, gain, value)
            for value, distance in distances.items()
            if distance <= reach
        )
        assert int(found.gain) == best

    def test_two_counts_are_exact_on_thousands_of_rows(self):
        generator = np.random.default_rng(0)
        projection = np.rint(generator.normal(0, 20_000, 5_000)).astype(int)
        gain = generator.integers(-1, 2, 5_000)
        counts = (generator.random(5_000) < 0.75).astype(int)
        ordered = np.unique(projection)
        position, window = int(counts.sum()) // 3, 20
        below = np.array([counts[projection <= value].sum() for value in ordered])
        allowed = ordered[np.abs(below - position) <= window] + 0.5
        best = max(score(projection, gain * counts, cut) for cut in allowed)
        found = threshold.threshold_near(
            jnp.asarray(projection, jnp.int32),
            jnp.asarray(gain * counts, jnp.int32),
            jnp.asarray(counts, jnp.int32),
            threshold.bounds_of(jnp.asarray(projection, jnp.float32)),
            jnp.int32(position),
            window,
        )
        assert int(found.gain) == best


class BetweenTest(parameterized.TestCase):
    # XLA takes subnormal numbers for 0.
    @hypothesis.given(rows(), st.floats(-45, 45, width=32, allow_subnormal=False))
    def test_keeps_every_row_on_its_side(self, drawn, cut):
        projection = drawn[0].astype(np.float32)
        moved = float(threshold.between(jnp.asarray(projection), jnp.float32(cut)))
        np.testing.assert_array_equal(projection > moved, projection > np.float32(cut))
        assert moved % 1 == 0.5
        below, above = projection[projection < moved], projection[projection > moved]
        if below.size and above.size:
            # In the middle, but for the half unit that makes it a half-integer.
            middle = (below.max() + above.min()) / 2
            assert abs(moved - middle) <= 0.5

    def test_middle_of_a_gap_without_half_integer(self):
        moved = threshold.between(jnp.array([0.1, 0.3]), jnp.float32(0.11))
        np.testing.assert_allclose(float(moved), 0.2, atol=1e-6)

    @parameterized.parameters((-3.0, -0.5), (9.0, 2.5))
    def test_beyond_the_outermost_row(self, cut, expected):
        moved = threshold.between(jnp.array([0.0, 2.0]), jnp.float32(cut))
        assert moved == expected


class VmapTest(parameterized.TestCase):
    @pytest.mark.slow("compiles twice")
    def test_batches_equal_single_calls(self):
        key = jax.random.key(0)
        projection = jax.random.randint(key, (5, 30), -50, 50)
        gain = jax.random.randint(jax.random.fold_in(key, 1), (5, 30), -1, 2)
        bounds = threshold.Bounds(jnp.int32(-50), jnp.int32(50))

        def one(p, g):
            return threshold.binned_threshold(p, g, bounds, 128)

        single = [one(p, g) for p, g in zip(projection, gain, strict=True)]
        chex.assert_trees_all_equal(
            jax.vmap(one)(projection, gain),
            jax.tree.map(lambda *leaves: jnp.stack(leaves), *single),
        )


if __name__ == "__main__":
    absltest.main()
