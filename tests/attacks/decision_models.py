"""Small models for decision attacks, and what to expect of them."""

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.attacks.state import State
from zeroone_jax.types import Array

SHAPE = (6, 5, 2)
RADIUS = 0.8
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


def sphere(x: Array) -> Array:
    """Class 1 outside of a ball around the middle of the box."""
    away = x.reshape(len(x), -1) - 0.5
    return (jnp.sum(away * away, axis=1) > RADIUS**2).astype(jnp.int32)


def far_start(name: str, x: Array, y: Array) -> Array:
    """Adversaries of `linear` ("flat") or `sphere`, away from the walls of the box."""
    noise = jax.random.rademacher(jax.random.key(0), x.shape, x.dtype)
    if name == "round":
        return x + 0.15 * noise
    weights = jnp.asarray(WEIGHTS).reshape(SHAPE)
    away = jnp.where(y == 1, -1, 1)[:, None, None, None] * jnp.sign(weights)[None]
    return x + 0.15 * noise + 0.15 * away


def _flat(images: Array) -> np.ndarray:
    return np.asarray(images, np.float64).reshape(len(images), -1)


def half_circle(
    before: State, after: State
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """A step's images, axes outward and sideways, and its first distances."""
    x, first, second = (
        _flat(one) for one in (before.x, before.adversary, after.adversary)
    )
    distance = np.linalg.norm(first - x, axis=1)
    outward = (first - x) / distance[:, None]
    rest = second - x - np.sum((second - x) * outward, 1)[:, None] * outward
    length = np.linalg.norm(rest, axis=1)[:, None]
    return (x, outward, rest / np.maximum(length, 1e-12)), distance


def inside(before: State, after: State) -> np.ndarray:
    """Where the box did not bend a step's half circle."""
    ends = np.stack([_flat(before.adversary), _flat(after.adversary)])
    return np.abs(ends - 0.5).max(axis=(0, 2)) < 0.499


def leaving(
    name: str,
    x: np.ndarray,
    outward: np.ndarray,
    sideways: np.ndarray,
    distance: np.ndarray,
) -> np.ndarray:
    """The angle at which half circles leave the hits, where no box is in the way.

    Their points are x + d cos(a) (cos(a) outward + sin(a) sideways). Put into the
    boundary's equation and divided by cos(a)^2, they give a quadratic in tan(a):
    here (1 + tan^2) + out + aside tan = 0.
    """
    middle = x - 0.5
    if name == "flat":
        weights = WEIGHTS.astype(np.float64)
        here, out, aside = middle @ weights, outward @ weights, sideways @ weights
        here, out, aside = np.sign(-here) * (here, distance * out, distance * aside)
    else:
        here = np.sum(middle**2, 1) - RADIUS**2
        out = distance**2 + 2 * distance * np.sum(middle * outward, 1)
        aside = 2 * distance * np.sum(middle * sideways, 1)
    root = np.sqrt(aside**2 - 4 * here * (here + out))
    return np.arctan((-aside - root) / (2 * here))
