"""ResNets for CIFAR-10: the paper's sizes, and every number against numpy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models import layers
from zeroone_jax.models import resnet
from zeroone_jax.models.network import Network

TINY = Network(resnet.Module(blocks=1, classes=3), (5, 6, 2))


def images(network, count=3):
    return jax.random.uniform(jax.random.key(9), (count, *network.shape))


def block(x, params, stats, channels, stride, moved):
    """The paper's formula; the shortcut's new channels are on both sides."""
    value = x
    for layer, step in enumerate((stride, 1)):
        kernel, name = params[f"Convolution_{layer}"]["kernel"], f"BatchNorm_{layer}"
        value = layers.convolution(value, kernel, step)
        norm = params[name], stats[name], layers.part(moved, name)
        value = layers.batch_norm(value, *norm)
        value = layers.relu(value) if layer == 0 else value
    before = (channels - x.shape[-1]) // 2
    value[..., before : before + x.shape[-1]] += x[:, ::stride, ::stride]
    return layers.relu(value)


def oracle(variables, x, blocks, moved=None):
    """Float64 logits; `moved` gets the running statistics after training."""
    params, stats, x = layers.as_double((variables.params, variables.batch_stats, x))
    x = layers.convolution(x, params["Convolution_0"]["kernel"])
    name = "BatchNorm_0"
    x = layers.batch_norm(x, params[name], stats[name], layers.part(moved, name))
    x = layers.relu(x)
    for index in range(3 * blocks):
        channels = 16 * 2 ** (index // blocks)
        stride = 2 if index in (blocks, 2 * blocks) else 1
        name = f"Block_{index}"
        parts = params[name], stats[name], channels, stride, layers.part(moved, name)
        x = block(x, *parts)
    return layers.dense(x.mean((1, 2)), params["Dense_0"])


def test_resnet20_is_numpys():
    network = Network(resnet.Module(blocks=3), (8, 8, 3))
    variables, x = layers.drawn(network), images(network)
    expected = oracle(variables, x, 3)
    assert expected.std() > 0.1
    logits = jax.jit(network.apply)(variables, x)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def variables():
    return layers.drawn(TINY)


def test_training_is_numpys_and_moves_every_statistic(variables):
    x, moved = images(TINY), {}
    expected = oracle(variables, x, 1, moved)
    logits, batch_stats = jax.jit(TINY.train)(variables, x, jax.random.key(0))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    moved = jax.tree.map(lambda array: np.asarray(array, np.float32), moved)
    chex.assert_trees_all_close(batch_stats, moved, rtol=1e-4, atol=1e-5)


def test_evaluation_is_training_with_the_batchs_statistics(variables):
    """Statistics that no longer move under training make evaluation equal it."""
    x, train = images(TINY), jax.jit(TINY.train)
    for _ in range(160):
        logits, batch_stats = train(variables, x, jax.random.key(0))
        variables = variables.replace(batch_stats=batch_stats)
    evaluated = jax.jit(TINY.apply)(variables, x)
    np.testing.assert_allclose(evaluated, logits, rtol=1e-4, atol=1e-4)


def test_bfloat16(variables):
    x = images(TINY)
    rough = Network(TINY.module, TINY.shape, jnp.bfloat16)

    def loss(params, batch_stats):
        logits, batch_stats = rough.train(
            variables.replace(params=params, batch_stats=batch_stats),
            x,
            jax.random.key(0),
        )
        return logits.sum(), (logits, batch_stats)

    gradient, (logits, batch_stats) = jax.jit(jax.grad(loss, has_aux=True))(
        variables.params, variables.batch_stats
    )
    chex.assert_trees_all_equal_dtypes(gradient, variables.params)
    chex.assert_trees_all_equal_dtypes(batch_stats, variables.batch_stats)
    chex.assert_tree_all_finite(gradient)
    expected = oracle(variables, x, 1, {})
    assert not np.allclose(logits, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, expected, rtol=0.1, atol=0.1)


def test_float64():
    with jax.enable_x64():
        variables = layers.drawn(TINY)
        x = images(TINY)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {x.dtype}
        moved = {}
        expected = oracle(variables, x, 1, moved)
        logits, batch_stats = jax.jit(TINY.train)(variables, x, jax.random.key(0))
        np.testing.assert_allclose(logits, expected, atol=1e-10)
        chex.assert_trees_all_close(batch_stats, moved, atol=1e-12)


@pytest.mark.parametrize(
    ("blocks", "size"), [(3, 269_722), (5, 464_154), (7, 658_586), (9, 853_018)]
)
def test_the_papers_networks_have_as_many_parameters(blocks, size):
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(resnet.Module(blocks).init, jax.random.key(0), x)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == size
    # Convolutions, two numbers a channel of each normalisation, the dense layer.
    written = 27 * 16 + 2 * 16 + 65 * 10
    for inputs, outputs in ((16, 16), (16, 32), (32, 64)):
        convolutions = 9 * inputs * outputs + (2 * blocks - 1) * 9 * outputs**2
        written += convolutions + 2 * blocks * 2 * outputs
    assert written == size


@pytest.mark.parametrize("stride", [1, 2])
def test_shortcut(stride):
    x = jax.random.normal(jax.random.key(0), (2, 5, 4, 3))
    wide = np.asarray(resnet.shortcut(x, 7, stride))
    np.testing.assert_array_equal(wide[..., 2:5], x[:, ::stride, ::stride])
    assert not wide[..., :2].any()
    assert not wide[..., 5:].any()
    assert wide.shape[-1] == 7


def test_patches_are_cut_row_by_row():
    x = jnp.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    cut = np.asarray(resnet.patches(x, 2))
    assert cut.shape == (2, 2, 3, 12)
    for row, column in np.ndindex(2, 3):
        square = x[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        np.testing.assert_array_equal(cut[:, row, column], square.reshape(2, -1))


def test_a_network_on_patches_is_the_network_of_cut_images():
    network = Network(resnet.Module(blocks=1, width=4, patch=2), (8, 12, 3))
    plain = Network(resnet.Module(blocks=1, width=4), (4, 6, 12))
    variables, x = layers.drawn(network), images(network)
    np.testing.assert_array_equal(
        network.apply(variables, x), plain.apply(variables, resnet.patches(x, 2))
    )


def test_zeros_fill_the_last_patches():
    x = jax.random.uniform(jax.random.key(0), (2, 5, 7, 3))
    filled = jnp.zeros((2, 6, 8, 3)).at[:, :5, :7].set(x)
    np.testing.assert_array_equal(resnet.patches(x, 2), resnet.patches(filled, 2))
