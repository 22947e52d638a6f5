"""The exact Linf distances of one trained vote, held to HiGHS and to attacks."""

import jax
import numpy as np
import pytest

from tests.verification.oracles import milp_finds
from zeroone_jax import attacks
from zeroone_jax.verification import Config, measure


@pytest.fixture(scope="module")
def right(trained):
    """A vote, and twelve images that it labels right."""
    with jax.enable_x64(True):
        params, x, y = trained.right(1)
    return params, x[:12], y[:12]


@pytest.fixture(scope="module")
def exact(right):
    with jax.enable_x64(True):
        return measure(*right, Config(norm="linf"))


def test_they_are_the_mixed_integer_programs(right, exact):
    params, x, _ = right
    np.testing.assert_allclose(exact.lower, exact.infimum, rtol=1e-6)
    # HiGHS takes a minute for the farther ones, and seconds for these.
    for image in np.argsort(exact.infimum)[1:4]:
        assert not milp_finds(params, x[image], exact.infimum[image] - 1e-6)
        assert milp_finds(params, x[image], exact.infimum[image] + 1e-6)


@pytest.mark.parametrize(
    "attack",
    [
        attacks.surrogate_gradient(epsilon=0.01, iterations=20),
        attacks.hyperplane_crossing(epsilon=0.01),
    ],
)
def test_attacks_stay_above_them(right, exact, attack):
    found = attack(jax.random.key(0), *right)
    assert found.success.any()
    assert (found.distance >= exact.lower)[np.asarray(found.success)].all()
