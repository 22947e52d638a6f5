"""Losses against plain NumPy in float64, closed forms, and their own invariances."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import losses


@st.composite
def logits_and_labels(draw):
    n, k = 3, draw(st.sampled_from([2, 3, 5]))
    # XLA takes subnormal numbers for 0 on processors.
    logits = st.floats(-30, 30, width=32, allow_subnormal=False)
    z = draw(hnp.arrays(np.float32, (n, k), elements=logits))
    y = draw(hnp.arrays(np.int32, n, elements=st.integers(0, k - 1)))
    return z, y


def oracle(z, y, target):
    """Row by row, straight from the formulas."""
    rows = []
    for row, label, aim in zip(z.astype(np.float64), y, target, strict=True):
        others = np.delete(row, label)
        ordered = np.sort(row)[::-1]
        ahead, to = others.max() - row[label], row[aim] - row[label]
        ratio, targeted = ahead, to
        if len(row) > 2:
            fourth = ordered[min(3, len(row) - 1)]
            ratio = ahead / (ordered[0] - ordered[2] + 1e-12)
            targeted = to / (ordered[0] - (ordered[2] + fourth) / 2 + 1e-12)
        rows.append(
            (
                float(np.argmax(row) != label),
                np.log(np.sum(np.exp(row - row[label]))),
                ahead,
                to,
                ratio,
                targeted,
            )
        )
    return np.array(rows).T


@hypothesis.given(logits_and_labels(), st.integers(0, 5))
def test_losses_are_their_formulas(drawn, shift):
    z, y = drawn
    target = (y + shift) % z.shape[1]
    # Logits all but equal make the ratios' denominators pure rounding.
    top = np.sort(z, axis=1)[:, ::-1]
    if z.shape[1] > 2:
        hypothesis.assume(np.all(top[:, 0] - top[:, 2] > 1e-3))
    measured = (
        losses.zero_one(jnp.asarray(z), jnp.asarray(y)),
        losses.cross_entropy(jnp.asarray(z), jnp.asarray(y)),
        losses.margin(jnp.asarray(z), jnp.asarray(y)),
        losses.margin_to(jnp.asarray(z), jnp.asarray(y), jnp.asarray(target)),
        losses.difference_of_logits_ratio(jnp.asarray(z), jnp.asarray(y)),
        losses.targeted_difference_of_logits_ratio(
            jnp.asarray(z), jnp.asarray(y), jnp.asarray(target)
        ),
    )
    for value, wanted in zip(measured, oracle(z, y, target), strict=True):
        assert value.shape == y.shape
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, wanted, rtol=3e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_single_numbers_are_two_classes(shape):
    s = jnp.array([-3.0, -0.5, 0.0, 0.5, 40.0])
    y = jnp.array([0, 1, 1, 1, 0])
    outputs = s.reshape(shape)
    np.testing.assert_array_equal(losses.labels(outputs), [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(losses.zero_one(outputs, y), [0, 1, 1, 0, 1])
    signed = np.where(np.asarray(y) == 1, -np.asarray(s), s)
    for loss in (losses.margin, losses.difference_of_logits_ratio):
        np.testing.assert_allclose(loss(outputs, y), signed)
    np.testing.assert_allclose(
        losses.targeted_difference_of_logits_ratio(outputs, y, 1 - y), signed
    )
    np.testing.assert_allclose(
        losses.cross_entropy(outputs, y), np.logaddexp(0, signed), rtol=1e-6
    )


def test_ties_go_to_the_lowest_class():
    z = jnp.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])
    np.testing.assert_array_equal(losses.labels(z), [0, 1])
    np.testing.assert_array_equal(losses.margin(z, jnp.array([0, 1])), [0, 0])


@pytest.mark.parametrize("shape", [(), (2, 3, 1), (2, 0)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="outputs have shape"):
        losses.as_logits(jnp.zeros(shape))


@pytest.mark.parametrize("ahead", [20.0, 60.0])
def test_a_confident_model_still_has_a_gradient(ahead):
    """In float32, 1 - softmax is exactly 0 here: the usual formula is blind."""
    several = jnp.array([[ahead, 0.0, 0.0]])
    y = jnp.array([0])
    slope = jax.grad(lambda z: losses.cross_entropy(z, y)[0])(several)[0]
    expected = np.exp(-ahead)
    np.testing.assert_allclose(
        slope, [-2 * expected, expected, expected], rtol=1e-4, atol=0
    )
    one = jax.grad(lambda s: losses.cross_entropy(s, jnp.array([1]))[0])(
        jnp.array([ahead])
    )
    np.testing.assert_allclose(one, [-expected], rtol=1e-4, atol=0)


@hypothesis.given(logits_and_labels())
@hypothesis.settings(max_examples=20)
def test_the_soft_margin_rises_with_the_cross_entropy(drawn):
    z, y = drawn
    others = np.stack([np.delete(row, label) for row, label in zip(z, y, strict=True)])
    behind = np.float64(others) - np.float64(z[np.arange(len(z)), y])[:, None]
    expected = np.log(np.mean(np.exp(behind), axis=1))
    measured = losses.soft_margin(jnp.asarray(z), jnp.asarray(y))
    np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        np.logaddexp(0, np.float64(measured) + np.log(z.shape[1] - 1)),
        losses.cross_entropy(jnp.asarray(z), jnp.asarray(y)),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("scale", [1e-20, 1e-6, 1.0, 1e3, 1e6, 1e20])
def test_the_soft_margin_has_a_slope_and_a_value_at_every_scale(scale):
    z, y = scale * jnp.array([[9.0, 2.0, 1.0, -3.0]]), jnp.array([0])
    value, slope = jax.value_and_grad(lambda z: losses.soft_margin(z, y)[0])(z)
    share = np.exp(scale * (np.array([2.0, 1.0, -3.0]) - 2))
    np.testing.assert_allclose(
        slope[0], [-1, *share / share.sum()], rtol=1e-5, atol=1e-30
    )
    exact = scale * -7 + np.log1p(np.mean(np.expm1(np.log(share + 1e-300))))
    if scale < 1e-3:
        exact = scale * (np.mean([2.0, 1.0, -3.0]) - 9)
    np.testing.assert_allclose(value, exact, rtol=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_ratios_do_not_count_masked_classes(classes):
    z = jnp.array([[3.0, 1.0, 0.5, -1.0]])[:, :classes]
    masked = jnp.concatenate([z, jnp.full((1, 3), -jnp.inf)], axis=1)
    y, target = jnp.array([0]), jnp.array([1])
    for loss in (
        losses.difference_of_logits_ratio,
        lambda z, y: losses.targeted_difference_of_logits_ratio(z, y, target),
    ):
        sloped = jax.value_and_grad(lambda z, loss=loss: loss(z, y)[0])
        plain, plain_slope = sloped(z)
        value, slope = sloped(masked)
        np.testing.assert_allclose(value, plain, rtol=1e-6)
        np.testing.assert_allclose(slope[:, :classes], plain_slope, rtol=1e-6)
        np.testing.assert_array_equal(slope[:, classes:], 0)
    # A target that is masked itself: y is what can be lowered.
    aim = jnp.array([classes])
    slope = jax.grad(
        lambda z: losses.targeted_difference_of_logits_ratio(z, y, aim)[0]
    )(masked)
    assert jnp.isfinite(slope).all()
    assert slope[0, 0] < 0


def test_ratios_know_neither_scale_nor_offset():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(50, 5)).astype(np.float32)
    y = generator.integers(0, 5, 50).astype(np.int32)
    target = jnp.asarray((y + 1) % z.shape[1])
    for loss in (
        losses.difference_of_logits_ratio,
        lambda z, y: losses.targeted_difference_of_logits_ratio(z, y, target),
    ):
        np.testing.assert_allclose(
            loss(jnp.asarray(z), jnp.asarray(y)),
            loss(jnp.asarray(3 * z - 5), jnp.asarray(y)),
            rtol=1e-3,
        )


def test_kl_divergence():
    z = jnp.array([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])
    np.testing.assert_allclose(losses.kl_divergence(z, z), 0, atol=1e-6)
    # One coin of 1/2 against one of sigmoid(s).
    s = jnp.array([1.5])
    p = 1 / (1 + np.exp(-1.5))
    np.testing.assert_allclose(
        losses.kl_divergence(s, jnp.zeros(1)),
        [0.5 * np.log(0.5 / (1 - p)) + 0.5 * np.log(0.5 / p)],
        rtol=1e-5,
    )
