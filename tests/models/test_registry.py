"""Networks by name: what there is, how large it is, what is refused."""

import jax
import jax.numpy as jnp
import pytest

from zeroone_jax import models
from zeroone_jax.models import registry

SIZES = {
    "mlp_sigmoid20": 3073 * 20 + 21 * 10,
    "binarized20": 3072 * 20 + 20 + 20 * 10,
    "mlp_relu200": 3073 * 200 + 201 * 200 + 201 * 10,
    "lipschitz_linear": 3073 * 10,
    "lipschitz_mlp": 3073 * 256 + 257 * 256 + 257 * 10,
    "lenet": 456 + 2416 + 1025 * 120 + 121 * 84 + 85 * 10,
    "simple_net": 456 + 2416 + 1025 * 1000 + 1001 * 10,
    "lenet_valid": 62_006,
    "lenet_narrow": 15_773,
    # Of CIFAR-10's images: 32 pixels a side become 5, and colours 288 weights more.
    "small_cnn": 312_202 + 18 * 32 + (25 - 16) * 64 * 200,
    **{
        f"strided_{width}": 49 * width
        + (16 * width + 1) * 2 * width
        + (128 * width + 1) * (25 * width // 4)
        + (25 * width // 4 + 1) * 10
        for width in (1, 2, 4, 8, 16, 32, 64)
    },
    "contrast_32": 49 * 32 + 513 * 64 + 4097 * 200 + 201 * 10,
    # Convolutions of 12 numbers a patch, normalisations, the dense layer.
    "patch_resnet8": 9 * 32 * (12 + 2 * 32 + 2 * 32 * (1 + 2) + 4 * 64 * (1 + 2))
    + 2 * 32
    + 4 * (32 + 64 + 128)
    + 129 * 10,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "preact_resnet18": 11_171_146,
    "wrn_28_10": 36_479_194,
    "wrn_34_10": 46_160_474,
}
DENSE = {
    "mlp_sigmoid20",
    "mlp_relu200",
    "binarized20",
    "lipschitz_linear",
    "lipschitz_mlp",
}


def test_available_are_these():
    assert models.available() == tuple(SIZES)


DEEP = ("resnet32", "resnet44", "resnet56", "wrn_28_10", "wrn_34_10")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow("deep") if name in DEEP else ())
        for name in SIZES
    ],
)
def test_every_network_takes_images_of_many_shapes(name):
    network = models.build(name, (32, 32, 3), 10)
    variables = jax.eval_shape(network.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables.params)) == SIZES[name]
    least = registry.NETWORKS[name](classes=4).least_size
    network = models.build(name, (least, least + 3, 1), 4, jnp.bfloat16)
    variables = jax.eval_shape(network.init, jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    x = jax.ShapeDtypeStruct((5, *network.shape), jnp.float32)
    logits = jax.eval_shape(network.apply, variables, x)
    assert (logits.shape, logits.dtype) == ((5, 4), jnp.float32)
    logits, _ = jax.eval_shape(network.train, variables, x, jax.random.key(0))
    assert logits.shape == (5, 4)


@pytest.mark.parametrize(
    "name", [name for name in SIZES if "mlp" not in name and name != "binarized20"]
)
@pytest.mark.parametrize("side", [0, 1])
def test_images_that_are_too_small(name, side):
    least = registry.NETWORKS[name](classes=10).least_size
    shape = [least, least, 3]
    shape[side] -= 1
    with pytest.raises(ValueError, match=rf"{name}, which needs .* at least {least}"):
        models.build(name, tuple(shape), 10)


def test_images_without_channels():
    with pytest.raises(ValueError, match="and a channel"):
        models.build("mlp_relu200", (28, 28, 0), 10)


@pytest.mark.parametrize("name", ["resnet20", "lenet", "mlp_relu200"])
def test_too_few_classes(name):
    with pytest.raises(ValueError, match="classes is 1, but must be at least 2"):
        models.build(name, (32, 32, 3), 1)


def test_unknown_names():
    with pytest.raises(ValueError, match="no network 'ResNet-20'; there are resnet20,"):
        models.build("ResNet-20", (32, 32, 3), 10)
    with pytest.raises(ValueError, match="there are wrn_34_10, wrn_28_10, "):
        models.build("WRN-34-10", (32, 32, 3), 10)
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        models.build("?", (32, 32, 3), 10)
    assert str(refused.value).endswith(", ".join(models.available()))
