"""Randomised smoothing against the closed form, and against what noise it needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from zeroone_jax.verification import smoothed

KEY = jax.random.key(0)
SHAPE = (3, 2, 1)
NORMAL = np.array([0.5, -0.5, 0.5, 0.1, -0.4, 0.3])
NORMAL = NORMAL / np.linalg.norm(NORMAL)


def linear(x):
    """Class 1 where a projection is above .3."""
    return x.reshape(len(x), -1) @ jnp.asarray(NORMAL, x.dtype) - 0.3


def images(count, seed=1):
    return jax.random.uniform(jax.random.key(seed), (count, *SHAPE))


def margins(x):
    return np.asarray(x, np.float64).reshape(len(x), -1) @ NORMAL - 0.3


def test_of_a_linear_classifier_it_nears_the_distance():
    """Smoothing leaves a linear classifier as it is: the radius is the distance."""
    x, sigma, told = images(60), 0.25, []
    found = smoothed(KEY, linear, x, sigma, samples=4000, report=told.append)
    assert told == [16, 32, 48, 60]
    distance = np.abs(margins(x))
    said = found.labels >= 0
    assert said.mean() > 0.8
    assert (found.labels[said] == (margins(x) > 0)[said]).all()
    assert (found.radius <= distance).all()
    assert (found.radius[~said] == 0).all()
    # So few hits as four deviations below their mean hardly ever come.
    p = scipy.stats.norm.cdf(distance / sigma)
    few = np.floor(4000 * p - 4 * np.sqrt(4000 * p * (1 - p)) - 1)
    bound = scipy.stats.beta.ppf(0.001, few, 4001 - few)
    least = sigma * scipy.stats.norm.ppf(np.maximum(bound, 0.5))
    assert (found.radius >= least).all()
    assert (least > 0.7 * distance).mean() > 0.5
    # No more can be certified of so many samples, all of one label.
    most = sigma * scipy.stats.norm.ppf(0.001 ** (1 / 4000))
    assert found.radius.max() <= most + 1e-9


def test_the_bound_is_that_of_the_binomial():
    """At the bound, so many hits or more would come once in 1 / error times."""

    def mostly(x):
        return jnp.sum(x, axis=(1, 2, 3)) - 2.9

    x = jnp.full((1, *SHAPE), 0.5)
    for samples in (50, 1000):
        found = smoothed(KEY, mostly, x, 0.5, samples=samples, error=0.01)
        if found.labels[0] < 0:
            continue
        p = scipy.stats.norm.cdf(found.radius[0] / 0.5)
        tails = scipy.stats.binom.sf(np.arange(samples) - 1, samples, p)
        assert np.abs(tails - 0.01).min() < 1e-6


def test_it_abstains_where_no_label_is_sure():
    def torn(x):
        return jnp.sum(x - 0.5, axis=(1, 2, 3))

    found = smoothed(KEY, torn, jnp.full((20, *SHAPE), 0.5), 0.3, samples=200)
    assert (found.labels == -1).mean() > 0.9
    assert (found.radius[found.labels == -1] == 0).all()


@pytest.mark.parametrize("batch", [300, 77, 1000])
def test_every_copy_counts_once_whatever_the_batch(batch):
    """Of images far from the border all 300 copies say the same."""
    x = jnp.stack([jnp.zeros(SHAPE), jnp.ones(SHAPE)])
    found = smoothed(KEY, linear, x, 0.03, samples=300, batch=batch)
    most = 0.03 * scipy.stats.norm.ppf(0.001 ** (1 / 300))
    np.testing.assert_allclose(found.radius, most, rtol=1e-12)


def test_three_classes():
    def of_three(x):
        total = jnp.sum(x, axis=(1, 2, 3))
        return jnp.stack([-total, jnp.full_like(total, -2.5), total - 6.0], axis=1)

    x = jnp.stack([jnp.full(SHAPE, level) for level in (0.1, 0.5, 0.9)])
    found = smoothed(KEY, of_three, x, 0.02, samples=200)
    np.testing.assert_array_equal(found.labels, [0, 1, 2])


@pytest.mark.parametrize(
    "wrong", [{"sigma": 0.0}, {"samples": 0}, {"first": -1}, {"error": 1.0}]
)
def test_what_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        smoothed(KEY, linear, images(2), **{"sigma": 0.1, **wrong})
