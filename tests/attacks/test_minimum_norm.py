"""What all attacks that descend to the nearest adversary have in common."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import compiling
from tests.attacks import minimum_distance as models
from zeroone_jax import attacks, losses
from zeroone_jax.attacks import minimum_norm

KEY = jax.random.key(3)
ATTACKS = {
    "ddn": attacks.ddn(),
    "fmn-linf": attacks.fmn(norm="linf"),
    "fmn-l2": attacks.fmn(norm="l2"),
    "fmn-l1": attacks.fmn(norm="l1"),
    "fmn-l0": attacks.fmn(norm="l0"),
    "sigma_zero": attacks.sigma_zero(),
    "pdgd": attacks.pdgd(),
    "pdpgd-linf": attacks.pdpgd(norm="linf"),
    "pdpgd-l2": attacks.pdpgd(norm="l2"),
    "pdpgd-l1": attacks.pdpgd(norm="l1"),
    "pdpgd-l0": attacks.pdpgd(norm="l0"),
    "minimal_apgd-linf": attacks.minimal_apgd(norm="linf"),
    "minimal_apgd-l2": attacks.minimal_apgd(norm="l2"),
    "minimal_apgd-l1": attacks.minimal_apgd(norm="l1"),
    "super_deep_fool": attacks.super_deep_fool(),
}
QUICK = {
    "ddn",
    "fmn-l1",
    "fmn-l0",
    "sigma_zero",
    "pdgd",
    "pdpgd-linf",
    "pdpgd-l0",
    "minimal_apgd-linf",
    "super_deep_fool",
}
TARGETED_QUICKLY = {"ddn", "sigma_zero", "minimal_apgd-linf", "super_deep_fool"}


def some_slow(quick):
    """Parametrizes by all names, of which only the quick ones are in `make test`."""
    again = pytest.mark.slow("the same of every attack")
    values = [
        pytest.param(name, marks=() if name in quick else again) for name in ATTACKS
    ]
    return pytest.mark.parametrize("name", values)


def wrong_at_once(y):
    return y.at[2].set(1 - y[2])


@some_slow(QUICK)
def test_linear_models_give_the_least_distance(name):
    """The optimum in the box, which none undercuts; in any company and order.

    Other numbers compile nothing.
    """
    attack = ATTACKS[name]
    for seed in range(3):
        # Images in all the box, black and white values among them.
        fn, weights, bias, x, y = models.linear(seed, classes=2, low=0, high=1)
        x = jnp.where(x < 0.2, 0, jnp.where(x > 0.8, 1, x))
        y = wrong_at_once(losses.labels(fn(x)))
        out = attack(KEY, fn, x, y)
        models.check_result(out, fn, x, y, attack.norm)
        right = np.arange(len(x)) != 2
        least = models.least_in_the_box(weights, bias, x, y, attack.norm)[right]
        found = np.asarray(out.distance)[right]
        assert (found >= least * (1 - 1e-6)).all()
        if attack.norm == "l0":
            assert (found <= least + 1).all()
        else:
            assert (found <= 1.25 * least).all()
            assert np.median(found / least) < 1.01
    numbers = {
        field.name: getattr(attack, field.name) * 1.01
        for field in dataclasses.fields(attack)
        if isinstance(getattr(attack, field.name), float)
    }
    # To make a key may compile.
    other_key = jax.random.key(4)
    with compiling.compiling_nothing():
        dataclasses.replace(attack, **numbers)(other_key, fn, x, y)
    order = jnp.array([3, 1, 5, 0])
    other = attack.watch(KEY, fn, x[order], y[order], room=6).result
    np.testing.assert_array_equal(other.queries, out.queries[order])
    np.testing.assert_allclose(other.distance, out.distance[order], rtol=2e-4)
    if isinstance(attack, minimum_norm.MinimumNorm):
        looks = 1 + attack.iterations + (0 if attack.norm == "l0" else 6) + 2
        assert (np.asarray(out.queries)[right] == looks).all()


@some_slow(TARGETED_QUICKLY)
@pytest.mark.slow("compiles every attack once more")
def test_targets_are_reached(name):
    attack = dataclasses.replace(ATTACKS[name], targeted=True)
    for seed in range(3):
        fn, weights, bias, x, y = models.linear(seed)
        target = (y + 1 + seed % 2) % 3
        out = attack(KEY, fn, x, target)
        models.check_result(out, fn, x, target, attack.norm, targeted=True)
        assert out.success.all()
        # The boundary between the label and the target is no farther.
        bound = np.array(
            [
                models.least_in_the_box(
                    weights[:, list(pair)],
                    bias[list(pair)],
                    x[i : i + 1],
                    jnp.array([0]),
                    attack.norm,
                )[0]
                for i, pair in enumerate(zip(y.tolist(), target.tolist(), strict=True))
            ]
        )
        found = np.asarray(out.distance)
        assert (found >= bound * (1 - 1e-6)).all()
        assert np.median(found / bound) < 1.25


@pytest.mark.parametrize("name", ["ddn", "fmn-l0"])
def test_a_flat_model_gives_no_success(name):
    attack = ATTACKS[name]
    _, weights, bias, x, _ = models.linear(1, classes=2)
    flat = jax.tree_util.Partial(
        models.linear_logits, jnp.zeros_like(weights), jnp.asarray(bias)
    )
    y = losses.labels(flat(x))
    out = attack(KEY, flat, x, y)
    assert not out.success.any()
    models.check_result(out, flat, x, y, attack.norm)


def test_a_start_is_the_first_point():
    fn, _, x, y = models.mlp(6)
    start = x.at[:, :3].set(1.0)
    for name in ("fmn-l0", "super_deep_fool"):
        state = jax.jit(ATTACKS[name].init)(KEY, fn, x, y, start)
        np.testing.assert_array_equal(state.memory.point, start)
        if name == "fmn-l0":
            np.testing.assert_array_equal(state.memory.own, 3)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (attacks.ddn, {"norm": "linf"}, "norm is 'linf', but must be one of 'l2'"),
        (attacks.ddn, {"iterations": 0}, "iterations is 0"),
        (attacks.ddn, {"gamma": 1.0}, r"gamma is 1.0, but must be in \(0,1\)"),
        (attacks.ddn, {"first_radius": 0.0}, "first_radius is 0.0"),
        (attacks.ddn, {"step_size": -1.0}, "step_size is -1.0"),
        (attacks.fmn, {"iterations": 2.5}, "iterations is 2.5, but must be a whole"),
        (attacks.fmn, {"gamma": 0.0}, "gamma is 0.0"),
        (attacks.fmn, {"step_size": 0.0}, "step_size is 0.0"),
        (attacks.sigma_zero, {"norm": "l1"}, "norm is 'l1'"),
        (attacks.sigma_zero, {"sigma": 0.0}, "sigma is 0.0"),
        (attacks.sigma_zero, {"threshold": 1.5}, "threshold is 1.5"),
        (attacks.sigma_zero, {"threshold_rate": 0.0}, "threshold_rate is 0.0"),
        (attacks.pdgd, {"norm": "l1"}, "norm is 'l1'"),
        (attacks.pdgd, {"primal_rate": 0.0}, "primal_rate is 0.0"),
        (attacks.pdpgd, {"dual_rate": 0.0}, "dual_rate is 0.0"),
        (attacks.pdpgd, {"first_ratio": 0.0}, "first_ratio is 0.0"),
        (attacks.pdpgd, {"norm": "l0_pixels"}, "norm is 'l0_pixels'"),
    ],
)
def test_bad_settings_are_refused(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)
