import dataclasses
import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from zeroone_jax.coordinate_descent import Config, draw_coordinates, hidden_unit, split

COORDINATES, ROWS = 6, 24
# More bins than a projection of weights up to 20 has values.
BINS = 2**15
BLIND = Config(
    search="blind",
    features=COORDINATES,
    candidates=1,
    hidden_steps=(0.3,),
    bins=0,
    acceptance="better",
)
SCREENED = Config(features=COORDINATES, candidates=2, hidden_steps=(0.3, 0.1), bins=0)
KEY = jax.random.key(0)


@functools.partial(jax.jit, static_argnames="config")
def run(key, weights, threshold, levels, gain, counts, config):
    program, tuning = split(config)
    drawn = draw_coordinates(key, COORDINATES, program)
    rows = hidden_unit.Rows(
        lambda coordinates: levels[coordinates],
        jnp.round(jnp.mean(levels, axis=1)),
        gain,
        counts,
    )
    unit = hidden_unit.Unit(weights, threshold, weights @ levels)
    return hidden_unit.visit(key, unit, rows, drawn, program, tuning)


def visit(problem, config, key=KEY):
    weights, threshold, levels, gain, counts = problem
    return run(
        key,
        jnp.asarray(weights, jnp.float32),
        jnp.float32(threshold),
        jnp.asarray(levels, jnp.float32),
        jnp.asarray(gain, jnp.int32),
        jnp.asarray(counts, jnp.int32),
        config,
    )


@st.composite
def problems(draw, weights="real"):
    """A unit and rows: weights, threshold, levels, gains, which rows count."""

    # A generator draws more varied rows than hypothesis would.
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    numbers = generator.integers(-20, 21, COORDINATES)
    if weights == "binary":
        numbers = np.where(numbers > 0, 1, -1)
    else:
        numbers[0] = generator.integers(10, 21)
    highest = draw(st.sampled_from([1, 3, 255]))
    levels = generator.integers(0, highest + 1, (COORDINATES, ROWS))
    counts = (generator.random(ROWS) < draw(st.sampled_from([0.2, 0.75, 1.0]))) + 0
    chances = draw(st.sampled_from([(0.3, 0.4, 0.3), (0.1, 0.2, 0.7), (0.9, 0.1, 0)]))
    signs = generator.choice([-1, 0, 1], ROWS, p=chances) * counts
    for_off, for_on = draw(st.sampled_from([(1, 1), (7, 4), (30, 1)]))
    gain = np.where(signs > 0, for_on, for_off) * signs
    row = generator.integers(ROWS)
    return numbers, (numbers @ levels)[row] - 0.5, levels, gain, counts


def score(projection, gain, threshold):
    return int(gain[projection > threshold].sum())


def best_cut(projection, gain):
    """The lowest best threshold and its score."""
    values = np.unique(projection).astype(float)
    middles = (values[1:] + values[:-1]) / 2
    cuts = np.concatenate([values[:1] - 0.5, middles, values[-1:] + 0.5])
    scores = [score(projection, gain, cut) for cut in cuts]
    return cuts[int(np.argmax(scores))], max(scores)


def best_near(projection, gain, counts, position, window):
    """The best score of a threshold within so many counted rows of a position."""
    cuts = np.append(np.unique(projection) - 0.5, projection.max() + 0.5)
    distance = np.array(
        [abs(int(counts[projection <= cut].sum()) - position) for cut in cuts]
    )
    allowed = cuts[distance <= max(window, distance.min())]
    return max(score(projection, gain, cut) for cut in allowed)


def steps(weights, config):
    length = np.sqrt(np.float64(weights @ weights))
    if config.loss == "cross_entropy":
        length = 256.0
    return np.rint(np.array(config.hidden_steps) * length).astype(int)


