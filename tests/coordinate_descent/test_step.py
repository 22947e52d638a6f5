import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from tests.coordinate_descent import step_oracle
from zeroone_jax import coordinate_descent
from zeroone_jax.coordinate_descent import problem as problems

ROWS, COORDINATES = 60, 12


def small(**changes):
    config = coordinate_descent.Config(
        hidden=4,
        features=5,
        candidates=3,
        hidden_steps=(0.3,),
        search="blind",
        output_candidates=0,
        window=3,
        bins=0,
        acceptance="better",
    )
    return dataclasses.replace(config, **changes)


def make_problem(seed, config, ones=ROWS // 2):
    """Dark images of few levels, so that rows tie, in classes that overlap much.

    Dark ones, because so few rows must lie within 1,024 units for exact windows.
    """
    generator = np.random.default_rng(seed)
    y = np.arange(ROWS) < ones
    x = generator.integers(0, 16, (ROWS, COORDINATES)) + y[:, None] * 2
    order = generator.permutation(ROWS)
    x, y = x[order] / 255, y[order].astype(np.int32)
    return coordinate_descent.prepare(x.astype(np.float32), y, config)


def oracle_of(state, data, weights):
    network = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.network)
    return step_oracle.Oracle(
        np.asarray(data.levels, np.float64),
        np.asarray(data.labels),
        *network,
        np.asarray(weights),
    )


class StepTest(parameterized.TestCase):
    @parameterized.product(
        objective=("plain", "schedule"), acceptance=("better", "not_worse")
    )
    def test_equals_exhaustive_numpy(self, objective, acceptance):
        config = small(objective=objective, acceptance=acceptance, iterations=25)
        data = make_problem(1, config)
        program, tuning = coordinate_descent.split(config)
        state = coordinate_descent.init(jax.random.key(2), data, program)
        step = jax.jit(coordinate_descent.step, static_argnames="program")
        moved = 0
        for iteration in range(25):
            key = jax.random.key(100 + iteration)
            drawn = coordinate_descent.draw_coordinates(key, COORDINATES, program)
            early = state.iteration < tuning.balanced
            weights = problems.class_weights(data, program, early)
            oracle = oracle_of(state, data, weights)
            rows_key, _, unit_key, _ = jax.random.split(key, 4)
            mask = np.asarray(problems.sample_rows(rows_key, data, tuning.rows)) == 1
            unit = int(jax.random.randint(unit_key, (), 0, config.hidden))
            equal_too = acceptance == "not_worse"
            oracle.visit_output(mask, config.output_step, config.window, equal_too)
            oracle.visit_hidden(
                unit, np.asarray(drawn), mask, 0.3, config.window, equal_too
            )
            pocket = np.asarray(state.pocket_correct)

            state, info = step(key, state, data, drawn, program, tuning)

            np.testing.assert_array_equal(state.network.w2, oracle.w2)
            np.testing.assert_array_equal(state.network.t2, oracle.t2)
            np.testing.assert_array_equal(state.network.w1, oracle.w1)
            np.testing.assert_array_equal(state.network.t1, oracle.t1)
            correct = np.array(oracle.correct())
            better = (weights * correct).sum() > (weights * pocket).sum()
            expected = correct if better else pocket
            np.testing.assert_array_equal(state.pocket_correct, expected)
            moved += int(info.weight_moves)
        assert moved >= 5

    @parameterized.parameters("paper_2020", "default", "scdce", "01bnn", "cebnn")
    @pytest.mark.slow("compiles a program a preset")
    def test_invariants_of_presets(self, name):
        config = dataclasses.replace(
            coordinate_descent.PRESETS[name](), hidden=5, features=8
        )
        data = make_problem(3, config)
        program, tuning = coordinate_descent.split(config)
        state = coordinate_descent.init(jax.random.key(0), data, program)
        step = jax.jit(coordinate_descent.step, static_argnames="program")
        best = int(jnp.sum(state.pocket_correct))
        for iteration in range(30):
            key = jax.random.key(iteration)
            drawn = coordinate_descent.draw_coordinates(key, COORDINATES, program)
            state, info = step(key, state, data, drawn, program, tuning)
            chex.assert_trees_all_equal(
                state.projection, state.network.w1 @ data.levels
            )
            for weights in (state.network.w1, state.network.w2):
                np.testing.assert_array_equal(weights, np.rint(weights))
            assert np.all(np.asarray(state.network.t1) % 1 == 0.5)
            assert float(state.network.t2) % 1 == 0.5
            accuracy = float(info.pocket_accuracy) * ROWS
            np.testing.assert_allclose(accuracy, jnp.sum(state.pocket_correct))
            best = max(best, int(accuracy))
        chex.assert_trees_all_equal(state.iteration, jnp.int32(30))
        pocket = problems.correct_rows(
            data, coordinate_descent_predict(state.pocket, data)
        )
        np.testing.assert_array_equal(pocket, state.pocket_correct)
        assert int(jnp.sum(state.pocket_correct)) > ROWS * 0.7

    def test_growing_weights_are_halved(self):
        config = small(hidden_steps=(0.9,), acceptance="not_worse")
        data = make_problem(4, config)
        program, tuning = coordinate_descent.split(config)
        state = coordinate_descent.init(jax.random.key(0), data, program)
        step = jax.jit(coordinate_descent.step, static_argnames="program")
        for iteration in range(60):
            key = jax.random.key(iteration)
            drawn = coordinate_descent.draw_coordinates(key, COORDINATES, program)
            state, _ = step(key, state, data, drawn, program, tuning)
            norms = np.linalg.norm(state.network.w1, axis=1)
            assert norms.max() < 513
        chex.assert_trees_all_equal(state.projection, state.network.w1 @ data.levels)

    @parameterized.parameters(
        ({}, {"hidden_steps": (0.2,), "output_step": 0.4, "rows": 0.5}),
        (
            {"hidden": 0, "adversarial_step": 1.0},
            {"hidden_steps": (0.2,), "adversarial_step": 0.1, "rows": 0.5},
        ),
    )
    @pytest.mark.slow("compiles for other settings")
    def test_one_trace_for_all_numbers(self, changes, numbers):
        config = small(**changes)
        data = make_problem(5, config)
        program, _ = coordinate_descent.split(config)
        state = coordinate_descent.init(jax.random.key(0), data, program)
        chex.clear_trace_counter()
        step = jax.jit(
            chex.assert_max_traces(coordinate_descent.step, n=1),
            static_argnames="program",
        )
        for iteration, tuned in enumerate([{}, numbers]):
            key = jax.random.key(iteration)
            drawn = coordinate_descent.draw_coordinates(key, COORDINATES, program)
            settings = dataclasses.replace(config, **tuned)
            state, _ = step(
                key, state, data, drawn, *coordinate_descent.split(settings)
            )

    def test_jit_equals_eager(self):
        config = small()
        data = make_problem(6, config)
        program, tuning = coordinate_descent.split(config)
        key = jax.random.key(0)
        state = coordinate_descent.init(key, data, program)
        drawn = coordinate_descent.draw_coordinates(key, COORDINATES, program)
        eager, _ = coordinate_descent.step(key, state, data, drawn, program, tuning)
        step = jax.jit(coordinate_descent.step, static_argnames="program")
        jitted, _ = step(key, state, data, drawn, program, tuning)
        chex.assert_trees_all_equal(eager, jitted)


def coordinate_descent_predict(network, data):
    hidden = network.w1 @ data.levels > network.t1[:, None]
    return network.w2 @ hidden.astype(jnp.float32) > network.t2


if __name__ == "__main__":
    absltest.main()
