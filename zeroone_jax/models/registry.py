"""Every gradient-trained network by its name, as launchers ask for it.

Example:
    >>> import jax, jax.numpy as jnp
    >>> network = build("mlp_relu200", (28, 28, 1), classes=10)
    >>> network.apply(network.init(jax.random.key(0)), jnp.zeros((5, 28, 28, 1))).shape
    (5, 10)
"""

import difflib
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from jax.typing import DTypeLike

from zeroone_jax.models import binarized, cnn, lipschitz, mlp, preact_resnet, resnet
from zeroone_jax.models.network import Network

_WIDTHS = (1, 2, 4, 8, 16, 32, 64)

NETWORKS: Final[Mapping[str, Callable[..., Any]]] = types.MappingProxyType(
    {
        "mlp_sigmoid20": mlp.Module,
        "binarized20": binarized.Module,
        "mlp_relu200": partial(mlp.Module, hidden=(200, 200), activation="relu"),
        "lipschitz_linear": lipschitz.Module,
        "lipschitz_mlp": partial(lipschitz.Module, hidden=(256, 256)),
        "lenet": cnn.Module,
        "simple_net": partial(cnn.Module, hidden=(1000,)),
        "lenet_valid": partial(cnn.Module, padding=0),
        "lenet_narrow": partial(cnn.Module, padding=0, hidden=(30, 21)),
        "small_cnn": cnn.Small,
        **{f"strided_{width}": partial(cnn.Strided, width=width) for width in _WIDTHS},
        "contrast_32": cnn.Contrasted,
        "patch_resnet8": partial(resnet.Module, blocks=1, width=32, patch=2),
        "resnet20": partial(resnet.Module, blocks=3),
        "resnet32": partial(resnet.Module, blocks=5),
        "resnet44": partial(resnet.Module, blocks=7),
        "resnet56": partial(resnet.Module, blocks=9),
        "preact_resnet18": preact_resnet.Module,
        "wrn_28_10": partial(preact_resnet.Wide, depth=28, width=10),
        "wrn_34_10": partial(preact_resnet.Wide, depth=34, width=10),
    }
)
"""What makes a network's module, given `classes=`.

A module has a `least_size`, which images must be high and wide.
"""


def available() -> tuple[str, ...]:
    """Lists the names that `build` knows, from small networks to large ones."""
    return tuple(NETWORKS)


def build(
    name: str,
    shape: tuple[int, int, int],
    classes: int,
    dtype: DTypeLike | None = None,
) -> Network:
    """Makes a network by its name.

    Args:
        name: one of `available()`.
        shape: height, width and channels of the images.
        classes: logits, at least 2.
        dtype: what it computes in; None is the parameters' own type.

    Returns:
        The network; its `init` draws variables.

    Raises:
        ValueError: there is no such network, too few classes, or the images are too
            small for it.
    """
    if name not in NETWORKS:
        spelt = name.lower().replace("-", "_")
        near = difflib.get_close_matches(spelt, NETWORKS, n=3)
        rest = [other for other in NETWORKS if other not in near]
        raise ValueError(f"no network {name!r}; there are {', '.join(near + rest)}")
    if classes < 2:
        raise ValueError(f"classes is {classes}, but must be at least 2")
    module = NETWORKS[name](classes=classes)
    if min(shape[:2]) < module.least_size or shape[2] < 1:
        raise ValueError(
            f"images of shape {shape} are too small for {name}, which needs a height "
            f"and width of at least {module.least_size} and a channel"
        )
    return Network(module, shape, dtype)