def first_order(weights, threshold, levels, gain, config):
    """Gains of rows near the threshold times their levels' distance to the mean."""
    reach = max(config.hidden_steps) * np.sqrt(np.float64(weights @ weights)) * 255
    near = np.abs(weights @ levels - threshold) < reach
    size = np.abs(gain)
    if size.any():
        size = np.minimum(np.floor(size / size[size > 0].min() + 0.5), 16)
    mean = np.rint(levels.mean(axis=1))
    return (levels - mean[:, None]) @ (near * size * np.sign(gain))


def expected_gain(problem, config):
    """The best gain a single try can reach, by brute force."""
    weights, _, levels, gain, _ = problem
    cut, best = best_cut(weights @ levels, gain)
    below = (weights @ levels)[weights @ levels < cut]
    if config.bins and below.size:
        # The lowest of the edges in the gap, rather than its middle.
        cut = below.max() + 0.5
    return best_move(problem, cut, best, config)


def is_resolved(problem, config):
    """Whether the windows' bins are sure to tell all rows apart."""
    weights, _, levels, gain, counts = problem
    position = int(
        counts[weights @ levels <= best_cut(weights @ levels, gain)[0]].sum()
    )
    inside = config.window <= position <= int(counts.sum()) - config.window
    return config.window == 0 or (inside and levels.max() <= 3)


def best_move(problem, cut, best, config):
    """The best gain after at most one move, from a threshold and its gain."""
    weights, _, levels, gain, counts = problem
    position = int(counts[weights @ levels <= cut].sum())
    drawn = np.asarray(draw_coordinates(KEY, COORDINATES, split(config)[0]))
    if config.weights == "binary":
        moves = [(coordinate, -2 * weights[coordinate]) for coordinate in drawn]
    else:
        moves = [
            (coordinate, sign * step)
            for coordinate in drawn
            for step in steps(weights, config)
            for sign in (1, -1)
        ]
    if config.search == "screened":
        slope = first_order(weights, cut, levels, gain, config)
        promise = np.abs(slope)
        if config.weights == "binary":
            promise = -2 * weights * slope
        order = np.argsort(-promise[drawn], kind="stable")
        chosen = drawn[order[: config.candidates]]
        moves = [
            (coordinate, delta)
            for coordinate, delta in moves
            if coordinate in chosen
            and (config.weights == "binary" or (delta < 0) == (slope[coordinate] < 0))
        ]
    for coordinate, delta in moves:
        moved = weights @ levels + delta * levels[coordinate]
        if config.window:
            reached = best_near(moved, gain, counts, position, config.window)
        else:
            reached = best_cut(moved, gain)[1]
        best = max(best, reached)
    return best


SETTINGS = {
    "blind": BLIND,
    "blind_windowed": dataclasses.replace(BLIND, window=2, bins=BINS),
    "blind_binary": dataclasses.replace(BLIND, bins=BINS, weights="binary"),
    "blind_cross_entropy": dataclasses.replace(
        BLIND, features=2, loss="cross_entropy", acceptance="not_worse"
    ),
    "screened": SCREENED,
    "screened_binary_windowed": dataclasses.replace(
        SCREENED, window=2, weights="binary"
    ),
}
REPEATED = {
    "blind_windowed": dataclasses.replace(BLIND, tries=20, window=1),
    "screened_windowed": dataclasses.replace(
        SCREENED, features=4, bins=BINS, window=2, tries=5
    ),
    "screened_binary": dataclasses.replace(
        SCREENED, features=4, bins=BINS, weights="binary", tries=5
    ),
}


