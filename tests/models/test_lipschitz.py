"""Lipschitz networks: nothing is lengthened, and the radius they tell is certain."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks
from zeroone_jax.models import Network, lipschitz

SHAPE = (4, 3, 2)
DEEP = (10, 40, 6)
"""Fewer units than inputs, then more, then fewer."""


def drawn(hidden, classes, seed=0):
    """A network whose kernels are far from orthogonal."""
    network = Network(lipschitz.Module(classes, hidden), SHAPE)
    variables = network.init(jax.random.key(seed))
    keys = iter(jax.random.split(jax.random.key(seed + 1), 20))
    noisy = jax.tree.map(
        lambda leaf: (
            leaf + (leaf.ndim - 0.9) * jax.random.normal(next(keys), leaf.shape)
        ),
        variables,
    )
    return network.bind(noisy)


def images(seed, count=50):
    return jax.random.uniform(jax.random.key(seed), (count, *SHAPE))


def lengths(x):
    return np.linalg.norm(np.asarray(x, np.float64).reshape(len(x), -1), axis=1)


def weights(model, layer):
    """A layer's weights as numpy finds them."""
    kernel = model.variables.params[f"_Orthogonal_{layer}"]["kernel"]
    kernel = np.asarray(kernel, np.float64)
    if kernel.shape[0] < kernel.shape[1]:
        return positive_qr(kernel.T).T
    return positive_qr(kernel)


def positive_qr(columns):
    orthonormal, triangular = np.linalg.qr(columns)
    return orthonormal * np.sign(np.diag(triangular))


def test_logits_are_those_of_numpy():
    model = drawn(DEEP, 5)
    value = np.asarray(images(3), np.float64).reshape(50, -1)
    for layer in range(4):
        bias = model.variables.params[f"_Orthogonal_{layer}"]["bias"]
        value = value @ weights(model, layer) + np.asarray(bias, np.float64)
        if layer < 3:
            pairs = np.sort(value.reshape(50, -1, 2))[..., ::-1]
            value = pairs.reshape(value.shape)
    np.testing.assert_allclose(model(images(3)), value, atol=2e-6)


@pytest.mark.parametrize(
    "hidden", [(), pytest.param(DEEP, marks=pytest.mark.slow("a deep network"))]
)
@hypothesis.settings(max_examples=20)
@hypothesis.given(st.integers(0, 2**31 - 1), st.floats(1e-3, 2))
def test_no_difference_gets_longer(hidden, seed, size):
    model = drawn(hidden, 4, seed % 5)
    x = images(seed)
    moved = x + size * jax.random.normal(jax.random.key(seed + 1), x.shape)
    apart = lengths(model(x) - model(moved))
    assert (apart <= lengths(x - moved) * (1 + 1e-5) + 1e-5).all()


@pytest.mark.parametrize(
    ("hidden", "classes"),
    [((), 2), ((), 5), pytest.param(DEEP, 5, marks=pytest.mark.slow("a deep network"))],
)
def test_no_attack_succeeds_inside(hidden, classes):
    model, x = drawn(hidden, classes), images(7)
    y = attacks.as_label_fn(model)(x)
    radius = np.asarray(lipschitz.certified_radius(model(x), y))
    assert (radius >= 0).all()
    found = attacks.fab(norm="l2")(jax.random.key(0), model, x, y)
    near = lengths(found.adversary - x)[np.asarray(found.success)]
    assert len(near) > 10
    assert (near >= radius[np.asarray(found.success)] * (1 - 1e-4)).all()


def test_of_two_linear_classes_it_is_the_distance():
    model, x = drawn((), 2), images(7)
    y = attacks.as_label_fn(model)(x)
    radius = np.asarray(lipschitz.certified_radius(model(x), y))
    columns = weights(model, 0)
    across = (columns[:, 1] - columns[:, 0]) / np.sqrt(2)
    towards = np.where(np.asarray(y) == 0, 1, -1)
    change = (radius * towards)[:, None] * across
    for share, same in ((0.999, True), (1.001, False)):
        moved = x + jnp.asarray(share * change, jnp.float32).reshape(x.shape)
        assert (np.asarray(attacks.as_label_fn(model)(moved) == y) == same).all()


def test_of_wrong_labels_it_is_negative():
    logits = jnp.array([[1.0, 3.0], [3.0, 1.0]])
    radius = lipschitz.certified_radius(logits, jnp.array([0, 0]))
    np.testing.assert_allclose(radius, [-(2**0.5), 2**0.5], rtol=1e-6)


def test_units_come_in_pairs():
    with pytest.raises(ValueError, match="there are 5 hidden units, but must be even"):
        drawn((5,), 2)


@pytest.mark.parametrize(
    "hidden", [(), pytest.param(DEEP, marks=pytest.mark.slow("a deep network"))]
)
def test_gradients_are_those_of_differences(hidden):
    with jax.enable_x64():
        network = Network(lipschitz.Module(3, hidden), SHAPE)
        x = jnp.asarray(images(1, 8), jnp.float64)
        variables = network.init(jax.random.key(0))

        def total(scale):
            moved = jax.tree.map(lambda leaf: leaf + scale * jnp.cos(leaf), variables)
            return jnp.sum(jnp.sin(network.apply(moved, x)))

        slope = jax.grad(total)(0.3)
        difference = (total(0.3 + 1e-5) - total(0.3 - 1e-5)) / 2e-5
    assert float(slope) == pytest.approx(float(difference), rel=1e-5)
