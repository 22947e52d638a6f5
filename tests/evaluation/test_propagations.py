"""Propagations are what attacks are known to take, step by step."""

import jax
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks
from zeroone_jax.evaluation import propagations

KEY = jax.random.key(0)


SLOW = pytest.mark.slow("the same of other attacks")


@pytest.mark.parametrize(
    ("attack", "forward", "backward"),
    [
        # At the image; 20 points; six looks; and the frame's two.
        (attacks.ddn(iterations=20, chunk=2), 1 + 20 + 6 + 2, 1 + 20),
        # Every step takes the slopes of three other classes, and looks where it led to.
        pytest.param(
            attacks.fab(norm="l2", iterations=5),
            1 + 5 + (5 + 6) + 2,
            1 + 3 * 5,
            marks=SLOW,
        ),
        # As many as it has queries: no image waits for another.
        pytest.param(attacks.ray_s(max_queries=30), 28, 0, marks=SLOW),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_propagations(attack, forward, backward):
    fn, _, x, y = models.mlp(4)
    found, counted = propagations.count(attack, KEY, fn, x, y)
    assert counted == (forward, backward)
    model = fn if attack.needs == "logits" else attacks.as_label_fn(fn)
    plain = attack(KEY, model, x, y)
    np.testing.assert_allclose(found.distance, plain.distance, rtol=1e-5)
