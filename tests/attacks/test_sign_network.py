"""Attacks that see a 01 network's weights, against numpy and against the networks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import frame_checks
from zeroone_jax import attacks
from zeroone_jax.models import zero_one

KEY = jax.random.key(7)


def networks(seed, shape=(5, 4, 24), hidden_values="01"):
    """Networks that cut the middle of the box, with labels of both kinds there."""
    generator = np.random.default_rng(seed)
    w1 = generator.normal(size=shape)
    w1 /= np.linalg.norm(w1, axis=-1, keepdims=True)
    b1 = -0.5 * w1.sum(-1) + 0.05 * generator.normal(size=shape[:-1])
    w2 = generator.normal(size=shape[:-1])
    b2 = -0.5 * w2.sum(-1) if hidden_values == "01" else 0 * w2.sum(-1)
    return zero_one.Params(
        *(jnp.asarray(array, jnp.float32) for array in (w1, b1, w2, b2)), hidden_values
    )


def images(count=10, features=24):
    x = np.random.default_rng(2).uniform(0.3, 0.7, (count, features))
    return jnp.asarray(x, jnp.float32)


PARAMS = networks(0)
ATTACKS = {
    "crossing": attacks.hyperplane_crossing(epsilon=0.05),
    "smooth linf": attacks.surrogate_gradient(epsilon=0.04, iterations=8),
    "smooth l2": attacks.surrogate_gradient(
        norm="l2", epsilon=0.1, iterations=8, sharpness=(2.0, 20.0)
    ),
    "straight through": attacks.surrogate_gradient(
        epsilon=0.04,
        iterations=8,
        estimator="straight_through",
        sharpness=(4.0,),
        random_start=False,
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        "crossing",
        "smooth linf",
        pytest.param("smooth l2", marks=pytest.mark.slow("the same once more")),
        "straight through",
    ],
)
@pytest.mark.slow("the frame of three attacks")
def test_frame(name):
    attack, x = ATTACKS[name], images()
    y = zero_one.predict(PARAMS, x)
    y = y.at[0].set(1 - y[0])
    result = attack(KEY, PARAMS, x, y)
    assert result.success[1:].any()
    assert not result.success.all()
    frame_checks.assert_result_holds(attack, PARAMS, x, y, result)
    frame_checks.assert_images_are_independent(attack, KEY, PARAMS, x, y, result)
    labels = zero_one.predict(PARAMS, result.adversary)
    np.testing.assert_array_equal(labels != y, result.success)


@pytest.mark.parametrize("hidden_values", ["01", "pm"])
def test_crossing_is_the_papers(hidden_values):
    """Unit by unit in the order drawn, each from the image itself."""
    params, x = networks(1, hidden_values=hidden_values), images(30)
    y = zero_one.predict(params, x)
    epsilon = 0.06
    attack = attacks.hyperplane_crossing(epsilon=epsilon)
    result = attack(KEY, params, x, y)
    order = np.asarray(attack.init(KEY, params, x, y).memory.order)
    w1 = np.asarray(params.w1).reshape(-1, 24)
    b1 = np.asarray(params.b1).reshape(-1)
    assert 0 < result.success.mean() < 1
    for image in range(30):
        assert sorted(order[image]) == list(range(20))
        for tried, unit in enumerate(order[image], start=1):
            is_on = np.asarray(x[image]) @ w1[unit] + b1[unit] > 0
            step = (-1 if is_on else 1) * epsilon * np.sign(w1[unit])
            point = jnp.asarray(x[image] + step, jnp.float32)
            if zero_one.predict(params, point[None])[0] != y[image]:
                np.testing.assert_allclose(result.adversary[image], point, atol=1e-6)
                assert result.queries[image] == tried + 2
                break
        else:
            assert not result.success[image]
            assert result.queries[image] == 20 + 2
    assert len({tuple(row) for row in order}) > 20


def test_crossing_reaches_a_linear_networks_closed_form():
    """One unit: turned exactly where its distance in Linf is below epsilon."""
    w = np.random.default_rng(3).normal(size=24)
    x = images(30)
    params = zero_one.linear(
        jnp.asarray(w[None], jnp.float32), jnp.asarray([-0.5 * w.sum()], jnp.float32)
    )
    distance = np.abs(np.asarray(x) @ w - 0.5 * w.sum()) / np.abs(w).sum()
    epsilon = float(np.median(distance))
    result = attacks.hyperplane_crossing(epsilon=epsilon)(
        KEY, params, x, zero_one.predict(params, x)
    )
    np.testing.assert_array_equal(result.success, distance < epsilon)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("estimator", ["smooth", "straight_through"])
def test_surrogates_reach_a_linear_networks_closed_form(norm, estimator):
    w = np.random.default_rng(3).normal(size=24)
    x = images(30)
    params = zero_one.linear(
        jnp.asarray(w[None], jnp.float32), jnp.asarray([-0.5 * w.sum()], jnp.float32)
    )
    dual = {"linf": np.abs(w).sum(), "l2": np.linalg.norm(w)}[norm]
    distance = np.abs(np.asarray(x) @ w - 0.5 * w.sum()) / dual
    epsilon = float(np.median(distance))
    assert (abs(distance / epsilon - 1) > 1e-3).all()
    attack = attacks.surrogate_gradient(
        norm=norm,
        epsilon=epsilon,
        iterations=8,
        estimator=estimator,
        random_start=False,
    )
    result = attack(KEY, params, x, zero_one.predict(params, x))
    np.testing.assert_array_equal(result.success, distance < epsilon)


def test_surrogate_first_step_follows_the_first_sharpness():
    x = images(6)
    y = zero_one.predict(PARAMS, x)
    attack = attacks.surrogate_gradient(
        epsilon=0.04,
        step_size=0.01,
        iterations=4,
        sharpness=(3.0, 30.0),
        random_start=False,
        early_stop=False,
    )
    state = attack.init(KEY, PARAMS, x, y)
    step = jax.jit(lambda state: attack.step(KEY, PARAMS, state)[0])
    for sharpness in (3.0, 3.0, 3.0, 30.0):
        gradient = jax.grad(
            lambda point: jnp.sum(
                jnp.where(y == 1, -1, 1)
                * zero_one.smooth_scores(PARAMS, point, sharpness)  # noqa: B023
            )
        )(state.memory.point)
        expected = jnp.clip(
            state.memory.point + 0.01 * jnp.sign(gradient), x - 0.04, x + 0.04
        )
        state = step(state)
        np.testing.assert_allclose(state.memory.point, expected, atol=1e-6)


def test_straight_through_is_pgd_on_its_scores():
    x = images()
    y = zero_one.predict(PARAMS, x)
    settings = {"epsilon": 0.04, "iterations": 5, "loss": "margin"}
    settings["random_start"] = False
    ours = attacks.surrogate_gradient(
        **settings, estimator="straight_through", sharpness=(1.0,)
    )(KEY, PARAMS, x, y)
    scores = jax.tree_util.Partial(zero_one.straight_through_scores, PARAMS)
    plain = attacks.pgd(**settings)(KEY, scores, x, y)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours, plain)


@pytest.mark.parametrize("name", ["crossing", "smooth linf"])
@pytest.mark.slow("compiles for more classes")
def test_one_against_all(name):
    """The crossing targets a class, the surrogate leaves one."""
    params, x = networks(4, (3, 3, 4, 24)), images()
    targeted = name == "crossing"
    y = (zero_one.predict(params, x) + int(targeted)) % 3
    attack = dataclasses.replace(ATTACKS[name], targeted=targeted, epsilon=0.15)
    result = attack(KEY, params, x, y)
    assert result.success.any()
    frame_checks.assert_result_holds(attack, params, x, y, result)


def test_what_may_be_attacked():
    x = images(3)
    y = zero_one.predict(PARAMS, x)
    attack = ATTACKS["crossing"]
    expected = attack(KEY, PARAMS, x, y)
    vote = zero_one.Vote.flat(PARAMS)
    np.testing.assert_array_equal(attack(KEY, vote, x, y).adversary, expected.adversary)
    pictures = x.reshape(3, 2, 3, 4)
    found = attack(KEY, vote, pictures, y).adversary
    np.testing.assert_array_equal(found.reshape(x.shape), expected.adversary)
    for fn in (lambda x: zero_one.predict(PARAMS, x), PARAMS.w1):
        with pytest.raises(TypeError, match=r"needs a 01 network's weights: give it"):
            attack(KEY, fn, x, y)
    with pytest.raises(ValueError, match="x has 23 features"):
        attack(KEY, PARAMS, x[:, 1:], y)
    with pytest.raises(ValueError, match=r"y holds 2, but must be in 0\.\.1"):
        attack(KEY, PARAMS, x, jnp.full(3, 2))


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (attacks.hyperplane_crossing, {"epsilon": 0.0}, "epsilon is 0.0"),
        (attacks.hyperplane_crossing, {"norm": "l2"}, "one of 'linf'"),
        (attacks.surrogate_gradient, {"epsilon": -1.0}, "epsilon is -1.0"),
        (attacks.surrogate_gradient, {"estimator": "hard"}, "estimator is 'hard'"),
        (attacks.surrogate_gradient, {"sharpness": ()}, r"sharpness is \(\)"),
        (attacks.surrogate_gradient, {"sharpness": (0.0, 1.0)}, "above the last"),
        (attacks.surrogate_gradient, {"sharpness": (2.0, 1.0)}, "above the last"),
    ],
)
def test_settings_are_checked(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**{"epsilon": 0.1, **settings})
