"""Networks of others whose robustness verifiers know: see the reference's own notes.

Weights are arguments of the functions, so that other types and scales of one network
share its compiled attacks.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.reproductions.paper_a import oval as oval_networks


class Known(NamedTuple):
    """A network and images of known answers.

    Attributes:
        fn: images to logits.
        x: float32 [n, h, w, c] in [0,1].
        y: i32 [n].
        breakable: bool [n], whether an adversary exists in the ball of `epsilon`.
        epsilon: float [n], Linf radii.
        lower: float [n], no adversary is nearer in Linf.
        exact: float [n], the distance of the nearest adversary, NaN where unknown.
    """

    fn: Any
    x: jax.Array
    y: jax.Array
    breakable: np.ndarray
    epsilon: np.ndarray
    lower: np.ndarray
    exact: np.ndarray


def mnist(folder: pathlib.Path, dtype: Any = jnp.float32, scale: float = 1.0) -> Known:
    """The MNIST network of Wong and Kolter, 16 breakable images and 48 proved ones."""
    stored = np.load(folder / "wk17a_mnist.npz")
    weights = {
        name: jnp.asarray(stored[name], dtype)
        for name in stored
        if name.startswith(("conv", "dense"))
    }
    fn = jax.tree_util.Partial(_mnist_logits, weights, jnp.asarray(scale, dtype))
    x = jnp.asarray(stored["images"][..., None] / 255, jnp.float32)
    breakable = stored["verdict"] == 1
    epsilon = np.full(len(x), float(stored["epsilon"]))
    y = jnp.asarray(stored["labels"], jnp.int32)
    lower, exact = np.where(breakable, 0.0, epsilon), np.full(len(x), np.nan)
    lower[breakable] = np.nan_to_num(stored["lower_bound"])
    exact[breakable] = stored["exact_distance"]
    return Known(fn, x, y, breakable, epsilon, lower, exact)


def oval(folder: pathlib.Path, name: oval_networks.Name) -> Known:
    """OVAL's network of CIFAR-10, each image with its own radius."""
    stored = np.load(folder / "oval21_cifar10.npz")
    breakable, epsilon = (stored[f"{name}_{key}"] for key in ("falsifiable", "epsilon"))
    return Known(
        oval_networks.network(stored, name),
        jnp.asarray(stored[f"{name}_images"] / 255, jnp.float32),
        jnp.asarray(stored[f"{name}_label"], jnp.int32),
        breakable,
        epsilon,
        np.where(breakable, 0.0, epsilon),
        np.full(len(epsilon), np.nan),
    )


def _mnist_logits(weights: dict[str, jax.Array], scale: jax.Array, x: jax.Array):
    h = x.astype(scale.dtype)
    for name in ("conv1", "conv2"):
        h = jax.nn.relu(_convolved(h, weights, name, 2, ((1, 1), (1, 1))))
    # The dense layer's inputs were channels first.
    h = h.transpose(0, 3, 1, 2).reshape(len(h), -1)
    h = jax.nn.relu(h @ weights["dense1"] + weights["dense1_bias"][None, :])
    return scale * (h @ weights["dense2"] + weights["dense2_bias"][None, :])


def _convolved(h, weights, name, stride, padding):
    out = jax.lax.conv_general_dilated(
        h,
        weights[f"{name}_kernel"],
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return out + weights[f"{name}_bias"][None, None, None, :]
