"""Carlini and Wagner's attack against closed forms and a numpy version of its moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks, losses

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("size", "classes"),
    [
        (40, 1),
        (40, 2),
        (40, 5),
        pytest.param(3072, 10, marks=pytest.mark.slow("large images")),
    ],
)
def test_linear_models_give_the_closed_form(size, classes):
    fn, weights, bias, x, y = models.linear(7, size, classes, images=8)
    out = attacks.carlini_wagner()(KEY, fn, x, y)
    expected = models.closed_form(weights, bias, x, y, "l2")
    assert out.success.all()
    ratio = np.asarray(out.distance) / expected
    assert ratio.max() < 1.01
    assert ratio.min() > 1
    models.check_result(out, fn, x, y, "l2")


def moves_in_numpy(params, image, y, constant, confidence, targeted, moves):
    """Adam with its usual settings on the objective in tanh space."""
    w = np.arctanh((2 * image - 1) * (1 - 1e-6))
    mean = square = 0.0
    for t in range(1, moves + 1):
        point = (np.tanh(w) + 1) / 2
        z, gradients = models.mlp_in_numpy(params, point)
        other = max((k for k in range(len(z)) if k != y), key=lambda k: z[k])
        lower, higher = (other, y) if targeted else (y, other)
        gradient = 2 * (point - image)
        if z[lower] - z[higher] + confidence > 0:
            gradient += constant * (gradients[lower] - gradients[higher])
        gradient *= (1 - np.tanh(w) ** 2) / 2
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        rate = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        w = w - rate * mean / (np.sqrt(square) + 1e-8 * np.sqrt(1 - 0.999**t))
    return w


@pytest.mark.parametrize("targeted", [False, True])
def test_moves_are_adam_on_the_objective(targeted):
    fn, params, x, y = models.mlp(0)
    y = (y + 1) % 4 if targeted else y
    attack = attacks.carlini_wagner(
        initial_constant=0.5, confidence=0.3, targeted=targeted
    )
    state = attack.init(KEY, fn, x, y)
    step = jax.jit(lambda state: attack.step(KEY, fn, state))
    for moves in (1, 2, 3):
        state, _ = step(state)
        assert not state.found.any()
        for i in range(len(x)):
            expected = moves_in_numpy(
                params, np.float64(x[i]), int(y[i]), 0.5, 0.3, targeted, moves
            )
            np.testing.assert_allclose(state.memory.variable[i], expected, atol=2e-4)


def test_the_constant_grows_tenfold_then_is_bisected():
    fn, _, _, x, y = models.linear(4, images=3)
    # The third is so near that any descent jumps over the boundary at first.
    x, y = x[:2], y[:2]
    attack = attacks.carlini_wagner(iterations=200, initial_constant=1e-4)
    state = attack.init(KEY, fn, x, y)
    step = jax.jit(lambda state: attack.step(KEY, fn, state))
    seen = [[] for _ in x]
    while state.memory.searching.any():
        state, _ = step(state)
        for i in np.flatnonzero(state.memory.searching):
            constant = float(state.memory.search.constant[i])
            if not seen[i] or seen[i][-1] != constant:
                seen[i].append(constant)
    for constants in seen:
        constants = np.array(constants)
        assert len(constants) == attack.search_steps
        growth = constants[1:] / constants[:-1]
        turn = int(np.argmax(growth < 9))
        assert turn > 0
        np.testing.assert_allclose(growth[:turn], 10, rtol=1e-5)
        low, high = constants[turn - 1], constants[turn]
        np.testing.assert_allclose(constants[turn + 1], (low + high) / 2, rtol=1e-5)
        # Every later c lies between the last that failed and the first that worked.
        assert (constants[turn + 1 :] > low).all()
        assert (constants[turn + 1 :] < high).all()


def test_confidence_is_kept():
    fn, _, _, x, y = models.linear(9)
    plain, confident = (
        attacks.carlini_wagner(confidence=k, iterations=200)(KEY, fn, x, y)
        for k in (0.0, 0.5)
    )
    assert confident.success.all()
    assert (losses.margin(fn(confident.adversary), y) >= 0.5).all()
    assert (confident.distance > plain.distance).all()
    models.check_result(confident, fn, x, y, "l2")


def test_images_wrong_already_are_pushed_to_the_confidence():
    fn, _, _, x, y = models.linear(9)
    wrong = (y + 1) % 3
    plain, confident = (
        attacks.carlini_wagner(confidence=k, iterations=200)(KEY, fn, x, wrong)
        for k in (0.0, 0.5)
    )
    np.testing.assert_array_equal(plain.distance, 0)
    assert confident.success.all()
    sure = losses.margin(fn(x), wrong) >= 0.5
    assert 0 < sure.sum() < len(x)
    np.testing.assert_array_equal(confident.distance == 0, sure)
    assert (losses.margin(fn(confident.adversary), wrong) >= 0.5).all()


def test_images_wrong_already_stay_so_where_the_confidence_is_out_of_reach():
    fn, _, _, x, y = models.linear(9)
    attack = attacks.carlini_wagner(confidence=1e3, iterations=5, search_steps=1)
    out = attack(KEY, fn, x, (y + 1) % 3)
    assert out.success.all()
    np.testing.assert_array_equal(out.adversary, x)
    np.testing.assert_array_equal(out.distance, 0)


def test_black_images_are_not_given_up():
    weights = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    bias = np.array([0.0, -1.0, -1.5], np.float32)
    fn = jax.tree_util.Partial(models.linear_logits, weights, bias)
    x = jnp.zeros((2, 2, 6))
    out = attacks.carlini_wagner()(KEY, fn, x, jnp.zeros(2, jnp.int32))
    assert out.success.all()
    nearest = attacks.fab(norm="l2")(KEY, fn, x, jnp.zeros(2, jnp.int32))
    np.testing.assert_allclose(out.distance, nearest.distance, rtol=0.02)


def test_an_image_without_progress_leaves_its_descents_early():
    fn, _, _, x, y = models.linear(3)
    early, late = (
        attacks.carlini_wagner(iterations=100, search_steps=3, abort_early=early)(
            KEY, fn, x, y
        ).queries
        for early in (True, False)
    )
    assert (late == 3 * 100 + 1 + 6 + 2).all()
    assert (early < late).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "linf"}, "norm is 'linf'"),
        ({"iterations": 0}, "iterations is 0"),
        ({"iterations": 2.5}, "iterations is 2.5, but must be a whole number"),
        ({"search_steps": 0}, "search_steps is 0"),
        ({"learning_rate": -0.1}, "learning_rate is -0.1"),
        ({"initial_constant": 0.0}, "initial_constant is 0.0"),
        ({"confidence": -1.0}, "confidence is -1.0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.carlini_wagner(**settings)
