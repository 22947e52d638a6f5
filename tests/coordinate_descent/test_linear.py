import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from zeroone_jax import coordinate_descent
from zeroone_jax.coordinate_descent import Config, draw_coordinates, linear, split
from zeroone_jax.coordinate_descent.problem import sample_rows

COORDINATES, ROWS = 8, 90
CLEAN = Config(
    hidden=0,
    iterations=20,
    rows=0.5,
    search="blind",
    features=4,
    candidates=1,
    hidden_steps=(0.5,),
    bins=0,
    objective="plain",
)
ADVERSARIAL = dataclasses.replace(CLEAN, adversarial_step=0.3)


init = jax.jit(coordinate_descent.init, static_argnames="program")


def draw_rows(seed=0):
    """Levels i32 [n, d] and labels that lean on the first coordinates."""
    generator = np.random.default_rng(seed)
    levels = generator.integers(0, 256, (ROWS, COORDINATES))
    score = levels[:, :3].sum(axis=1) + generator.normal(0, 60, ROWS)
    return levels, (score > np.quantile(score, 0.6)).astype(int)


def start(config, seed=0):
    levels, labels = draw_rows(seed)
    data = coordinate_descent.prepare(levels / np.float32(255), labels, config)
    return data, init(jax.random.key(seed), data, split(config)[0])


@functools.partial(jax.jit, static_argnames="config")
def step(key, state, data, config):
    program, tuning = split(config)
    drawn = draw_coordinates(key, COORDINATES, program)
    return linear.step(key, state, data, drawn, program, tuning)


def steps(config, seed=0, count=20):
    """Pairs of states before and after each of some steps, with their `Info`."""
    data, state = start(config, seed)
    for index in range(count):
        key = jax.random.fold_in(jax.random.key(seed), index)
        after, info = step(key, state, data, config)
        yield state, after, info
        state = after


def adversaries(levels, labels, weights, size):
    """Rows clip(x - s y w, 0, 1) of unit weights w, in whole levels."""
    weights = np.asarray(weights, np.float64)
    shift = np.rint(255 * size * weights / np.linalg.norm(weights))
    return np.clip(levels - np.outer(2 * labels - 1, shift), 0, 255)


def count_correct(network, levels, labels):
    """Rows of class 0 and of class 1 that a linear network gets right."""
    predicted = levels @ np.asarray(network.w1[0], np.float64) > float(network.t1[0])
    return [int(np.sum(predicted[labels == label] == label)) for label in (0, 1)]


class AdversarialRowsTest(parameterized.TestCase):
    @parameterized.product(size=(0.02, 0.3, 1.0), seed=(0, 1))
    def test_are_clipped_steps_against_the_label(self, size, seed):
        levels, labels = draw_rows(seed)
        config = dataclasses.replace(CLEAN, adversarial_step=size)
        data, state = start(config, seed)
        weights = state.network.w1[0]
        shift = linear._adversarial_shift(weights, split(config)[1])
        moved = np.asarray(linear._adversarial_levels(data.levels, shift, data.labels))
        np.testing.assert_array_equal(moved, np.rint(moved))

        unit = np.asarray(weights, np.float64)
        unit /= np.linalg.norm(unit)
        signs = 2 * labels - 1
        exact = np.clip(levels / 255 - size * signs[:, None] * unit[None, :], 0, 1)
        np.testing.assert_allclose(moved.T, 255 * exact, atol=0.5001)
        assert np.any(moved == 0)
        assert np.any(moved != np.asarray(data.levels))

        projection = linear._adversarial_projection(weights, shift, data)
        expected = np.asarray(weights, np.float64) @ moved
        np.testing.assert_array_equal(projection, expected)

    def test_hurt_the_network_they_are_made_for(self):
        levels, labels = draw_rows()
        network = start(ADVERSARIAL)[1].network
        moved = adversaries(levels, labels, network.w1[0], 0.3)
        clean = count_correct(network, levels, labels)
        assert np.all(np.array(count_correct(network, moved, labels)) <= clean)


class StepTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("clean", CLEAN),
        ("adversarial", ADVERSARIAL),
        (
            "screened_adversarial_windowed",
            dataclasses.replace(ADVERSARIAL, search="screened", window=3),
        ),
    )
    def test_pocket_is_recounted_and_never_falls(self, config):
        levels, labels = draw_rows()
        rows = ROWS * (2 if config.adversarial_step else 1)
        improved = 0
        for before, after, info in steps(config):
            correct = np.asarray(after.pocket_correct)
            if correct.sum() == np.sum(before.pocket_correct):
                np.testing.assert_array_equal(correct, before.pocket_correct)
                np.testing.assert_array_equal(after.pocket.w1, before.pocket.w1)
                np.testing.assert_array_equal(after.pocket.t1, before.pocket.t1)
            else:
                assert correct.sum() > np.sum(before.pocket_correct)
                expected = np.array(count_correct(after.pocket, levels, labels))
                if config.adversarial_step:
                    moved = adversaries(
                        levels, labels, before.network.w1[0], config.adversarial_step
                    )
                    expected += count_correct(after.pocket, moved, labels)
                np.testing.assert_array_equal(correct, expected)
                improved += 1
            np.testing.assert_allclose(info.pocket_accuracy, correct.sum() / rows)
        assert improved >= 2

    @parameterized.named_parameters(("clean", CLEAN), ("adversarial", ADVERSARIAL))
    def test_moves_only_the_unit_on_the_lattice(self, config):
        levels, _ = draw_rows()
        for before, after, info in steps(config, count=10):
            weights = np.asarray(after.network.w1[0], np.float64)
            np.testing.assert_array_equal(weights, np.rint(weights))
            assert float(after.network.t1[0]) % 1 == 0.5
            assert after.projection.shape == (1, ROWS)
            np.testing.assert_array_equal(after.projection[0], levels @ weights)
            old = np.asarray(before.network.w1[0])
            if np.linalg.norm(weights) > 0.7 * np.linalg.norm(old):
                assert np.count_nonzero(weights != old) == int(info.weight_moves)
            assert bool(info.accepted_hidden) == (info.weight_moves > 0)
            assert not info.accepted_output
            moved = bool(after.network.t1[0] != before.network.t1[0])
            assert int(info.threshold_moves) == int(moved)
            assert after.iteration == before.iteration + 1
            np.testing.assert_array_equal(after.network.w2, before.network.w2)
            assert after.network.t2 == before.network.t2

    @parameterized.named_parameters(("clean", CLEAN), ("adversarial", ADVERSARIAL))
    def test_rows_outside_the_sample_do_not_matter(self, config):
        data, state = start(config)
        elsewhere = jnp.asarray(draw_rows(seed=1)[0].T, jnp.float32)
        for seed in range(10):
            key = jax.random.key(seed)
            rows_key, _ = jax.random.split(key)
            sampled = sample_rows(rows_key, data, split(config)[1].rows)
            levels = jnp.where(sampled[None, :] == 1, data.levels, elsewhere)
            other = state._replace(projection=state.network.w1 @ levels)
            first, _ = step(key, state, data, config)
            second, _ = step(key, other, data._replace(levels=levels), config)
            np.testing.assert_array_equal(first.network.w1, second.network.w1)

    def test_weights_that_outgrow_the_lattice_are_halved(self):
        levels, _ = draw_rows()
        halved = 0
        for before, after, _ in steps(CLEAN):
            lengths = [
                np.linalg.norm(np.asarray(state.network.w1[0], np.float64))
                for state in (before, after)
            ]
            halved += lengths[1] < 0.7 * lengths[0]
            assert lengths[1] <= 512
            weights = np.asarray(after.network.w1[0], np.float64)
            np.testing.assert_array_equal(after.projection[0], levels @ weights)
        assert halved > 0

    def test_learns(self):
        *_, (_, after, info) = steps(CLEAN, count=200)
        levels, labels = draw_rows()
        assert sum(count_correct(after.pocket, levels, labels)) > 0.85 * ROWS
        assert info.pocket_accuracy > 0.85


if __name__ == "__main__":
    absltest.main()