class VisitTest(parameterized.TestCase):
    @parameterized.parameters(*SETTINGS)
    @hypothesis.given(st.data())
    def test_one_try_finds_the_best_move_there_is(self, name, data):
        config = SETTINGS[name]
        problem = data.draw(problems(config.weights))
        weights, _, levels, gain, _ = problem
        visited = visit(problem, config)
        self._check_unit(problem, visited)
        projection = np.asarray(visited.unit.projection)
        found = score(projection, gain, float(visited.unit.threshold))
        anywhere = expected_gain(problem, dataclasses.replace(config, window=0))
        assert best_cut(weights @ levels, gain)[1] <= found <= anywhere
        if is_resolved(problem, config):
            assert found == expected_gain(problem, config)

        change = np.asarray(visited.unit.weights) - weights
        assert int(visited.moves) in (0, 1)
        assert np.count_nonzero(change) == int(visited.moves)
        if config.weights == "binary":
            assert set(np.abs(visited.unit.weights).tolist()) == {1.0}
        elif visited.moves:
            assert np.abs(change).max() in steps(weights, config)

    def test_candidates_of_no_promise_go_in_the_order_drawn(self):
        """No row is near the threshold; the sign of a zero must not choose."""
        levels = np.array(
            [
                [35, 5, 188, 138, 18, 169, 210, 75],
                [251, 38, 89, 191, 142, 78, 171, 190],
                [212, 232, 155, 122, 199, 103, 156, 28],
                [201, 205, 78, 89, 154, 41, 111, 105],
                [153, 111, 153, 25, 241, 203, 245, 3],
                [174, 49, 156, 226, 162, 84, 12, 89],
            ]
        ).repeat(3, axis=1)
        gain = np.array([4, 0, 4, -7, 0, 0, 0, 4]).repeat(3) * np.tile([1, 0, 0], 8)
        weights = np.array([1, 1, -1, 1, -1, 1])
        problem = weights, np.float64(102.5), levels, gain, (gain != 0).astype(int)
        config = dataclasses.replace(REPEATED["screened_binary"], tries=1)
        visited = visit(problem, config)
        found = score(
            np.asarray(visited.unit.projection), gain, float(visited.unit.threshold)
        )
        assert found == expected_gain(problem, config)

    @parameterized.parameters(*REPEATED)
    @hypothesis.given(st.data())
    def test_repeated_tries_go_on_improving(self, name, data):
        config = REPEATED[name]
        problem = data.draw(problems(config.weights))
        weights, _, levels, gain, _ = problem
        visited = visit(problem, config)
        self._check_unit(problem, visited)
        found = score(
            np.asarray(visited.unit.projection), gain, float(visited.unit.threshold)
        )
        assert found >= best_cut(weights @ levels, gain)[1]
        if is_resolved(problem, config):
            assert found >= expected_gain(problem, config)
        change = np.asarray(visited.unit.weights) - weights
        assert np.count_nonzero(change) <= int(visited.moves) <= config.tries
        if config.acceptance == "better" and visited.moves:
            assert found > best_cut(weights @ levels, gain)[1]

    def _check_unit(self, problem, visited):
        weights, threshold, levels, gain, _ = problem
        unit = visited.unit
        projection = np.asarray(unit.projection, np.float64)
        np.testing.assert_array_equal(
            projection, np.asarray(unit.weights, np.float64) @ levels
        )
        cut = float(unit.threshold)
        before = score(weights @ levels, gain, threshold)
        assert score(projection, gain, cut) >= before

        assert cut % 1 == 0.5
        below, above = projection[projection < cut], projection[projection > cut]
        if below.size and above.size:
            assert abs(cut - (below.max() + above.min()) / 2) <= 0.5
        else:
            assert np.abs(projection - cut).min() == 0.5

    def test_tries_end_where_no_move_improves(self):
        config = REPEATED["blind_windowed"]
        generator = np.random.default_rng(0)
        moves = []
        for _ in range(20):
            weights = generator.integers(-20, 21, COORDINATES)
            levels = generator.integers(0, 4, (COORDINATES, ROWS))
            gain, counts = generator.integers(-1, 2, ROWS), np.ones(ROWS)
            visited = visit((weights, 0.5, levels, gain, counts), config)
            moves.append(int(visited.moves))
            unit = jax.tree.map(np.asarray, visited.unit)
            found = score(unit.projection, gain, unit.threshold)
            weights = unit.weights.astype(int)
            end = weights, unit.threshold, levels, gain, counts
            assert best_move(end, unit.threshold, found, config) == found
        assert 1 < max(moves) < 20

    # Where the screen finds no slope, its moves are upwards.
    @parameterized.parameters(("blind", 0), ("blind_cross_entropy", 1), ("screened", 1))
    def test_equal_moves(self, name, moves):
        nothing = np.zeros(ROWS)
        levels = np.arange(COORDINATES * ROWS).reshape(COORDINATES, ROWS)
        problem = np.arange(1, 7), 0.5, levels, nothing, nothing + 1
        visited = visit(problem, SETTINGS[name])
        assert visited.moves == moves

    @parameterized.parameters("blind", "screened")
    def test_noisy_features(self, name):
        generator = np.random.default_rng(1)
        for seed in range(10):
            weights = generator.integers(-20, 21, COORDINATES)
            levels = generator.random((COORDINATES, ROWS)).astype(np.float32) * 255
            gain = generator.integers(-1, 2, ROWS)
            projection = weights @ levels.astype(np.float64)
            problem = weights, projection[0], levels, gain, np.ones(ROWS)
            unit = visit(problem, SETTINGS[name], jax.random.key(seed)).unit
            moved = np.asarray(unit.weights) @ levels.astype(np.float64)
            np.testing.assert_allclose(unit.projection, moved, atol=0.01)
            found = score(moved, gain, float(unit.threshold))
            assert found >= best_cut(projection, gain)[1]


