"""The contrast stretch against NumPy, and what it leaves of an Linf ball."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroone_jax import models
from zeroone_jax.models import Network, cnn


@given(
    st.lists(st.floats(-1, 2, width=32), min_size=1, max_size=8),
    st.floats(-0.5, 0.5),
    st.floats(0.1, 2),
)
def test_is_a_line_that_is_cut_off(pixels, low, width):
    x = jnp.asarray(pixels, jnp.float32)
    high = low + width
    expected = np.interp(np.asarray(x, np.float64), [low, high], [0, 1])
    found, moved = jax.jvp(
        lambda x: models.contrast(x, low, high), (x,), (jnp.ones_like(x),)
    )
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # The slope of the line, where it is cut off as well.
    np.testing.assert_allclose(moved, 1 / width, rtol=1e-4)


def test_black_and_white_stay_themselves_in_the_ball():
    x = np.clip(np.array([[0.0], [1.0]]) + np.linspace(-0.3, 0.3, 13), 0, 1)
    found = models.contrast(jnp.asarray(x, jnp.float32), 0.3, 0.7)
    np.testing.assert_allclose(found, [[0] * 13, [1] * 13], atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32, jnp.bfloat16])
def test_keeps_the_type(dtype):
    with jax.enable_x64(dtype == jnp.float64):
        x = jnp.ones(3, dtype)
        assert models.contrast(x, 0.3, 0.7).dtype == dtype
        grad = jax.grad(lambda x: models.contrast(x, 0.3, 0.7).sum())(x)
        assert grad.dtype == dtype


@pytest.mark.parametrize("high", [0.3, 0.1, float("nan")])
def test_levels_in_the_wrong_order(high):
    with pytest.raises(ValueError, match=f"low is 0.3, but must be below high, {high}"):
        models.contrast(jnp.ones(3), 0.3, high)


def test_the_network_sees_what_is_stretched():
    network = Network(cnn.Contrasted(classes=3, width=2), (8, 8, 1))
    variables = network.init(jax.random.key(0))
    bare = Network(cnn.Strided(classes=3, width=2), (8, 8, 1))
    inner = models.Variables(variables.params["Strided_0"], {})
    x = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1))
    stretched = np.interp(x, [0.35, 0.65], [0, 1]).astype(np.float32)
    np.testing.assert_allclose(
        network.apply(variables, x), bare.apply(inner, stretched), atol=1e-5
    )
