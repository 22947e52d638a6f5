"""Banded convolutions against XLA's own."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
        got = convolution.banded(x, kernel, ((1, 1), (1, 1)))
        assert got.dtype == jnp.float64
        expected = by_xla(x, kernel, ((1, 1), (1, 1)))
        np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "kernel_shape", "banded"),
    [
        ({}, (3, 3, 2, 4), True),
        ({"window_strides": (2, 1)}, (3, 3, 2, 4), False),
        ({"padding": "SAME"}, (3, 3, 2, 4), False),
        ({"rhs_dilation": (1, 2)}, (3, 3, 2, 4), False),
        ({"lhs_dilation": (2, 1)}, (3, 3, 2, 4), False),
        ({"feature_group_count": 2}, (3, 3, 1, 4), False),
        ({}, (3, 3, 2, 6000), False),
    ],
)
def test_what_bands_cannot_do_is_left_to_xla(
    changes, kernel_shape, banded, monkeypatch
):
    used = []
    original = convolution.banded
    monkeypatch.setattr(
        convolution, "banded", lambda *a: used.append(1) or original(*a)
    )
    x, kernel = drawn((2, 6, 6, 2), kernel_shape)
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
    assert bool(used) == banded
