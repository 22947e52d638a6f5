"""The sign: its values, the slopes of its surrogates, and what attacks find by them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, models
from zeroone_jax.models import binarized

GENERATOR = np.random.default_rng(0)


def network(sign, images):
    """Logits of a binarized network for pixels of 0 to 255, and biases of its own.

    Two layers of 64 units, whose thresholds lie within the spread of their sums.
    """
    generator = np.random.default_rng(1)
    hidden = 255 * images
    for inputs, scale in ((192, 4000), (64, 8)):
        kernel = np.where(generator.normal(size=(inputs, 64)) > 0, 1, -1)
        kernel = kernel.astype(np.float32)
        middle = 255 * 0.5 * kernel.sum(0) if scale == 4000 else np.zeros(64)
        bias = np.floor(generator.normal(size=64) * scale / 4 - middle) + 0.5
        sums = jnp.matmul(hidden, kernel, precision="highest")
        hidden = sign(sums + bias.astype(np.float32)[None])
    kernel = np.where(generator.normal(size=(64, 3)) > 0, 1, -1).astype(np.float32)
    return jnp.matmul(hidden, kernel, precision="highest") / 8


@pytest.mark.slow("compiles a suite of attacks")
def test_attacks_see_units_far_from_zero():
    """As wide as its input the sign finds all, where |x| <= 1 leaves most unfound."""
    x = jnp.asarray(GENERATOR.uniform(0.2, 0.8, (13, 192)), jnp.float32)
    attack = attacks.pgd(
        epsilon=16 / 255, step_size=2 / 255, iterations=20, loss="margin"
    )
    found = {}
    for name, sign in (
        ("trained", binarized.sign),
        ("measured", models.sign),
        ("chosen", functools.partial(models.sign, width=1000.0)),
    ):
        fn = functools.partial(network, sign)
        y = jnp.argmax(fn(x), axis=1)
        out = attack(jax.random.key(0), fn, x, y)
        wrong = jnp.argmax(network(binarized.sign, out.adversary), axis=1) != y
        np.testing.assert_array_equal(out.success, wrong)
        found[name] = int(out.success.sum())
    assert found["trained"] < 7
    assert found["measured"] == found["chosen"] == 13


def test_values_are_signs_exactly():
    x = jnp.array([[-jnp.inf, -3e4, -1e-30, 0.0, 0.5, 1e30, jnp.inf]])
    expected = [[-1, -1, -1, 1, 1, 1, 1]]
    for surrogate in ("smooth", "clipped"):
        for width in (1.0, "measured"):
            for compiled in (jax.jit, lambda f: f):
                signs = compiled(lambda x: models.sign(x, width, surrogate))  # noqa: B023
                np.testing.assert_array_equal(signs(x), expected)
    assert jnp.isnan(models.sign(jnp.array([jnp.nan]))).all()


@pytest.mark.parametrize("width", [0.5, 30.0, jnp.array([2.0, 40.0, 1.0])])
def test_slopes_are_those_of_the_surrogates(width):
    x = jnp.asarray(GENERATOR.normal(size=(5, 3)) * 20, jnp.float32)

    def smooth(x):
        z = x / jnp.broadcast_to(jnp.asarray(width), x.shape)
        return jnp.sum(z / (1 + jnp.abs(z)))

    def clipped(x):
        z = x / jnp.broadcast_to(jnp.asarray(width), x.shape)
        return jnp.sum(jnp.clip(z, -1, 1))

    for name, surrogate in (("smooth", smooth), ("clipped", clipped)):
        got = jax.grad(lambda x: jnp.sum(models.sign(x, width, name)))(x)  # noqa: B023
        np.testing.assert_allclose(got, jax.grad(surrogate)(x), rtol=1e-4)


def test_the_measured_width_is_the_units_root_mean_square():
    scale = np.array([0.01, 1.0, 3000.0], np.float32)
    x = jnp.asarray(GENERATOR.normal(1.0, size=(2, 4, 5, 3)) * scale, jnp.float32)
    expected = np.sqrt(np.mean(np.asarray(x, np.float64) ** 2, axis=(0, 1, 2)))
    np.testing.assert_allclose(models.spread(x), expected, rtol=1e-5)

    def total(x, width):
        return jnp.sum(models.sign(x, width) * jnp.cos(x))

    measured = jax.grad(total)(x, "measured")
    np.testing.assert_allclose(
        measured, jax.grad(total)(x, models.spread(x)), rtol=1e-6
    )
    one_by_one = jax.vmap(lambda x: models.sign(x, models.spread(x)))(x)
    np.testing.assert_array_equal(one_by_one, models.sign(x))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_sums_of_hundreds_of_pixels_keep_their_slope(dtype):
    x = jnp.asarray([[20000.0, 0.0], [-60000.0, 0.0]], dtype)
    value, slope = jax.value_and_grad(lambda x: jnp.sum(models.sign(x)))(x)
    assert value.dtype == slope.dtype == dtype
    assert bool(jnp.isfinite(slope).all() & (slope > 0).all())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"width": 0.0}, ValueError, "width is 0.0, but must be above 0"),
        ({"width": "wide"}, ValueError, "width is 'wide'.*'measured'"),
        ({"width": jnp.ones(2)}, ValueError, r"shape \(2,\).*one for each unit"),
        ({"surrogate": "tanh"}, ValueError, "'tanh'.*'smooth' or 'clipped'"),
        ({"x": jnp.ones(3, jnp.int32)}, TypeError, "x is int32"),
    ],
)
def test_bad_settings(arguments, error, message):
    with pytest.raises(error, match=message):
        models.sign(**{"x": jnp.ones((2, 3)), **arguments})
