"""Convolutions, banded and arranged, against XLA's own."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import models
from zeroone_jax.models import convolution

LAYOUT = ("NHWC", "HWIO", "NHWC")


def drawn(x_shape, kernel_shape, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0))
    return (
        jax.random.normal(keys[0], x_shape, dtype),
        jax.random.normal(keys[1], kernel_shape, dtype),
    )


def by_xla(x, kernel, padding):
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=LAYOUT
    )


CASES = [
    ((2, 6, 7, 3), (5, 5, 3, 4), ((2, 2), (2, 2))),
    ((1, 5, 5, 2), (5, 5, 2, 3), ((0, 0), (0, 0))),
    ((3, 4, 9, 1), (3, 2, 1, 2), ((1, 0), (0, 3))),
    ((2, 3, 4, 2), (1, 1, 2, 5), ((0, 0), (0, 0))),
]


@pytest.mark.parametrize(("x_shape", "kernel_shape", "padding"), CASES)
def test_values_and_gradients_are_xlas(x_shape, kernel_shape, padding):
    x, kernel = drawn(x_shape, kernel_shape)
    expected, pull_back = jax.vjp(lambda *a: by_xla(*a, padding), x, kernel)
    got, our_pull_back = jax.vjp(lambda *a: convolution.banded(*a, padding), x, kernel)
    chex.assert_trees_all_close(got, expected, atol=1e-5)
    chex.assert_trees_all_close(
        our_pull_back(jnp.cos(expected)), pull_back(jnp.cos(expected)), atol=1e-4
    )


def test_float64():
    with jax.enable_x64():
        x, kernel = drawn((2, 6, 7, 3), (3, 3, 3, 4), jnp.float64)
        expected = by_xla(x, kernel, ((1, 1), (1, 1)))
        for got in (
            convolution.banded(x, kernel, ((1, 1), (1, 1))),
            convolution.arranged(
                x, kernel, convolution.Slide((1, 1), ((1, 1), (1, 1)))
            ),
        ):
            assert got.dtype == jnp.float64
            np.testing.assert_allclose(got, expected, atol=1e-12)


ARRANGED = [
    ((2, 6, 8, 3), (3, 3, 3, 4), (1, 1), "SAME"),
    ((2, 6, 8, 3), (3, 3, 3, 4), (2, 2), "SAME"),
    ((2, 7, 8, 3), (3, 3, 3, 4), (2, 2), ((1, 1), (1, 1))),
    ((2, 7, 8, 3), (1, 1, 3, 4), (2, 2), ((0, 0), (0, 0))),
    ((3, 9, 8, 2), (2, 3, 2, 5), (3, 2), ((0, 1), (4, 0))),
]


def both(x_shape, kernel_shape, strides, padding):
    """XLA's convolution and ours."""
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(
            x_shape[1:3], kernel_shape[:2], strides, padding
        )
    slide = convolution.Slide(strides, tuple(padding))
    return (
        lambda x, kernel: jax.lax.conv_general_dilated(
            x, kernel, strides, slide.padding, dimension_numbers=LAYOUT
        ),
        lambda x, kernel: convolution.arranged(x, kernel, slide),
    )


@pytest.mark.parametrize(("x_shape", "kernel_shape", "strides", "padding"), ARRANGED)
def test_arranged_gradients_are_xlas(x_shape, kernel_shape, strides, padding):
    x, kernel = drawn(x_shape, kernel_shape)
    theirs, ours = both(x_shape, kernel_shape, strides, padding)
    expected, pull_back = jax.vjp(theirs, x, kernel)
    got, our_pull_back = jax.vjp(ours, x, kernel)
    chex.assert_trees_all_close(got, expected, atol=1e-6)
    chex.assert_trees_all_close(
        our_pull_back(jnp.cos(expected)), pull_back(jnp.cos(expected)), atol=1e-4
    )


@pytest.mark.parametrize(("x_shape", "kernel_shape", "strides", "padding"), ARRANGED)
def test_derivatives_of_higher_order_are_xlas(x_shape, kernel_shape, strides, padding):
    """Twice and three times, in images and kernels, through both gradients."""
    with jax.enable_x64():
        x, kernel = drawn(x_shape, kernel_shape, jnp.float64)

        def order(convolved, number):
            def value(x, kernel):
                if number == 0:
                    return jnp.sum(jnp.sin(convolved(x, kernel)))
                gradients = jax.grad(order(convolved, number - 1), (0, 1))(x, kernel)
                return sum(jnp.sum(jnp.sin(gradient)) for gradient in gradients)

            return value

        theirs, ours = both(x_shape, kernel_shape, strides, padding)
        for number in (1, 2):
            expected = jax.grad(order(theirs, number), (0, 1))(x, kernel)
            got = jax.grad(order(ours, number), (0, 1))(x, kernel)
            chex.assert_trees_all_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "kernel_shape", "way"),
    [
        ({}, (3, 3, 2, 4), "banded"),
        ({"padding": "SAME"}, (3, 3, 2, 4), "banded"),
        ({"window_strides": (2, 1)}, (3, 3, 2, 4), "arranged"),
        ({"window_strides": (2, 2), "padding": "SAME"}, (3, 3, 2, 4), "arranged"),
        ({}, (3, 3, 2, 17), "arranged"),
        ({}, (3, 3, 100, 16), "arranged"),
        ({"rhs_dilation": (1, 2)}, (3, 3, 2, 4), None),
        ({"lhs_dilation": (2, 1)}, (3, 3, 2, 4), None),
        ({"feature_group_count": 2}, (3, 3, 1, 4), None),
    ],
)
def test_every_convolution_goes_the_fastest_way(
    changes, kernel_shape, way, monkeypatch
):
    used = []

    def noting(name):
        original = getattr(convolution, name)
        return lambda *arguments: used.append(name) or original(*arguments)

    for name in ("banded", "arranged"):
        monkeypatch.setattr(convolution, name, noting(name))
    groups = changes.get("feature_group_count", 1)
    x, kernel = drawn((2, 6, 6, groups * kernel_shape[2]), kernel_shape)
    settings = {
        "window_strides": (1, 1),
        "padding": ((1, 1), (1, 1)),
        "lhs_dilation": (1, 1),
        "rhs_dilation": (1, 1),
        "feature_group_count": 1,
        "precision": None,
        "dimension_numbers": LAYOUT,
        **changes,
    }
    expected = jax.lax.conv_general_dilated(x, kernel, **settings)
    got = jax.jit(
        lambda x, kernel: convolution.convolve(
            x,
            kernel,
            settings.pop("window_strides"),
            settings.pop("padding"),
            **settings,
        )
    )(x, kernel)
    chex.assert_trees_all_close(got, expected, atol=1e-4)
    assert used == ([way] if way else [])


def test_channels_come_last_unless_said():
    """On processors and, as dilation shows, where XLA does it."""
    x, kernel = drawn((2, 6, 7, 3), (3, 3, 3, 4))
    expected = by_xla(x, kernel, ((1, 1), (1, 1)))
    np.testing.assert_allclose(models.convolve(x, kernel), expected, atol=1e-5)
    wide = models.convolve(x, kernel, (1, 1), "VALID", rhs_dilation=(2, 2))
    assert wide.shape == (2, 2, 3, 4)


def test_channels_first_are_refused():
    x, kernel = jnp.ones((2, 3, 6, 6)), jnp.ones((4, 3, 3, 3))
    for numbers in (None, ("NCHW", "OIHW", "NCHW")):
        with pytest.raises(ValueError, match=r"transpose images to \[n, height"):
            models.convolve(x, kernel, dimension_numbers=numbers)
