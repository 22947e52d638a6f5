"""Robust networks that come with the library, to attack or to start from.

Example:
    >>> import jax.numpy as jnp
    >>> model = pretrained("mnist_linf")
    >>> model(jnp.zeros((5, 28, 28, 1))).shape
    (5, 10)
"""

import pathlib
import types
from collections.abc import Mapping
from typing import Final, NamedTuple

from zeroone_jax.models import network as networks
from zeroone_jax.models.network import Trained
from zeroone_jax.models.registry import build

_WEIGHTS: Final = pathlib.Path(__file__).with_name("weights")


class Pretrained(NamedTuple):
    """A network whose weights lie beside the code.

    Attributes:
        network: its name, as `build` knows it.
        data: the data set that it was trained on.
        shape: of its images.
        about: how it was trained, and what is left of its accuracy under attack.
    """

    network: str
    data: str
    shape: tuple[int, int, int]
    about: str


PRETRAINED: Final[Mapping[str, Pretrained]] = types.MappingProxyType(
    {
        "mnist_linf": Pretrained(
            network="contrast_32",
            data="mnist",
            shape=(28, 28, 1),
            about="PGD training, 28 epochs, Linf ball of .3 (--preset=mnist_contrast): "
            "natural .9943, AutoAttack .926 (1,000 images)",
        ),
        "cifar10_linf": Pretrained(
            network="patch_resnet8",
            data="cifar10",
            shape=(32, 32, 3),
            about="PGD training, 30 epochs, Linf ball of 8/255 (--preset=cifar10_pgd): "
            "natural .6733, AutoAttack .351 (1,000 images)",
        ),
    }
)
"""Every such network by its name."""


def pretrained(name: str) -> Trained:
    """Loads a network that comes with the library.

    Args:
        name: one of `PRETRAINED`, which tells what each is.

    Returns:
        The network with its weights in float32, for images in [0,1].

    Raises:
        ValueError: there is no such network.
    """
    if name not in PRETRAINED:
        raise ValueError(f"no pretrained {name!r}; there are {', '.join(PRETRAINED)}")
    network = build(PRETRAINED[name].network, PRETRAINED[name].shape, classes=10)
    return network.bind(networks.load(_WEIGHTS / f"{name}.npz", network))
