"""Sign-OPT's descent against its estimate written plainly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(0)


def plain(outward, points, hit, radius):
    """The mean of orthogonal changes of a direction, with the signs they were given."""
    changes = points * np.sqrt(1 + radius**2) / np.linalg.norm(points, axis=1)[:, None]
    changes = (changes - outward) / radius
    sign = np.where(hit, 1.0, -1.0)
    estimate = (sign - sign.mean()) @ changes
    return estimate / np.linalg.norm(estimate)


def at_boundary(state):
    """The state with its adversaries as near the boundary as floats come."""
    ends = [np.asarray(one, np.float64) for one in (state.x, state.adversary)]
    heights = [(end.reshape(len(end), -1) - 0.5) @ models.WEIGHTS for end in ends]
    share = (1 + 1e-5) * heights[0] / (heights[0] - heights[1])
    move = share[:, None, None, None] * (ends[1] - ends[0])
    point = jnp.asarray(ends[0] + move, state.x.dtype)
    memory = state.memory._replace(distance=size(point - state.x, "l2"))
    return state._replace(adversary=point, memory=memory)


def test_a_step_compares_directions_and_goes_the_mean_way():
    x, y = models.images(8, 3)
    attack = attacks.sign_opt(directions=32, radius=0.3)
    start = models.far_start("flat", x, y)
    state = at_boundary(attack.init(KEY, models.linear, x, y, start))
    asked = []

    def recorded(points):
        hits = models.linear(points)
        jax.debug.callback(
            lambda *seen: asked.append([np.asarray(one) for one in seen]), points, hits
        )
        return hits

    with jax.disable_jit():
        after, info = attack.step(KEY, recorded, state)
    points, labels = asked[0]
    x, before, found = (
        np.asarray(one, np.float64).reshape(3, -1)
        for one in (x, state.adversary, after.adversary)
    )
    moves = points.reshape(3, 32, -1) - x[:, None]
    distance = np.linalg.norm(before - x, axis=1)
    # Directions are compared where the boundary is in the first one.
    sizes = np.linalg.norm(moves, axis=2)
    np.testing.assert_allclose(sizes, distance[:, None] * np.ones((1, 32)), rtol=0.01)
    hit = labels.reshape(3, 32) != np.asarray(y)[:, None]
    np.testing.assert_allclose(info.hit_share, hit.mean(axis=1), rtol=1e-5)
    step = np.asarray(info.step)
    assert (step > 0).all()
    np.testing.assert_allclose(np.log2(step), np.round(np.log2(step)), atol=1e-5)
    for image in range(3):
        outward = (before - x)[image] / distance[image]
        normal = plain(outward, moves[image], hit[image], 0.3)
        weights = models.WEIGHTS * (1 if y[image] == 0 else -1)
        # The boundary comes nearer along what the direction lacks of its normal.
        lacking = weights - (weights @ outward) * outward
        assert normal @ lacking > 0.4 * np.linalg.norm(lacking)
        direction = outward + step[image] * normal
        direction /= np.linalg.norm(direction)
        went = (found - x)[image]
        assert went @ direction > (1 - 1e-4) * np.linalg.norm(went)
        # As near as the boundary is there.
        exact = abs((x[image] - 0.5) @ weights) / (direction @ weights)
        np.testing.assert_allclose(np.linalg.norm(went), exact, rtol=0.06)
    used = np.asarray(after.queries - state.queries)
    assert (used >= 32 + 1).all()
    assert (used <= 32 + 12 + 5).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"directions": 0}, "directions is 0, but must be a whole number"),
        ({"radius": -1.0}, "radius is -1.0, but must be above 0"),
        ({"norm": "linf"}, "norm is 'linf', but must be one of 'l2'"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        attacks.sign_opt(**setting)
