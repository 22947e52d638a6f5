"""SurFree's turns against closed forms, on a flat and on a round boundary."""

import jax
import numpy as np
import pytest

from tests.attacks import decision_models as models
from zeroone_jax import attacks
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(0)
MODELS = {"flat": models.linear, "round": models.sphere}


@pytest.mark.parametrize("name", MODELS)
def test_a_turn_goes_on_to_where_the_half_circle_leaves_the_boundary(name):
    attack = attacks.surfree()
    model = MODELS[name]
    x, _ = models.images(8, 5)
    y = model(x)
    start = models.far_start(name, x, y)
    state = attack.init(KEY, model, x, y, start)
    step = jax.jit(lambda state: attack.step(KEY, model, state))
    whole = 0
    for _ in range(8):
        before = state
        state, info = step(state)
        used = np.asarray(state.queries - before.queries)
        # Six tries, and halvings of twice the angle to .05 of it.
        assert (used >= 1).all()
        assert (used <= 6 + 6).all()
        turned, tried = np.abs(np.asarray(info.angle)), np.asarray(info.tried)
        assert ((used == 6) | (turned > 0)).all()
        went = (turned > 0) & models.inside(before, state)
        circle, distance = models.half_circle(before, state)
        expected = models.leaving(name, *circle, distance)
        assert (turned <= expected + 1e-3)[went].all()
        # Or as far as it looks.
        reached = (turned >= expected - 0.05 * tried) | (turned > 1.9 * tried)
        assert reached[went].all()
        whole += went.sum()
        found = np.asarray(state.memory.distance)
        np.testing.assert_allclose(
            found[went], (distance * np.cos(turned))[went], rtol=1e-4
        )
        np.testing.assert_allclose(found, size(state.adversary - x, "l2"), rtol=1e-6)
    assert whole > 15


def test_the_angle_follows_success():
    attack = attacks.surfree(angle=0.2)
    x, y = models.images(8, 5)
    start = models.far_start("flat", x, y)
    state = attack.init(KEY, models.linear, x, y, start)
    seen = set()
    step = jax.jit(lambda state: attack.step(KEY, models.linear, state))
    for _ in range(6):
        before = state
        state, info = step(state)
        ratio = np.asarray(state.memory.angle / before.memory.angle)
        none = np.asarray(info.angle) == 0
        np.testing.assert_allclose(ratio[none], 0.8, rtol=1e-5)
        seen |= set(np.round(ratio.astype(float), 3))
    assert seen >= {0.8, 1.4}
    assert seen <= {0.8, 1.0, 1.4}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"angle": 1.6}, r"angle is 1.6, but must be in \(0,1.5\]"),
        ({"tolerance": 0.0}, r"tolerance is 0.0, but must be in \(0,1\)"),
        ({"max_queries": None}, "SurFree has no other end"),
        ({"widening": -1}, "widening is -1, but must be a whole number"),
        ({"norm": "linf"}, "norm is 'linf', but must be one of 'l2'"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        attacks.surfree(**setting)
