"""A 01 network on a lattice of weights, as the solver moves it.

Weights are whole numbers and features whole levels, so that every projection and
every output sum is a whole number, exact in float32 whatever the order of summation,
and thresholds are half-integers. A decision of the search then never hangs on
rounding, and no 8-bit image, seen or unseen, comes nearer to a threshold than half a
unit. Only signs matter, so no weight is ever divided: a step is relative to the norm.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.coordinate_descent.basis import Basis
from zeroone_jax.coordinate_descent.program import LEVELS, Program
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array, Key

HIDDEN_NORM = 256.0
"""Norm of a hidden unit's real weights at the start."""

LARGEST_HIDDEN_NORM = 512.0
"""Norm beyond which a hidden unit's weights are halved, after the step that did it.

Half a unit is then at least 3.3e-6 on the scale of unit weights and pixels in [0, 1]
for steps up to .17. A float32 sum of 3,072 products loses about as much at worst
(measured up to 3.3e-6, XLA on a CPU), so a larger norm would be imprudent.
"""

OUTPUT_NORM = 256.0
"""Norm that the output unit's real weights keep."""


class Network(NamedTuple):
    """One network; every weight a whole number, every threshold between two.

    Attributes:
        w1: f32 [h, d], hidden weights.
        t1: f32 [h], a hidden unit is 1 where its projection > t1, else 0.
        w2: f32 [h], output weights.
        t2: f32 [], the output is class 1 where the weighted sum > t2, else class 0.
    """

    w1: Array
    t1: Array
    w2: Array
    t2: Array


def random_weights(key: Key, coordinates: int, program: Program) -> Network:
    """Draws first weights (A2); thresholds are the half-integer below zero.

    Args:
        key: random key.
        coordinates: d.
        program: `hidden`, `start` and `weights` decide.

    Returns:
        A `Network`; a linear one is a single hidden unit that the output copies,
        by a weight of 1 and a threshold of .5.
    """
    units = max(program.hidden, 1)
    hidden_key, output_key = jax.random.split(key)

    def draw(key: Key, shape: tuple[int, ...], norm: float) -> Array:
        if program.start == "uniform":
            weights = jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
        else:
            weights = jax.random.normal(key, shape)
        if program.weights == "binary":
            return jnp.where(weights > 0, 1.0, -1.0)
        length = jnp.linalg.norm(weights, axis=-1, keepdims=True)
        return jnp.round(weights * (norm / length))

    if program.start == "single":
        place = jax.random.randint(hidden_key, (units,), 0, coordinates)
        w1 = HIDDEN_NORM * jax.nn.one_hot(place, coordinates)
    else:
        w1 = draw(hidden_key, (units, coordinates), HIDDEN_NORM)
    if program.hidden == 0:
        return Network(w1, jnp.full(1, -0.5), jnp.ones(1), jnp.float32(0.5))
    w2 = draw(output_key, (units,), OUTPUT_NORM)
    return Network(w1, jnp.full(units, -0.5), w2, jnp.float32(-0.5))


def project(weights: Array, levels: Array) -> Array:
    """Projections f32 [h, n] of levels [d, n] on weights [h, d]."""
    return jnp.dot(weights, levels, precision="highest")


def output_sums(weights: Array, hidden: Array) -> Array:
    """Weighted sums f32 [n] of hidden values [h, n]."""
    return jnp.dot(weights, hidden, precision="highest")


def hidden_values(projection: Array, thresholds: Array) -> Array:
    """Hidden values f32 [h, n], 0 or 1."""
    return (projection > thresholds[:, None]).astype(jnp.float32)


def norm(weights: Array) -> Array:
    """The L2 norm f32 [...] of whole-numbered weights [..., d]."""
    return jnp.sqrt(jnp.sum(weights * weights, axis=-1))


def output_scale(program: Program) -> float:
    """How many units of an output sum make a score of 1."""
    real = program.weights == "real" and program.hidden > 0
    return OUTPUT_NORM if real else 1.0


def as_params(
    network: Network, program: Program, basis: Basis | None = None
) -> zero_one.Params:
    """The networks as a model on features in [0, 1].

    Real weights get unit norm, binary ones stay -1 and 1; the output weights of
    cross-entropy training keep the scale that makes a score a logit.

    Args:
        network: arrays with any leading axes, the last of them votes.
        program: what the networks were trained by.
        basis: of the coordinates; None if they are pixels.

    Returns:
        Parameters in float32, computed in float64.
    """
    w1, t1, w2, t2 = (np.asarray(array, np.float64) for array in network)
    if basis is not None:
        w1, t1 = basis.on_pixels(w1, t1)
    if program.weights == "real":
        scale = np.linalg.norm(w1, axis=-1, keepdims=True)
        w1, t1 = w1 / scale, t1 / scale[..., 0]
        if program.loss == "cross_entropy":
            w2, t2 = w2 / OUTPUT_NORM, t2 / OUTPUT_NORM
        else:
            scale = np.linalg.norm(w2, axis=-1, keepdims=True)
            w2, t2 = w2 / scale, t2 / scale[..., 0]
    b1, b2 = -t1 / LEVELS, -t2
    if program.hidden_values == "pm":
        # A unit of value v(2H - 1), v = 1/sqrt(h), gives the score 2v(H.w2 - t2).
        value = 1 / np.sqrt(w1.shape[-2])
        b2 = value * (np.sum(w2, axis=-1) - 2 * t2)

    def single(array: np.ndarray) -> Array:
        return jnp.asarray(array, jnp.float32)

    return zero_one.Params(
        single(w1), single(b1), single(w2), single(b2), program.hidden_values
    )
