"""TRADES' small network against numpy: its size, its dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models import layers
from zeroone_jax.models import cnn
from zeroone_jax.models.network import Network

NETWORK = Network(cnn.Small(classes=3), (17, 16, 2))


@pytest.fixture(scope="module")
def variables():
    return layers.drawn(NETWORK)


def images(count=4):
    return jax.random.uniform(jax.random.key(9), (count, *NETWORK.shape))


def oracle(variables, x):
    """Float64 logits and the first dense layer's units."""
    params, x = layers.as_double((variables.params, x))
    for layer in range(4):
        conv = params[f"Conv_{layer}"]
        x = layers.relu(layers.convolution(x, conv["kernel"], edge=0) + conv["bias"])
        if layer % 2:
            count, height, width, channels = x.shape
            x = x[:, : height // 2 * 2, : width // 2 * 2]
            x = x.reshape(count, height // 2, 2, width // 2, 2, channels).max((2, 4))
    units = layers.relu(layers.dense(x.reshape(len(x), -1), params["Dense_0"]))
    return head(params, units), units


def head(params, units):
    hidden = layers.relu(layers.dense(units, params["Dense_1"]))
    return layers.dense(hidden, params["Dense_2"])


def test_evaluation_is_numpys(variables):
    x = images()
    expected, _ = oracle(variables, x)
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        jax.jit(NETWORK.apply)(variables, x), expected, rtol=1e-4, atol=1e-4
    )


def test_dropout_is_in_training_and_of_the_key(variables):
    x, train = images(count=1), jax.jit(NETWORK.train)
    drawn = [train(variables, x, jax.random.key(seed))[0] for seed in (0, 0, 1)]
    evaluated = NETWORK.apply(variables, x)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    for other in (drawn[2], evaluated):
        assert not np.allclose(drawn[0], other, atol=1e-3)
    assert train(variables, x, jax.random.key(0))[1] == {}


def test_dropout_keeps_half_of_the_units_doubled(variables):
    """Logits that add up the units: their mean and variance over many keys."""
    x = images(count=1)
    _, units = oracle(variables, x)
    params = jax.tree.map(jnp.asarray, variables.params)
    # Layer 1 passes units on, above 0; layer 2 adds them up.
    params["Dense_1"] = {"kernel": jnp.eye(200), "bias": jnp.zeros(200)}
    params["Dense_2"] = {"kernel": jnp.ones((200, 3)), "bias": jnp.zeros(3)}
    train = jax.jit(lambda key: NETWORK.train(changed, x, key)[0][0, 0])
    changed = variables.replace(params=params)
    sums = jax.vmap(train)(jax.random.split(jax.random.key(0), 1000))
    assert float(sums.mean()) == pytest.approx(units.sum(), rel=0.02)
    # A unit u becomes 0 or 2u: its variance is u squared.
    deviation = np.sqrt((units**2).sum())
    assert float(sums.std()) == pytest.approx(deviation, rel=0.1)


def test_published_size():
    x = jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.float32)
    variables = jax.eval_shape(cnn.Small().init, jax.random.key(0), x)
    # 28 pixels a side become 26, 24, by pooling 12, then 10, 8, by pooling 4.
    convolutions = 10 * 32 + (9 * 32 + 1) * (32 + 64) + (9 * 64 + 1) * 64
    written = convolutions + (4 * 4 * 64 + 1) * 200 + 201 * 200 + 201 * 10
    assert written == 312_202
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == written


def test_bfloat16(variables):
    x = images()
    rough = Network(NETWORK.module, NETWORK.shape, jnp.bfloat16)
    logits, batch_stats = jax.jit(rough.train)(variables, x, jax.random.key(0))
    exact, _ = NETWORK.train(variables, x, jax.random.key(0))
    assert logits.dtype == jnp.float32
    assert batch_stats == {}
    np.testing.assert_allclose(logits, exact, rtol=0.1, atol=0.1)