class SlopeTest(parameterized.TestCase):
    @hypothesis.given(problems(), st.permutations(range(COORDINATES)))
    def test_equals_the_formula(self, problem, order):
        weights, threshold, levels, gain, counts = problem
        drawn = np.array(order[:4])
        rows = hidden_unit.Rows(
            lambda coordinates: jnp.asarray(levels, jnp.float32)[coordinates],
            jnp.asarray(np.rint(levels.mean(axis=1)), jnp.float32),
            jnp.asarray(gain, jnp.int32),
            jnp.asarray(counts, jnp.int32),
        )
        unit = hidden_unit.Unit(
            jnp.asarray(weights, jnp.float32),
            jnp.float32(threshold),
            jnp.asarray(weights @ levels, jnp.float32),
        )
        config = Config(features=4, candidates=4, hidden_steps=(0.1, 0.05))
        found = hidden_unit._slope(unit, rows, jnp.asarray(drawn), *split(config))
        expected = first_order(weights, threshold, levels, gain, config)
        np.testing.assert_array_equal(found, expected[drawn])


class DrawCoordinatesTest(parameterized.TestCase):
    @parameterized.parameters((7, 7), (3072, 128))
    def test_draws_distinct_coordinates(self, coordinates, features):
        program, _ = split(Config(features=features, candidates=1))
        keys = jax.random.split(jax.random.key(0), 30)
        drawn = np.asarray(
            jax.vmap(lambda key: draw_coordinates(key, coordinates, program))(keys)
        )
        assert drawn.shape == (30, features)
        assert drawn.min() >= 0
        assert drawn.max() < coordinates
        assert all(len(set(row)) == features for row in drawn.tolist())
        assert len(np.unique(drawn, axis=0)) == 30

    def test_draws_each_equally_often(self):
        program, _ = split(Config(features=5, candidates=1))
        keys = jax.random.split(jax.random.key(1), 4000)
        drawn = jax.vmap(lambda key: draw_coordinates(key, 20, program))(keys)
        counts = np.bincount(np.asarray(drawn).ravel(), minlength=20)
        expected = 4000 * 5 / 20
        deviation = np.sqrt(4000 * 0.25 * 0.75)
        assert np.all(np.abs(counts - expected) < 5 * deviation)


if __name__ == "__main__":
    absltest.main()
