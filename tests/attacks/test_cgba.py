"""CGBA's turn against closed forms, on a flat and on a round boundary."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(0)


MODELS = {"flat": models.linear, "round": models.sphere}
CASES = [("flat", False), ("round", False), ("round", True)]


@functools.cache
def walked(name, curved):
    """The states of a walk, and what each step told."""
    attack = attacks.cgba(radius=0.002, curved=curved)
    model = MODELS[name]
    x, _ = models.images(8, 5)
    y = model(x)
    start = models.far_start(name, x, y)
    assert (model(start) != y).all()
    state = attack.init(KEY, model, x, y, start)
    step = jax.jit(lambda state: attack.step(KEY, model, state))
    states, told = [state], []
    for _ in range(4):
        state, info = step(state)
        states.append(state)
        told.append(info)
    return states, told


@pytest.mark.parametrize(("name", "curved"), CASES)
def test_a_turn_ends_where_the_half_circle_leaves_the_boundary(name, curved):
    states, told = walked(name, curved)
    for (before, after), info in zip(itertools.pairwise(states), told, strict=True):
        circle, distance = models.half_circle(before, after)
        turned = np.asarray(info.angle)
        # Where the box does not bend the half circle.
        went = (turned > 0) & models.inside(before, after)
        assert went.sum() >= 2
        expected = models.leaving(name, *circle, distance)
        np.testing.assert_allclose(turned[went], expected[went], atol=1e-3)
        shorter = distance * np.cos(turned)
        found = np.asarray(after.memory.distance)
        if curved:
            # It came back on the way to the image as well.
            assert (found <= shorter * (1 + 1e-5)).all()
        else:
            np.testing.assert_allclose(found[went], shorter[went], rtol=1e-4)


@pytest.mark.parametrize(("name", "curved"), CASES)
def test_a_step_asks_for_directions_and_turns(name, curved):
    states, told = walked(name, curved)
    for step, (before, after) in enumerate(itertools.pairwise(states), 1):
        directions = int(np.float32(30) * np.sqrt(np.float32(step)))
        used = np.asarray(after.queries - before.queries)
        assert (used >= directions + 1).all()
        # 12 tries of an angle, and halvings of it, and of the way to the image.
        assert (used <= directions + 12 + 14 + (14 if curved else 0)).all()
        np.testing.assert_array_equal(
            after.memory.distance, size(after.adversary - after.x, "l2")
        )
    assert [float(info.radius[0]) for info in told] == pytest.approx([0.002] * 4)


def test_directions_widen():
    attack = attacks.cgba(frequencies=3, widening=5)
    x, y = models.images(8, 5)
    state = jax.eval_shape(lambda: attack.init(KEY, models.linear, x, y))
    numbers = [
        int(attack.widened(state._replace(iteration=jnp.asarray(iteration))))
        for iteration in (0, 4, 5, 10)
    ]
    assert numbers == [3, 5, 6, 12]
    assert attacks.cgba(frequencies=3, widening=0).widened(state) is None
    assert attacks.cgba().widened(state) is None
