import dataclasses
import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from zeroone_jax.coordinate_descent import Config, ball, output_unit
from zeroone_jax.coordinate_descent.program import split

UNITS, ROWS = 5, 30
FINEST = 2**21
"""How finely the cross-entropy of so many rows is counted."""

ZERO_ONE = Config(hidden=UNITS, output_candidates=0, acceptance="better")
CROSS_ENTROPY = dataclasses.replace(ZERO_ONE, loss="cross_entropy")
SETTINGS = {
    "real": ZERO_ONE,
    "real_windowed": dataclasses.replace(ZERO_ONE, window=1),
    "real_some_equal_moves": dataclasses.replace(
        ZERO_ONE, output_candidates=4, acceptance="not_worse"
    ),
    "binary": dataclasses.replace(ZERO_ONE, weights="binary"),
    "cross_entropy": CROSS_ENTROPY,
    "binary_cross_entropy": dataclasses.replace(CROSS_ENTROPY, weights="binary"),
}


@functools.partial(jax.jit, static_argnames="config")
def run(key, weights, threshold, hidden, labels, gain, counts, config):
    output = output_unit.Output(weights, threshold, weights @ hidden)
    rows = (ball.Hidden(hidden, None), labels, gain, counts)
    return output_unit.visit(key, output, *rows, *split(config))


@functools.partial(jax.jit, static_argnames="config")
def fit(sums, labels, gain, counts, config):
    return output_unit.fit_threshold(sums, labels, gain, counts, split(config)[0])


@st.composite
def problems(draw, config):
    """An output unit's weights, hidden values, labels, gains, which rows count."""
    # A generator draws more varied rows than hypothesis would.
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = generator.normal(size=UNITS)
    if config.weights == "binary":
        weights = np.where(weights > 0, 1, -1)
    else:
        # Cross-entropy lets weights grow.
        length = 256 if config.loss == "zero_one" else 400
        weights = np.rint(weights * length / np.linalg.norm(weights)).astype(int)
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 0.8]))
    labels = (generator.random(ROWS) < share).astype(int)
    counts = (generator.random(ROWS) < draw(st.sampled_from([0.2, 0.75, 1.0]))) + 0
    hidden = (generator.random((UNITS, ROWS)) < 0.5).astype(int)
    for_off, for_on = draw(st.sampled_from([(1, 1), (7, 4), (30, 1)]))
    gain = np.where(labels == 1, for_on, -for_off) * counts
    return weights, hidden, labels, gain, counts


def arrays(problem):
    weights, hidden, labels, gain, counts = problem
    return (
        jnp.asarray(weights, jnp.float32),
        jnp.asarray(hidden, jnp.float32),
        *(jnp.asarray(array, jnp.int32) for array in (labels, gain, counts)),
    )


def cuts(sums):
    """Every threshold that tells rows apart, lowest first."""
    values = np.unique(sums).astype(float)
    middles = (values[1:] + values[:-1]) / 2
    return np.concatenate([values[:1] - 0.5, middles, values[-1:] + 0.5])


def best_cut(sums, gain):
    scores = [int(gain[sums > cut].sum()) for cut in cuts(sums)]
    return cuts(sums)[int(np.argmax(scores))], max(scores)


def best_near(sums, gain, counts, position, window):
    """The best score of a threshold within so many counted rows of a position."""
    distance = np.array(
        [abs(int(counts[sums <= cut].sum()) - position) for cut in cuts(sums)]
    )
    allowed = cuts(sums)[distance <= max(window, distance.min())]
    return max(int(gain[sums > cut].sum()) for cut in allowed)


def loss(sums, threshold, labels, counts, config):
    scale = 256 if config.weights == "real" else 1
    logits = (sums - threshold) / scale
    return counts @ np.logaddexp(0, np.where(labels == 1, -logits, logits))


def moves(weights, config):
    """Every move there is: an input and what to add to its weight."""
    if config.weights == "binary":
        return [(unit, -2 * weights[unit]) for unit in range(UNITS)]
    length = np.sqrt(np.float64(weights @ weights))
    if config.loss == "cross_entropy":
        length = 256.0
    step = int(np.rint(config.output_step * length))
    return [(unit, sign * step) for unit in range(UNITS) for sign in (1, -1)]


def one_moved(weights, unit, delta):
    moved = np.array(weights, np.float64)
    moved[unit] += delta
    return moved


class FitThresholdTest(parameterized.TestCase):
    @parameterized.parameters("real", "binary")
    @hypothesis.given(st.data())
    def test_equals_brute_force(self, name, data):
        config = SETTINGS[name]
        problem = data.draw(problems(config))
        weights, hidden, _, gain, _ = problem
        sums = weights @ hidden
        _, _, *rows = arrays(problem)
        fitted = fit(jnp.asarray(sums, jnp.float32), *rows, config=config)
        best = best_cut(sums, gain)[1]
        assert fitted.score == best
        assert gain[sums > float(fitted.threshold)].sum() == best

    @parameterized.parameters("cross_entropy", "binary_cross_entropy")
    @hypothesis.given(st.data())
    def test_cross_entropy_takes_the_gap_of_least_loss(self, name, data):
        config = SETTINGS[name]
        problem = data.draw(problems(config))
        weights, hidden, labels, _, counts = problem
        sums = weights @ hidden
        _, _, *rows = arrays(problem)
        fitted = fit(jnp.asarray(sums, jnp.float32), *rows, config=config)
        cut = float(fitted.threshold)
        assert np.abs(cuts(sums) - cut).min() <= 0.5
        np.testing.assert_allclose(
            -float(fitted.score) / FINEST,
            loss(sums, cut, labels, counts, config),
            atol=ROWS / FINEST,
        )
        everywhere = np.arange(sums.min() - 0.5, sums.max() + 1)
        losses = [loss(sums, value, labels, counts, config) for value in everywhere]
        best = everywhere[np.array(losses) <= min(losses) + ROWS * 1e-3]
        sampled = sums[counts == 1]
        below, above = sampled[sampled < cut], sampled[sampled > cut]
        low = below.max() if below.size else -np.inf
        high = above.min() if above.size else np.inf
        assert np.any((low < best) & (best < high))


