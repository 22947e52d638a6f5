"""FAB against closed forms and a numpy version of a step of Algorithm 1."""

import jax
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks

KEY = jax.random.key(0)
ORDER = {"linf": np.inf, "l2": 2, "l1": 1}


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("targeted_classes", [None, 9])
def test_linear_models_give_the_closed_form(norm, classes, targeted_classes):
    # A move of one coordinate, L1's, must find room in the box.
    size = 400 if norm == "l1" else 40
    fn, weights, bias, x, y = models.linear(7, size, classes, images=12)
    if norm == "l1":
        fn, weights, x, y = near_boundary(weights, bias, x)
    attack = attacks.fab(norm=norm, targeted_classes=targeted_classes, iterations=20)
    out = attack(KEY, fn, x, y)
    expected = models.closed_form(weights, bias, x, y, norm)
    assert out.success.all()
    ratio = np.asarray(out.distance) / expected
    assert ratio.max() < 1.01
    assert ratio.min() > 1
    models.check_result(out, fn, x, y, norm)
    others = max(1, classes - 1)
    steps = 20 * 2 * others if targeted_classes else 20 * (others + 1)
    assert (np.asarray(out.queries) == 1 + steps + 6 + 2).all()
