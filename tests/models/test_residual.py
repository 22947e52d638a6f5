"""Batch normalisation and convolutions of residual networks against numpy."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models import layers
from zeroone_jax.models.network import Network, Variables
from zeroone_jax.models.residual import BatchNorm, Convolution


class Normalised(nn.Module):
    """The mean pixel of normalised images."""

    @nn.compact
    def __call__(self, x, train=False):
        return BatchNorm()(x, train).mean((1, 2))


NETWORK = Network(Normalised(), (3, 4, 5))


def images(dtype=jnp.float32, count=6):
    return jax.random.uniform(jax.random.key(7), (count, *NETWORK.shape)).astype(dtype)


def test_evaluation_and_training_are_numpys():
    variables, x = layers.drawn(NETWORK), images()
    double = layers.as_double((variables.params, variables.batch_stats, x))
    params, stats, pixels = double
    params, stats = params["BatchNorm_0"], stats["BatchNorm_0"]
    expected = layers.batch_norm(pixels, params, stats).mean((1, 2))
    np.testing.assert_allclose(NETWORK.apply(variables, x), expected, atol=1e-5)

    moved = {}
    expected = layers.batch_norm(pixels, params, stats, moved).mean((1, 2))
    logits, batch_stats = NETWORK.train(variables, x, jax.random.key(0))
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    for name, values in moved.items():
        np.testing.assert_allclose(batch_stats["BatchNorm_0"][name], values, atol=1e-6)


def test_it_starts_as_a_standard_normal():
    variables = NETWORK.init(jax.random.key(0))
    zero, one = jnp.zeros(5), jnp.ones(5)
    assert_equal = chex.assert_trees_all_equal
    assert_equal(variables.params["BatchNorm_0"], {"scale": one, "bias": zero})
    assert_equal(variables.batch_stats["BatchNorm_0"], {"mean": zero, "var": one})


def test_bfloat16_images_leave_float32_statistics():
    variables, x = layers.drawn(NETWORK), images()
    rough = Network(NETWORK.module, NETWORK.shape, jnp.bfloat16)
    exact, expected = NETWORK.train(variables, x, jax.random.key(0))
    logits, batch_stats = rough.train(variables, x, jax.random.key(0))
    assert logits.dtype == jnp.float32
    # Rounding an image to 8 bits moves the mean of 72 pixels by far less.
    chex.assert_trees_all_close(batch_stats, expected, atol=1e-3)
    chex.assert_trees_all_equal_dtypes(batch_stats, expected)
    np.testing.assert_allclose(logits, exact, atol=0.02)


def test_float64():
    with jax.enable_x64():
        variables, x = layers.drawn(NETWORK), images(jnp.float64)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {x.dtype}
        moved, arrays = {}, layers.as_double((x, *jax.tree.leaves(variables)))
        pixels, (bias, scale, mean, variance) = arrays[0], arrays[1:]
        params = {"bias": bias, "scale": scale}
        stats = {"mean": mean, "var": variance}
        expected = layers.batch_norm(pixels, params, stats, moved).mean((1, 2))
        logits, batch_stats = NETWORK.train(variables, x, jax.random.key(0))
        assert batch_stats["BatchNorm_0"]["var"].dtype == jnp.float64
        np.testing.assert_allclose(logits, expected, atol=1e-12)
        chex.assert_trees_all_close(batch_stats["BatchNorm_0"], moved, atol=1e-14)


def test_statistics_keep_their_type_whatever_the_images_are():
    with jax.enable_x64():
        variables = jax.tree.map(
            lambda array: array.astype(jnp.float32), layers.drawn(NETWORK)
        )
        variables = Variables(
            jax.tree.map(lambda array: array.astype(jnp.float64), variables.params),
            variables.batch_stats,
        )
        _, batch_stats = NETWORK.train(
            variables, images(jnp.float64), jax.random.key(0)
        )
        chex.assert_trees_all_equal_dtypes(batch_stats, variables.batch_stats)


@pytest.mark.parametrize(("window", "stride"), [(3, 1), (3, 2), (1, 2)])
def test_convolution_is_numpys(window, stride):
    generator = np.random.default_rng(0)
    x, kernel = (
        generator.normal(size=shape) for shape in ((2, 7, 6, 3), (window, window, 3, 4))
    )
    expected = layers.convolution(x, kernel, stride)
    variables = {"params": {"kernel": jnp.asarray(kernel, jnp.float32)}}
    got = Convolution(4, window, stride).apply(variables, jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_kernels_start_as_he_said():
    x = jnp.zeros((1, 4, 4, 64))
    kernel = Convolution(128).init(jax.random.key(0), x)["params"]["kernel"]
    assert float(kernel.std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.01)
    assert abs(float(kernel.mean())) < 1e-3
