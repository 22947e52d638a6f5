"""The ramp loss of certified radii, against its definition in NumPy."""

import numpy as np
import pytest

from tests.training.objectives import twin
from zeroone_jax.training import objectives

Y = twin.mostly_right()


def radii(params):
    """The largest of the others is found by real parts: complex steps are tiny."""
    logits = twin.forward(params, twin.X)
    rows = np.arange(len(Y))
    others = logits.real.copy()
    others[rows, Y] = -np.inf
    ahead = logits[rows, Y] - logits[rows, others.argmax(1)]
    return ahead / np.sqrt(2)


@pytest.mark.parametrize(("epsilon", "width"), [(0.5, 0.25), (0.0, 1.0)])
def test_it_is_the_ramp(epsilon, width):
    objective = objectives.certified_margin(epsilon=epsilon, width=width)
    outcome = twin.compiled(objective)(Y)
    np.testing.assert_array_equal(outcome.last, twin.X)

    def loss(params):
        return (1 / (1 + np.exp((radii(params) - epsilon) / width))).mean()

    twin.assert_same(outcome, loss)
    found = radii(twin.PARAMS).real
    assert outcome.metrics["accuracy"] == pytest.approx((found > 0).mean())
    assert outcome.metrics["certified"] == pytest.approx((found > epsilon).mean())


@pytest.mark.parametrize("wrong", [{"epsilon": -0.1}, {"width": 0.0}])
def test_what_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        objectives.certified_margin(**wrong)
