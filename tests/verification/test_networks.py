import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.verification.oracles import small_networks
from zeroone_jax.models import zero_one
from zeroone_jax.verification.networks import Image, Networks


@hypothesis.given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.sampled_from(zero_one.HIDDEN_VALUES),
)
def test_flips_of_units_flip_the_votes_they_should(seed, votes, hidden_values):
    params = small_networks(seed, votes, 4, 3, hidden_values)
    x, other = np.random.default_rng(seed).uniform(size=(2, 3))
    networks = Networks.of(params)
    image = Image.of(networks, x)
    before, after = np.asarray(zero_one.votes(params, jnp.stack([x, other]))).T
    assert image.label == zero_one.predict(params, x[None])[0]
    np.testing.assert_array_equal(image.standing, before == image.label)
    change = networks.distances(other) - networks.distances(x)
    certain, possible = image.flipped(image.beyond(change), 1e-9)
    np.testing.assert_array_equal(certain, before != after)
    np.testing.assert_array_equal(possible, before != after)


@pytest.mark.parametrize(
    ("votes", "ones"),
    [(votes, ones) for votes in (1, 2, 3, 4, 5, 8) for ones in range(votes + 1)],
)
def test_the_fewest_flips_that_change_a_majority(votes, ones):
    said = jnp.where(jnp.arange(votes) < ones, 1.0, -1.0)
    params = zero_one.linear(jnp.zeros((votes, 1)), said)
    image = Image.of(Networks.of(params), np.array([0.5]))
    label = int(2 * ones > votes)
    assert image.label == label
    fewest = next(
        flips
        for flips in range(votes + 1)
        if (2 * (ones - flips if label else ones + flips) > votes) != label
    )
    assert image.flips == fewest


def test_units_without_weights_never_flip():
    params = zero_one.Params(
        w1=jnp.array([[[0.0, 0.0], [1.0, 0.0]]]),
        b1=jnp.array([[1.0, -0.5]]),
        w2=jnp.array([[2.0, 1.0]]),
        b2=jnp.array([-2.5]),
    )
    image = Image.of(Networks.of(params), np.array([0.75, 0.5]))
    assert image.label == 1
    np.testing.assert_allclose(image.gains, [[0.0, 1.0]])
    np.testing.assert_allclose(image.need, [0.5])


@pytest.mark.parametrize("hidden_values", zero_one.HIDDEN_VALUES)
def test_an_image_on_a_hyperplane_has_the_networks_label(hidden_values):
    params = zero_one.Params(
        w1=jnp.array([[[1.0, 0.0], [0.0, 0.0]]]),
        b1=jnp.array([[-0.5, 0.0]]),
        w2=jnp.array([[1.0, 0.0]]),
        b2=jnp.array([-0.1]),
        hidden_values=hidden_values,
    )
    x = np.array([0.5, 0.25])
    image = Image.of(Networks.of(params), x)
    assert image.label == zero_one.predict(params, x[None])[0]
    assert image.label == (hidden_values == "pm")


def test_only_finite_networks_of_two_classes():
    params = zero_one.init(jax.random.key(0), features=2, hidden=2, classes=3)
    with pytest.raises(ValueError, match=r"3 classes .* only two"):
        Networks.of(params)
    params = small_networks(0, 1, 2, 2)
    with pytest.raises(ValueError, match="w2 holds numbers that are not finite"):
        Networks.of(params.replace(w2=params.w2.at[0, 0].set(jnp.nan)))
