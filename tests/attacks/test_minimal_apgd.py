"""AutoPGD's bisection: its climbs are AutoPGD's, its radii those of a bisection."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from tests.attacks.test_hyperplane import ORDER
from zeroone_jax import attacks

KEY = jax.random.key(0)
DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


def trials_of(attack, fn, x, y, count):
    """The states before each trial, and after the last of so many."""
    state = jax.jit(attack.init)(KEY, fn, x, y)
    step = jax.jit(attack.step)
    states = [state]
    while len(states) <= count:
        state, _ = step(KEY, fn, state)
        if state.memory.trials == len(states):
            states.append(state)
    return states


@pytest.mark.parametrize(
    "norm",
    ["linf", *(pytest.param(n, marks=pytest.mark.slow("again")) for n in ("l2", "l1"))],
)
def test_radii_are_bisected_and_climbs_are_those_of_apgd(norm):
    fn, params, x, y = models.mlp(4)
    attack = attacks.minimal_apgd(norm=norm, iterations=9)
    states = trials_of(attack, fn, x, y, 8)
    first = states[0].memory.trial.epsilon
    for i, image in enumerate(np.float64(x)):
        margin, slope = models.margin_in_numpy(params, image, int(y[i]))
        boundary = -margin / np.linalg.norm(slope, DUAL[norm])
        np.testing.assert_allclose(first[i], 1.5 * boundary, rtol=1e-4)
    if norm != "l1":
        # In L1 it climbs in more than one phase.
        apgd = attacks.apgd(norm=norm, epsilon=first, iterations=9)
        wanted = apgd(KEY, fn, x, y, start=x)
        np.testing.assert_array_equal(states[1].found, wanted.success)
        found = np.asarray(wanted.success)
        assert found.any()
        np.testing.assert_allclose(
            states[1].adversary[found], wanted.adversary[found], atol=1e-6
        )
    low, high = np.zeros(len(x)), np.full(len(x), np.inf)
    for before, after in itertools.pairwise(states):
        epsilon = np.asarray(before.memory.trial.epsilon)
        going = np.asarray(before.active)
        length = np.linalg.norm(np.asarray(after.adversary - x), ORDER[norm], axis=1)
        hit = going & np.asarray(after.found) & (length < high * (1 - 1e-6))
        high = np.where(hit, length, high)
        assert (length[hit] <= epsilon[hit]).all()
        # A radius fails once it was tried again.
        first_try = np.asarray(before.memory.trial.again) == 0
        low = np.where(going & ~hit & ~first_try, epsilon, low)
        middle = np.where(np.isfinite(high), (low + high) / 2, 2 * epsilon)
        middle = np.where(~hit & first_try, epsilon, middle)
        again = np.asarray(after.memory.trial.again) == 1
        np.testing.assert_array_equal(again[going], (~hit & first_try)[going])
        chosen = np.asarray(after.memory.trial.epsilon)
        left = np.asarray(after.active)
        np.testing.assert_allclose(chosen[left], middle[left], rtol=1e-5)
        start = np.asarray(after.memory.trial.climb.point - x)
        assert (np.linalg.norm(start, ORDER[norm], axis=1) <= chosen).all()
    assert states[-1].found.all()
    assert (low > 0).any()


@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.slow("compiles for two models")
def test_where_the_whole_box_fails_it_ends(restarts):
    _, weights, bias, x, _ = models.linear(1, classes=2)
    flat = jax.tree_util.Partial(
        models.linear_logits, jnp.zeros_like(weights), jnp.asarray([1.0, 0.0])
    )
    del bias
    y = jnp.zeros(len(x), jnp.int32)
    attack = attacks.minimal_apgd(norm="linf", iterations=9, restarts=restarts)
    out = attack(KEY, flat, x, y)
    assert not out.success.any()
    # The image, the climbs in the whole box, and the frame's two.
    assert (out.queries == 1 + 10 * (1 + restarts) + 2).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "l0"}, "norm is 'l0'"),
        ({"iterations": 0}, "iterations is 0"),
        ({"restarts": 0}, "restarts is 0"),
        ({"trials": 1.5}, "trials is 1.5, but must be a whole number"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.minimal_apgd(**settings)
