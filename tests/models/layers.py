"""Layers in plain numpy and float64, and random variables for networks."""

import jax
import jax.numpy as jnp
import numpy as np

EPSILON, MOMENTUM = 1e-5, 0.9


def as_double(tree):
    return jax.tree.map(lambda array: np.asarray(array, np.float64), tree)


def convolution(x, kernel, stride=1, edge=None):
    """Sums over the kernel's pixels; `edge` zeros around, or as keep the size."""
    edge = kernel.shape[0] // 2 if edge is None else edge
    x = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))
    return np.einsum("nhwcij,ijco->nhwo", windows[:, ::stride, ::stride], kernel)


def relu(x):
    return np.where(x > 0, x, 0)


def batch_norm(x, params, stats, moved=None):
    """With running statistics, or with x's own, whose moved ones `moved` gets."""
    mean, variance = stats["mean"], stats["var"]
    if moved is not None:
        rows = x.reshape(-1, x.shape[-1])
        own = rows.mean(0), ((rows - rows.mean(0)) ** 2).mean(0)
        moved["mean"], moved["var"] = (
            MOMENTUM * old + (1 - MOMENTUM) * new
            for old, new in zip((mean, variance), own, strict=True)
        )
        mean, variance = own
    return (x - mean) / np.sqrt(variance + EPSILON) * params["scale"] + params["bias"]


def part(moved, name):
    """The place for a module's moved statistics; None where nothing moves."""
    return None if moved is None else moved.setdefault(name, {})


def dense(x, params):
    return x @ params["kernel"] + params["bias"]


def drawn(network, seed=0):
    """Variables none of which are 0 or 1, without compiling what draws them.

    Kernels are normal as He drew them, scales and variances in [0.5, 1.5], biases and
    means in [-0.2, 0.2].
    """
    shapes = jax.eval_shape(network.init, jax.random.key(seed))
    generator = np.random.default_rng(seed)

    def random(path, array):
        kind = path[-1].key
        if kind == "kernel":
            deviation = np.sqrt(2 / np.prod(array.shape[:-1]))
            values = generator.normal(0, deviation, array.shape)
        elif kind in ("scale", "var"):
            values = generator.uniform(0.5, 1.5, array.shape)
        else:
            values = generator.uniform(-0.2, 0.2, array.shape)
        return jnp.asarray(values, array.dtype)

    return jax.tree_util.tree_map_with_path(random, shapes)