class VisitTest(parameterized.TestCase):
    @parameterized.parameters(*SETTINGS)
    @hypothesis.given(st.data())
    def test_moves_one_weight_and_fits_the_threshold(self, name, data):
        config = SETTINGS[name]
        problem = data.draw(problems(config))
        weights, hidden, _, gain, _ = problem
        visited = self._visit(problem, config)
        output = jax.tree.map(lambda array: np.asarray(array, np.float64), visited[0])
        np.testing.assert_array_equal(output.sums, output.weights @ hidden)
        np.testing.assert_array_equal(output.weights, np.rint(output.weights))
        assert output.threshold % 1 == 0.5
        assert np.abs(cuts(output.sums) - output.threshold).min() <= 0.5

        if config.loss == "zero_one":
            reached = gain[output.sums > output.threshold].sum()
            assert reached == best_cut(output.sums, gain)[1]
        if config.weights == "binary":
            assert set(np.abs(output.weights)) == {1.0}
        elif config.loss == "zero_one":
            rounding = np.sqrt(UNITS) / 2
            assert abs(np.linalg.norm(output.weights) - 256) <= rounding
        if not visited.accepted:
            np.testing.assert_array_equal(output.weights, weights)
            return
        candidates = [one_moved(weights, *move) for move in moves(weights, config)]
        if config.weights == "real" and config.loss == "zero_one":
            candidates = [w * 256 / np.linalg.norm(w) for w in candidates]
        # Renormalised weights are rounded, in float32.
        distance = np.abs(np.array(candidates) - output.weights).max(axis=1)
        assert distance.min() <= 0.5001

    @parameterized.parameters("real", "real_windowed", "binary")
    @hypothesis.given(st.data())
    def test_takes_the_best_move_if_it_is_better(self, name, data):
        config = SETTINGS[name]
        problem = data.draw(problems(config))
        weights, hidden, _, gain, counts = problem
        sums = weights @ hidden
        cut, current = best_cut(sums, gain)
        position = int(counts[sums <= cut].sum())
        scores = []
        for move in moves(weights, config):
            moved = one_moved(weights, *move) @ hidden
            if config.window:
                scores.append(best_near(moved, gain, counts, position, config.window))
            else:
                scores.append(best_cut(moved, gain)[1])
        output, accepted = self._visit(problem, config)
        assert bool(accepted) == (max(scores) > current)
        if not accepted:
            return
        moved = [
            one_moved(weights, *move)
            for move, score in zip(moves(weights, config), scores, strict=True)
            if score == max(scores)
        ]
        if config.weights == "real":
            moved = [w * 256 / np.linalg.norm(w) for w in moved]
        found = np.asarray(output.weights)
        assert min(np.abs(found - w).max() for w in moved) <= 0.5001

    @parameterized.parameters("cross_entropy", "binary_cross_entropy")
    @hypothesis.given(st.data())
    def test_never_raises_the_cross_entropy(self, name, data):
        config = SETTINGS[name]
        problem = data.draw(problems(config))
        weights, hidden, labels, _, counts = problem
        as_arrays = arrays(problem)
        before = fit(
            jnp.asarray(weights @ hidden, jnp.float32), *as_arrays[2:], config=config
        )
        output, accepted = self._visit(problem, config)
        sums, cut = np.asarray(output.sums), float(output.threshold)
        after = loss(sums, cut, labels, counts, config)
        rounding = ROWS / FINEST
        assert after <= -float(before.score) / FINEST + rounding
        if accepted:
            best = min(
                loss(sums, value, labels, counts, config)
                for move in moves(weights, config)
                for sums in [one_moved(weights, *move) @ hidden]
                for value in [
                    float(
                        fit(
                            jnp.asarray(sums, jnp.float32), *as_arrays[2:], config
                        ).threshold
                    )
                ]
            )
            assert abs(after - best) <= rounding

    @parameterized.parameters((0, 10), (4, 4), (10, 10), (50, 10))
    def test_draws_distinct_moves(self, candidates, expected):
        config = dataclasses.replace(ZERO_ONE, output_candidates=candidates)
        weights = np.array([200, -100, 80, 60, 70])
        everything = set(moves(weights, config))
        seen = set()
        for seed in range(20):
            inputs, deltas = output_unit._candidates(
                jax.random.key(seed),
                jnp.asarray(weights, jnp.float32),
                *split(config),
            )
            drawn = set(zip(inputs.tolist(), deltas.tolist(), strict=True))
            assert len(drawn) == inputs.size == expected
            seen |= drawn
        assert seen == everything

    def _visit(self, problem, config):
        weights, *rows = arrays(problem)
        return run(jax.random.key(0), weights, jnp.float32(0.5), *rows, config)


if __name__ == "__main__":
    absltest.main()
