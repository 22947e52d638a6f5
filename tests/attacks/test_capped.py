"""Attacks take the propagations that a cap allows, and no more."""

import jax
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from zeroone_jax.attacks import capped
from zeroone_jax.evaluation import propagations

CAP = 120


def test_each_norm_has_its_attacks():
    names = {norm: set(capped.attacks(norm, 2000)) for norm in ("linf", "l1")}
    assert names["linf"] == {"minimal_apgd", "pdpgd", "fmn", "fab", "deep_fool"}
    assert names["l1"] == {"minimal_apgd", "pdpgd", "fmn", "fab"}
    assert set(capped.attacks("l0", 2000)) == {"sigma_zero", "fmn", "pdpgd"}
    assert set(capped.attacks("l0_pixels", 2000)) == {"sigma_zero", "fmn"}
    for norm in ("linf", "l1", "l0", "l0_pixels", "l2"):
        made = capped.attacks(norm, 2000)
        assert all(attack.name == name for name, attack in made.items())
        assert {attack.norm for attack in made.values()} == {norm}


# What DDN and FAB take is counted in tests/evaluation/test_propagations.py.
@pytest.mark.parametrize(
    "name",
    ["minimal_apgd", pytest.param("super_deep_fool", marks=pytest.mark.slow("again"))],
)
def test_the_cap_is_kept(name):
    fn, _, x, y = models.mlp(4)
    attack = capped.attacks("l2", CAP, classes=4)[name]
    _, counted = propagations.count(attack, jax.random.key(0), fn, x, y)
    assert sum(counted) <= CAP
    assert counted.backward > 1


def test_what_the_cap_leaves_is_used():
    made = capped.attacks("l2", CAP, classes=4)
    # By hand: 6 looks, 2 of the frame, and at the image one forward and one back.
    assert made["ddn"].iterations == (CAP - 10) // 2
    assert made["fab"].iterations == (CAP - 10) // (2 + 3)
    # It looks at one point more than it makes moves.
    assert made["deep_fool"].iterations == (CAP - 10) // (1 + 3) - 1
    assert made["minimal_apgd"].iterations == (CAP - 10) // 40 - 1


def test_a_higher_cap_is_more_iterations():
    few, many = (capped.attacks("l2", cap) for cap in (300, 3000))
    for name, attack in few.items():
        ratio = many[name].iterations / attack.iterations
        np.testing.assert_allclose(ratio, 10, rtol=0.5)


@pytest.mark.parametrize(
    ("norm", "cap", "classes", "message"),
    [
        ("l3", 2000, 10, "norm is 'l3'"),
        ("l2", 0, 10, "cap is 0"),
        ("l2", 60, 10, "too few for one iteration of minimal_apgd"),
        ("l2", 2000, 1, "classes is 1"),
    ],
)
def test_what_cannot_be(norm, cap, classes, message):
    with pytest.raises(ValueError, match=message):
        capped.attacks(norm, cap, classes)
