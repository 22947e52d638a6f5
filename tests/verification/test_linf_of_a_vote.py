"""The exact Linf distances of one trained vote, held to HiGHS and to attacks."""

import jax
import numpy as np
import pytest

from tests.verification.oracles import milp_finds
from zeroone_jax import attacks
from zeroone_jax.verification import Config, measure


@pytest.fixture(scope="module")
def exact(trained):
    with jax.enable_x64(True):
        return measure(*trained.right(1), Config(norm="linf"))


def test_they_are_the_mixed_integer_programs(trained, exact):
    params, x, _ = trained.right(1)
    np.testing.assert_allclose(exact.lower, exact.infimum, rtol=1e-6)
    # HiGHS takes a minute for the farther ones.
    for image in np.argsort(exact.infimum)[10:20]:
        assert not milp_finds(params, x[image], exact.infimum[image] - 1e-6)
        assert milp_finds(params, x[image], exact.infimum[image] + 1e-6)


@pytest.mark.parametrize(
    "attack",
    [
        attacks.surrogate_gradient(epsilon=0.01, iterations=20),
        attacks.hyperplane_crossing(epsilon=0.01),
    ],
)
def test_attacks_stay_above_them(trained, exact, attack):
    found = attack(jax.random.key(0), *trained.right(1))
    assert found.success.any()
    assert (found.distance >= exact.lower)[np.asarray(found.success)].all()
