"""Networks of others that are robust by proof: OVAL's, after Wong and Kolter.

Two convolutional networks of CIFAR-10's ten classes, trained to be provably robust in
Linf within 2/255, in the file oval21_cifar10.npz where a checkout has it beside it.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import runs
from zeroone_jax.types import Array, LogitsFn

from ... import attacked_models
from ...studies.target import REFERENCE, Foreign

Name: TypeAlias = Literal["wide", "deep"]

_FILE = REFERENCE / "oval21_cifar10.npz"


@dataclasses.dataclass(frozen=True)
class Oval(Foreign):
    """One of the two networks.

    Attributes:
        name: which.
    """

    name: Name

    def settings(self) -> dict[str, Any]:
        """Who trained it, and which it is."""
        return {"trained": "oval", "name": self.name}

    def missing(self) -> str:
        """Whether its file is here."""
        return "" if _FILE.exists() else f"OVAL's networks are not at {_FILE}"

    def model(self) -> attacked_models.Model:
        """Reads it."""
        source = attacked_models.Source(classes=())
        logits_fn = network(runs.read_npz(_FILE), self.name)
        return attacked_models.Model(logits_fn, source, jnp.dtype(jnp.float32))


def network(stored: Mapping[str, np.ndarray], name: Name) -> LogitsFn:
    """Makes one network of what the file holds, from images to logits."""
    own = {
        key.removeprefix(f"{name}_"): array
        for key, array in stored.items()
        if key.startswith(f"{name}_")
    }
    strides = tuple(
        tuple(own[key].tolist()) for key in sorted(own) if key.endswith("stride_pad")
    )
    weights = {
        key: jnp.asarray(array, jnp.float32)
        for key, array in own.items()
        if key.startswith(("conv", "dense")) and not key.endswith("stride_pad")
    }
    scale = (jnp.asarray(stored[key], jnp.float32) for key in ("mean", "std"))
    return jax.tree_util.Partial(functools.partial(_logits, strides), weights, *scale)


def _logits(
    strides: tuple[tuple[int, int], ...],
    weights: Mapping[str, Array],
    mean: Array,
    std: Array,
    x: Array,
) -> Array:
    h = (x - mean[None, None, None, :]) / std[None, None, None, :]
    for number, (stride, padding) in enumerate(strides, 1):
        h = jax.lax.conv_general_dilated(
            h,
            weights[f"conv{number}_kernel"],
            (stride, stride),
            ((padding, padding), (padding, padding)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        h = jax.nn.relu(h + weights[f"conv{number}_bias"][None, None, None, :])
    # The first dense layer's inputs were channels first.
    h = h.transpose(0, 3, 1, 2).reshape(len(h), -1)
    first, last = (f"dense{len(strides) + number}" for number in (1, 2))
    h = jax.nn.relu(h @ weights[first] + weights[f"{first}_bias"][None, :])
    return h @ weights[last] + weights[f"{last}_bias"][None, :]
