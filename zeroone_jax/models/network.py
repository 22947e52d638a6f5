"""What training and evaluation hold of a flax network: a module and its image shape.

Batch-norm statistics are part of the variables and are handed back, never changed in
place. With `dtype=jnp.bfloat16` the network computes in bfloat16 while its parameters,
statistics and logits stay float32.

Example:
    >>> from zeroone_jax.models import cnn
    >>> network = Network(cnn.Module(classes=10, padding=0), shape=(28, 28, 1))
    >>> variables = network.init(jax.random.key(0))
    >>> network.apply(variables, jnp.zeros((5, 28, 28, 1))).shape
    (5, 10)
"""

import dataclasses
import functools
import pathlib
from typing import Any, Protocol

import flax.linen as nn
import flax.struct
import flax.traverse_util
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from zeroone_jax import files
from zeroone_jax.models.classifier import Classifier
from zeroone_jax.types import Array, Key, Params


@flax.struct.dataclass
class Variables:
    """What a network computes with.

    Attributes:
        params: the trained parameters.
        batch_stats: the running means and variances of batch normalisation; an empty
            dictionary for networks without.
    """

    params: Params
    batch_stats: Any


@dataclasses.dataclass(frozen=True)
class Network:
    """A network for images of one shape.

    Its methods take variables as `init` makes them, and images float [n, height, width,
    channels]; they raise ValueError where these have another shape.

    Attributes:
        module: a flax module, called with images float [n, height, width, channels] and
            `train`, which gives logits [n, classes].
        shape: height, width and channels of the images.
        dtype: what it computes in; None is the parameters' own type.
    """

    module: nn.Module
    shape: tuple[int, int, int]
    dtype: DTypeLike | None = None

    def init(self, key: Key) -> Variables:
        """Draws variables to start training from, in JAX's default float type."""
        variables = jax.jit(self._draw)(key)
        return Variables(variables["params"], variables.get("batch_stats", {}))

    def _draw(self, key: Key) -> Any:
        return self.module.init(key, jnp.zeros((1, *self.shape)), train=False)

    def apply(self, variables: Variables, x: Array) -> Array:
        """Computes logits in evaluation mode: running statistics, no dropout.

        Returns:
            [n, classes] of the parameters' float type.
        """
        return self._computed(variables, x, train=False).astype(x.dtype)

    def train(self, variables: Variables, x: Array, key: Key) -> tuple[Array, Any]:
        """Computes logits in training mode: this batch's statistics, dropout by a key.

        Returns:
            Logits [n, classes] of the images' float type, and the new running
            statistics.
        """
        logits, changed = self._computed(
            variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        return logits.astype(x.dtype), changed.get("batch_stats", {})

    def bind(self, variables: Variables) -> "Trained":
        """Makes the callable of the network and its variables; see `Trained`."""
        return Trained(variables, self)

    def _computed(self, variables: Variables, x: Array, **settings: Any) -> Any:
        if x.shape[1:] != self.shape:
            raise ValueError(
                f"x has shape {x.shape}, but the network takes images of {self.shape}"
            )
        params = variables.params
        if self.dtype is not None:
            x = x.astype(self.dtype)
            params = jax.tree.map(lambda a: a.astype(self.dtype), params)
        everything = {"params": params, "batch_stats": variables.batch_stats}
        # flax computes statistics in float32 whatever the images are.
        with jax.numpy_dtype_promotion("standard"):
            return self.module.apply(everything, x, **settings)


class _Applied(Protocol):
    @property
    def shape(self) -> tuple[int, int, int]: ...

    def init(self, key: Key) -> Variables: ...

    def apply(self, variables: Variables, x: Array) -> Array: ...


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["variables"],
    meta_fields=["network"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class Trained(Classifier):
    """A network, or an ensemble, with what it computes with, in evaluation mode.

    Attributes:
        variables: the weights, as its `init` makes them.
        network: a `Network` or an `Ensemble`.
    """

    variables: Variables
    network: _Applied

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        return self.network.shape

    def logits(self, x: Array) -> Array:
        """Logits [n, classes] of images [n, height, width, channels]."""
        return self.network.apply(self.variables, x)


def save(path: pathlib.Path, variables: Variables) -> None:
    """Writes variables to an `.npz` file, named by their places in the network.

    Args:
        path: where, ending in ".npz"; the caller sees to it that no half file is left.
        variables: of any network.
    """
    files.write_npz(path, _flat(variables))


def load(path: pathlib.Path, network: _Applied) -> Variables:
    """Reads what `save` wrote, of a network or an ensemble.

    Raises:
        ValueError: the file is damaged, or holds another network's variables.
        FileNotFoundError: there is no such file.
    """
    flat = files.read_npz(path)
    wanted = _flat(jax.eval_shape(network.init, jax.random.key(0)))
    found, expected = (
        {name: array.shape for name, array in each.items()} for each in (flat, wanted)
    )
    if found != expected:
        differing = sorted(dict(found.items() ^ expected.items()))
        raise ValueError(
            f"{path} holds another network's variables: {', '.join(differing[:5])} "
            f"differ from those of {network}"
        )
    nested = flax.traverse_util.unflatten_dict(jax.tree.map(jnp.asarray, flat), sep="/")
    return Variables(nested["params"], nested.get("batch_stats", {}))


def _flat(variables: Variables) -> dict[str, Any]:
    nested = {"params": variables.params, "batch_stats": variables.batch_stats}
    return flax.traverse_util.flatten_dict(nested, sep="/")
