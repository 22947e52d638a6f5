"""How 01 networks start, and which ones are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import zero_one

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("classes", "leading"), [(2, (4,)), (3, (3, 4))], ids=["binary", "one-vs-all"]
)
def test_init_draws_distinct_unit_vectors(classes, leading):
    params = zero_one.init(KEY, 50, hidden=6, votes=4, classes=classes)
    assert params.w1.shape == (*leading, 6, 50)
    assert params.w2.shape == params.b1.shape == (*leading, 6)
    assert params.b2.shape == leading
    for weights in (params.w1, params.w2):
        np.testing.assert_allclose(jnp.linalg.norm(weights, axis=-1), 1, rtol=1e-5)
        rows = np.asarray(weights).reshape(-1, weights.shape[-1])
        assert len(np.unique(rows, axis=0)) == len(rows)
    assert not params.b1.any()
    assert not params.b2.any()
    assert zero_one.predict(params, jnp.ones((3, 50))).shape == (3,)


def test_init_is_isotropic():
    weights = np.asarray(zero_one.init(KEY, 8, hidden=2000, votes=2).w1)
    covariance = np.cov(weights.reshape(-1, 8).T, bias=True)
    np.testing.assert_allclose(covariance, np.eye(8) / 8, atol=0.01)


def test_a_vote_does_not_depend_on_how_many_there_are():
    few = zero_one.init(KEY, 5, votes=2)
    many = zero_one.init(KEY, 5, votes=7)
    np.testing.assert_array_equal(few.w1, many.w1[:2])
    np.testing.assert_array_equal(few.w2, many.w2[:2])


def test_init_under_jit_and_in_float64():
    init = jax.jit(lambda key: zero_one.init(key, 5, hidden_values="pm"))
    assert init(KEY).hidden_values == "pm"
    np.testing.assert_allclose(init(KEY).w1, zero_one.init(KEY, 5).w1, rtol=1e-6)
    with jax.enable_x64():
        assert zero_one.init(jax.random.key(0), 5).w1.dtype == jnp.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 0}, "features is 0, but must be at least 1"),
        ({"hidden": 0}, "hidden is 0"),
        ({"votes": -1}, "votes is -1"),
        ({"classes": 1}, "classes is 1, but must be at least 2"),
        ({"hidden_values": "sign"}, "hidden_values is 'sign', not one of"),
    ],
)
def test_init_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        zero_one.init(KEY, **{"features": 3, **arguments})


@pytest.mark.parametrize("leading", [(3,), (4, 3)], ids=["binary", "one-vs-all"])
def test_linear_is_the_sign_of_a_line(leading):
    generator = np.random.default_rng(0)
    w = generator.integers(-2, 3, (*leading, 4)).astype(np.float32)
    b = generator.integers(-2, 3, leading).astype(np.float32)
    x = generator.integers(-2, 3, (30, 4)).astype(np.float32)
    params = zero_one.linear(w, b)
    value = np.einsum("...d,nd->...n", w, x) + b[..., None]
    assert (value == 0).any()
    np.testing.assert_array_equal(zero_one.votes(params, x), value > 0)
    np.testing.assert_array_equal(abs(zero_one.scores(params, x)), 0.5)


def test_linear_refuses_a_bias_that_does_not_fit():
    with pytest.raises(ValueError, match=r"b1 has shape \(2, 1\), but w1 of shape"):
        zero_one.linear(jnp.ones((3, 4)), jnp.ones(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w1": jnp.ones((3, 4))}, r"w1 has shape \(3, 4\): neither"),
        ({"w1": jnp.ones((2, 3, 4), jnp.int32)}, "w1 is int32, not floating point"),
        ({"b1": jnp.ones((2, 5))}, r"b1 has shape \(2, 5\), .* needs \(2, 3\)"),
        ({"w2": jnp.ones((2, 3, 1))}, r"w2 has shape \(2, 3, 1\), .* needs \(2, 3\)"),
        ({"b2": jnp.ones(())}, r"b2 has shape \(\), .* needs \(2,\)"),
        ({"b2": jnp.ones(2, jnp.float16)}, "b2 is float16, but w1 is float32"),
        ({"hidden_values": "10"}, "hidden_values is '10'"),
    ],
)
def test_check_says_what_is_wrong(change, message):
    params = zero_one.init(KEY, features=4, hidden=3, votes=2)
    zero_one.check(params)
    with pytest.raises(ValueError, match=message):
        zero_one.check(params.replace(**change))


def test_astype_casts_every_array():
    params = zero_one.init(KEY, 4, hidden_values="pm")
    with jax.enable_x64():
        double = zero_one.astype(params, jnp.float64)
        assert {leaf.dtype for leaf in jax.tree.leaves(double)} == {np.dtype("float64")}
        np.testing.assert_array_equal(double.w1, np.asarray(params.w1))
    assert double.hidden_values == "pm"
