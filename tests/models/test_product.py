"""Products for training against numpy, with both gradients, alone and in ensembles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import mlp, product


def drawn(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("members", [None, 3])
def test_product_and_gradients_are_numpys(members):
    lead = () if members is None else (members,)
    x, kernel, slope = (
        drawn(*lead, *shape, seed=seed)
        for seed, shape in enumerate([(5, 7), (7, 2), (5, 2)])
    )

    def value_and_gradients(x, kernel, slope):
        value, back = jax.vjp(product.trained, x, kernel)
        return value, *back(slope)

    if members is not None:
        value_and_gradients = jax.vmap(value_and_gradients)
    found = jax.jit(value_and_gradients)(x, kernel, slope)
    x, kernel, slope = (np.asarray(a, np.float64) for a in (x, kernel, slope))
    expected = (
        x @ kernel,
        slope @ np.swapaxes(kernel, -1, -2),
        np.swapaxes(x, -1, -2) @ slope,
    )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_forward_derivatives_and_second_ones():
    x, kernel, along = drawn(5, 7), drawn(7, 2, seed=1), drawn(7, 2, seed=2)
    _, moved = jax.jvp(lambda k: product.trained(x, k), (kernel,), (along,))
    np.testing.assert_allclose(moved, x @ along, atol=1e-5)

    def cubes(kernel):
        return jnp.sum(product.trained(x, kernel) ** 3)

    _, curved = jax.jvp(jax.grad(cubes), (kernel,), (along,))
    expected = x.T @ (6 * (x @ kernel) * (x @ along))
    np.testing.assert_allclose(curved, expected, rtol=1e-4, atol=1e-4)


def test_a_network_says_the_same_in_training():
    network, x = mlp.Module(classes=2, hidden=(4, 3)), drawn(6, 2, 2, 3)
    variables = network.init(jax.random.key(0), x)
    evaluated, trained = (
        network.apply(variables, x, train=train) for train in (False, True)
    )
    np.testing.assert_allclose(trained, evaluated, atol=1e-5)
