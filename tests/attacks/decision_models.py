"""Small models for decision attacks, and what to expect of them."""

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.types import Array

SHAPE = (6, 5, 2)
WEIGHTS = np.random.default_rng(3).normal(size=60).astype(np.float32)


def linear(x: Array) -> Array:
    """Labels by the side of a hyperplane through the middle of the box."""
    return _linear(jnp.asarray(0.0), x)


def shifted(offset: float) -> jax.tree_util.Partial:
    """The linear model with its hyperplane elsewhere; one compilation serves all."""
    return jax.tree_util.Partial(_linear, jnp.asarray(offset))


def _linear(offset: Array, x: Array) -> Array:
    flat = x.reshape(len(x), -1) - 0.5
    ahead = jnp.matmul(flat, WEIGHTS, precision="highest") + offset
    return (ahead > 0).astype(jnp.int32)


def linear_distance(x: Array, norm: str) -> np.ndarray:
    """Exact distances to the hyperplane, where the box does not bind."""
    weights = WEIGHTS.astype(np.float64)
    ahead = (np.asarray(x, np.float64).reshape(len(x), -1) - 0.5) @ weights
    dual = np.linalg.norm(weights, 2 if norm == "l2" else 1)
    return np.abs(ahead) / dual


def ball(x: Array) -> Array:
    """Three classes: near the middle, and two halves of what is farther away."""
    flat = x.reshape(len(x), -1) - 0.5
    outside = jnp.sum(flat * flat, axis=1) > 1.5
    side = jnp.where(flat[:, 0] > 0, 1, 2)
    return jnp.where(outside, side, 0).astype(jnp.int32)


def images(seed: int, count: int) -> tuple[Array, Array]:
    """Images near the middle of the box, and the linear model's labels of them."""
    noise = jax.random.uniform(jax.random.key(seed), (count, *SHAPE))
    x = 0.5 + 0.3 * (noise - 0.5)
    return x, linear(x)
