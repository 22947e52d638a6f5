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
RADIUS = 0.8


def sphere(x):
    """Class 1 outside of a ball around the middle of the box."""
    away = x.reshape(len(x), -1) - 0.5
    return (jnp.sum(away * away, axis=1) > RADIUS**2).astype(jnp.int32)


MODELS = {"flat": models.linear, "round": sphere}
CASES = [("flat", False), ("round", False), ("round", True)]


@functools.cache
def walked(name, curved):
    """The states of a walk, and what each step told."""
    attack = attacks.cgba(radius=0.002, curved=curved)
    model = MODELS[name]
    x, _ = models.images(8, 5)
    y = model(x)
    # Starts away from the walls of the box, which would bend the half circles.
    noise = jax.random.rademacher(KEY, x.shape, x.dtype)
    weights = jnp.asarray(models.WEIGHTS).reshape(models.SHAPE)
    away = jnp.where(y == 1, -1, 1)[:, None, None, None] * jnp.sign(weights)[None]
    start = x + 0.15 * noise + (0.15 * away if name == "flat" else 0)
    assert (model(start) != y).all()
    state = attack.init(KEY, model, x, y, start)
    step = jax.jit(lambda state: attack.step(KEY, model, state))
    states, told = [state], []
    for _ in range(4):
        state, info = step(state)
        states.append(state)
        told.append(info)
    return states, told


def leaving(name, x, outward, sideways, distance):
    """The angle at which half circles leave the hits, where no box is in the way.

    Their points are x + d cos(a) (cos(a) outward + sin(a) sideways). Put into the
    boundary's equation and divided by cos(a)^2, they give a quadratic in tan(a):
    here (1 + tan^2) + out + aside tan = 0.
    """
    middle = x - 0.5
    if name == "flat":
        weights = models.WEIGHTS.astype(np.float64)
        here, out, aside = middle @ weights, outward @ weights, sideways @ weights
        here, out, aside = np.sign(-here) * (here, distance * out, distance * aside)
    else:
        here = np.sum(middle**2, 1) - RADIUS**2
        out = distance**2 + 2 * distance * np.sum(middle * outward, 1)
        aside = 2 * distance * np.sum(middle * sideways, 1)
    root = np.sqrt(aside**2 - 4 * here * (here + out))
    return np.arctan((-aside - root) / (2 * here))


@pytest.mark.parametrize(("name", "curved"), CASES)
def test_a_turn_ends_where_the_half_circle_leaves_the_boundary(name, curved):
    states, told = walked(name, curved)
    for (before, after), info in zip(itertools.pairwise(states), told, strict=True):
        x, first, second = (
            np.asarray(array, np.float64).reshape(5, -1)
            for array in (before.x, before.adversary, after.adversary)
        )
        distance = np.linalg.norm(first - x, axis=1)
        outward = (first - x) / distance[:, None]
        rest = second - x - np.sum((second - x) * outward, 1)[:, None] * outward
        sideways = rest / np.linalg.norm(rest, axis=1)[:, None]
        turned = np.asarray(info.angle)
        # Where the box does not bend the half circle.
        walls = np.abs(np.stack([first, second]) - 0.5).max(axis=(0, 2))
        went = (turned > 0) & (walls < 0.499)
        assert went.sum() >= 2
        expected = leaving(name, x, outward, sideways, distance)
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
