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


@pytest.mark.parametrize(
    ("epoch", "width"), [(0, 4.0), (1, 2.0), (2, 1.0), (3, 0.5), (9, 0.5)]
)
@pytest.mark.parametrize("epsilon", [0.0, 0.7])
def test_it_is_the_ramp(epsilon, epoch, width):
    """From 4 to .5 in three epochs, each of which halves the width."""
    objective = objectives.certified_margin(
        epsilon=epsilon, width=0.5, first_width=4.0, anneal=3.0
    )
    outcome = twin.compiled(objective)(Y, epoch)
    np.testing.assert_array_equal(outcome.last, twin.X)

    def loss(params):
        return (1 / (1 + np.exp((radii(params) - epsilon) / width))).mean()

    twin.assert_same(outcome, loss)
    found = radii(twin.PARAMS).real
    assert outcome.metrics["accuracy"] == pytest.approx((found > 0).mean())
    assert outcome.metrics["certified"] == pytest.approx((found > epsilon).mean())


def test_without_annealing_the_width_is_its_own_at_once():
    objective = objectives.certified_margin(epsilon=0.1, width=0.5, anneal=0.0)
    outcome = twin.compiled(objective)(Y)
    expected = 1 / (1 + np.exp((radii(twin.PARAMS) - 0.1) / 0.5))
    np.testing.assert_allclose(outcome.loss, expected.mean(), rtol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [{"epsilon": -0.1}, {"width": 0.0}, {"first_width": -1.0}, {"anneal": -1.0}],
)
def test_what_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        objectives.certified_margin(**wrong)
