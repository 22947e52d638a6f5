"""Pre-activation networks, wide and not, against numpy; their published sizes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models import layers
from zeroone_jax.models import preact_resnet
from zeroone_jax.models.network import Network

SHAPE = (5, 8, 2)
WIDE = Network(preact_resnet.Wide(depth=10, width=2, classes=3), SHAPE)
FRUGAL = Network(preact_resnet.Wide(depth=10, width=2, classes=3, remat=True), SHAPE)


def images(network, count=3):
    return jax.random.uniform(jax.random.key(9), (count, *network.shape))


def block(x, params, stats, stride, moved=None):
    """The paper's formula; `moved` gets the running statistics after training."""

    def activated(value, name):
        norm = params[name], stats[name], layers.part(moved, name)
        return layers.relu(layers.batch_norm(value, *norm))

    active = activated(x, "BatchNorm_0")
    value = layers.convolution(active, params["Convolution_0"]["kernel"], stride)
    value = activated(value, "BatchNorm_1")
    value = layers.convolution(value, params["Convolution_1"]["kernel"])
    if "shortcut" in params:
        x = layers.convolution(active, params["shortcut"]["kernel"], stride)
    return x + value


def oracle(variables, x, moved=None):
    """Float64 logits of wide networks with one block in each stage."""
    params, stats, x = layers.as_double((variables.params, variables.batch_stats, x))
    x = layers.convolution(x, params["Convolution_0"]["kernel"])
    for index, stride in enumerate((1, 2, 2)):
        name = f"Block_{index}"
        x = block(x, params[name], stats[name], stride, layers.part(moved, name))
    name = "BatchNorm_0"
    x = layers.batch_norm(x, params[name], stats[name], layers.part(moved, name))
    return layers.dense(layers.relu(x).mean((1, 2)), params["Dense_0"])


@pytest.fixture(scope="module")
def variables():
    return layers.drawn(WIDE)


def test_evaluation_is_numpys(variables):
    x = images(WIDE)
    expected = oracle(variables, x)
    assert expected.std() > 0.1
    logits = jax.jit(WIDE.apply)(variables, x)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_training_is_numpys_and_remat_changes_nothing(variables):
    x, moved = images(WIDE), {}
    expected = oracle(variables, x, moved)
    moved = jax.tree.map(lambda array: np.asarray(array, np.float32), moved)
    gradients = []
    for network in (WIDE, FRUGAL):

        def loss(params, network=network):
            changed = variables.replace(params=params)
            logits, batch_stats = network.train(changed, x, jax.random.key(0))
            return jnp.sin(logits).sum(), (logits, batch_stats)

        derivative = jax.jit(jax.grad(loss, has_aux=True))
        gradient, (logits, batch_stats) = derivative(variables.params)
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
        chex.assert_trees_all_close(batch_stats, moved, rtol=1e-4, atol=1e-5)
        gradients.append(gradient)
    chex.assert_trees_all_close(*gradients, rtol=1e-3, atol=1e-4)


def test_remat_convolves_again(variables):
    x, counts = images(WIDE), []
    for network in (WIDE, FRUGAL):
        pixels = jax.grad(lambda x, network=network: network.apply(variables, x).sum())
        counts.append(str(jax.make_jaxpr(pixels)(x)).count("conv_general_dilated["))
    assert counts[1] > counts[0]


@pytest.mark.parametrize(("inputs", "stride"), [(4, 1), (3, 1), (4, 2)])
def test_block_is_numpys(inputs, stride):
    module = preact_resnet.Block(4, stride)
    network = Network(module, (4, 5, inputs))
    x = jax.random.normal(jax.random.key(1), (2, *network.shape))
    variables = layers.drawn(network)
    has_shortcut = (inputs, stride) != (4, 1)
    assert ("shortcut" in variables.params) == has_shortcut
    double = layers.as_double((variables.params, variables.batch_stats))
    expected = block(np.asarray(x, np.float64), *double, stride)
    np.testing.assert_allclose(network.apply(variables, x), expected, atol=1e-4)


def size(module):
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), x)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def written_size(stem, stages, blocks, last_norm):
    """Adds up kernels and two numbers a channel of every normalisation."""
    total, inputs = 27 * stem, stem
    for outputs in stages:
        for _ in range(blocks):
            total += 2 * inputs + 9 * inputs * outputs
            total += 2 * outputs + 9 * outputs * outputs
            total += inputs * outputs if inputs != outputs else 0
            inputs = outputs
    return total + (2 * inputs if last_norm else 0) + (inputs + 1) * 10


@pytest.mark.parametrize(
    ("depth", "blocks", "expected"), [(28, 4, 36_479_194), (34, 5, 46_160_474)]
)
def test_published_sizes_of_wide_networks(depth, blocks, expected):
    assert size(preact_resnet.Wide(depth, 10)) == expected
    assert written_size(16, (160, 320, 640), blocks, True) == expected


def test_published_size_of_preact_resnet18():
    assert size(preact_resnet.Module()) == 11_171_146
    assert written_size(64, (64, 128, 256, 512), 2, False) == 11_171_146


@pytest.mark.parametrize("depth", [4, 12, 29])
def test_bad_depth(depth):
    with pytest.raises(ValueError, match=f"depth is {depth}, but must be 10, 16"):
        size(preact_resnet.Wide(depth, 1))


@pytest.mark.parametrize(("remat", "most"), [(False, 10), (True, 1)])
@pytest.mark.slow("a deep network")
def test_a_large_batch_fits_a_card_of_40_gigabytes(remat, most):
    """What a batch of 256 keeps for gradients in bfloat16, in GiB, by shapes alone.

    Parameters, momentum, gradients and an average are 46 million float32 each: .7 GiB
    together.
    """
    module = preact_resnet.Wide(34, 10, 10, remat)
    network = Network(module, (32, 32, 3), jnp.bfloat16)
    variables = jax.eval_shape(network.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((256, 32, 32, 3), jnp.float32)

    def kept(variables, x):
        def loss(params):
            return network.train(variables.replace(params=params), x, jax.random.key(0))

        return jax.vjp(loss, variables.params, has_aux=True)[1]

    arrays = jax.tree.leaves(jax.eval_shape(kept, variables, x))
    size = sum(array.size * array.dtype.itemsize for array in arrays) / 2**30
    assert 0.5 < size < most
