"""A tiny network twice, in flax and in plain NumPy, and the methods' common parts.

The flax network keeps the last two batches that it saw in training mode among its
statistics, so that an objective tells which images it trained on. The NumPy one, and
every loss of it, is differentiated by complex steps, which are exact.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.models.network import Network
from zeroone_jax.training.objectives import Batch, Model

SHAPE, HIDDEN, CLASSES, COUNT = (3, 2, 1), 6, 3, 10
KEY = jax.random.key(3)
_SMALL = 1e-30
_EPSILON_OF_FLAX, _MOMENTUM = 1e-5, 0.5

GENERATOR = np.random.default_rng(5)
X = GENERATOR.random((COUNT, *SHAPE))
UNIT = GENERATOR.uniform(-1, 1, X.shape)
PARAMS = {
    "first": {
        "kernel": 1.5 * GENERATOR.normal(size=(6, HIDDEN)),
        "bias": -GENERATOR.normal(size=HIDDEN),
    },
    "second": {
        "kernel": 1.5 * GENERATOR.normal(size=(HIDDEN, CLASSES)),
        "bias": GENERATOR.normal(size=CLASSES),
    },
}
NORMALISED_PARAMS = {
    **PARAMS,
    "norm": {"scale": 0.3 + GENERATOR.random(6), "bias": GENERATOR.random(6)},
}
RUNNING = {"mean": GENERATOR.random(6), "var": 0.05 + GENERATOR.random(6) / 5}


class Module(nn.Module):
    """Two layers, after batch normalisation or not."""

    normalised: bool = False

    @nn.compact
    def __call__(self, x, train):
        before = self.variable("batch_stats", "before", jnp.zeros_like, x)
        last = self.variable("batch_stats", "last", jnp.zeros_like, x)
        if train:
            before.value, last.value = last.value, x
        rows = x.reshape(len(x), -1)
        if self.normalised:
            rows = nn.BatchNorm(not train, momentum=_MOMENTUM, name="norm")(rows)
        hidden = jnp.tanh(nn.Dense(HIDDEN, name="first")(rows))
        return nn.Dense(CLASSES, name="second")(hidden)


@dataclasses.dataclass
class Outcome:
    """What an objective gave, in NumPy."""

    loss: np.ndarray
    gradient: Any
    before: np.ndarray
    last: np.ndarray
    running: Any
    memory: np.ndarray | None
    metrics: dict[str, np.ndarray]


def compiled(objective, normalised=False):
    """An objective as a function of its batch, compiled once."""
    network = Network(Module(normalised), SHAPE)

    @jax.jit
    def graded(params, statistics, batch, key):
        model = Model(network, statistics)
        return jax.value_and_grad(objective, 1, has_aux=True)(key, params, model, batch)

    def run(y, epoch=0, memory=None, key=KEY, x=X):
        params, statistics = variables(normalised, x)
        batch = Batch(x, np.asarray(y, np.int32), np.float32(epoch), memory)
        inputs = jax.tree.map(jnp.asarray, (params, statistics, batch))
        result = jax.tree.map(np.asarray, graded(*inputs, key))
        (loss, info), gradient = result
        seen = info.batch_stats
        running = seen.get("norm")
        return Outcome(
            loss,
            gradient,
            seen["before"],
            seen["last"],
            running,
            info.memory,
            info.metrics,
        )

    return run


def variables(normalised=False, x=X):
    """Parameters, and statistics before anything was seen."""
    nothing = np.zeros_like(x)
    statistics = {"before": nothing, "last": nothing}
    if normalised:
        return NORMALISED_PARAMS, {**statistics, "norm": RUNNING}
    return PARAMS, statistics


def forward(params, x, running=None):
    """The network's logits; without running statistics, in training mode."""
    rows = x.reshape(len(x), -1)
    if "norm" in params:
        mean, variance = moments(rows) if running is None else running.values()
        rows = (rows - mean) / np.sqrt(variance + _EPSILON_OF_FLAX)
        rows = rows * params["norm"]["scale"] + params["norm"]["bias"]
    hidden = np.tanh(rows @ params["first"]["kernel"] + params["first"]["bias"])
    return hidden @ params["second"]["kernel"] + params["second"]["bias"]


def plain(x):
    """The network without batch normalisation."""
    return forward(PARAMS, x)


def evaluating(x, running=RUNNING):
    """The network with batch normalisation, in evaluation mode."""
    return forward(NORMALISED_PARAMS, x, running)


def moments(rows):
    mean = rows.mean(0)
    return mean, ((rows - mean) ** 2).mean(0)


def moved_on(running, x):
    """Running statistics after another batch in training mode."""
    new = dict(zip(("mean", "var"), moments(x.reshape(len(x), -1)), strict=True))
    old_share = _MOMENTUM
    return {
        name: old_share * running[name] + (1 - old_share) * new[name] for name in new
    }


def labels(x):
    return forward(PARAMS, x).argmax(1)


def mostly_right():
    """Labels that the network gives, but for two images."""
    y = labels(X)
    y[[1, 4]] = (y[[1, 4]] + 1) % CLASSES
    return y


def log_softmax(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def cross_entropy(z, y):
    return -log_softmax(z)[np.arange(len(y)), y]


def divergence(outputs, reference):
    """KL from the softmax of `reference` to that of `outputs`."""
    log_p, log_q = log_softmax(reference), log_softmax(outputs)
    return (np.exp(log_p) * (log_p - log_q)).sum(1)


def slope(function, array):
    """The gradient of a real analytic function of an array."""
    result = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        moved = array.astype(complex)
        moved[index] += 1j * _SMALL
        result[index] = function(moved).imag / _SMALL
    return result


def parameter_slope(function, params):
    """The gradient in every parameter."""
    leaves, structure = jax.tree.flatten(params)
    slopes = [
        slope(
            lambda leaf, place=place: function(
                structure.unflatten([*leaves[:place], leaf, *leaves[place + 1 :]])
            ),
            leaves[place],
        )
        for place in range(len(leaves))
    ]
    return structure.unflatten(slopes)


def per_image(number, x):
    return np.broadcast_to(number, len(x)).reshape(-1, 1, 1, 1)


def lengths(perturbation):
    return np.sqrt((perturbation**2).sum((1, 2, 3), keepdims=True))


def project(point, x, epsilon, norm):
    moved = point - x
    if norm == "linf":
        moved = np.clip(moved, -epsilon, epsilon)
    else:
        moved = moved * np.minimum(1, epsilon / np.maximum(lengths(moved), 1e-300))
    return np.clip(x + moved, 0, 1)


def upwards(loss, point, norm):
    """The direction of a step: the sign of the slope, or the slope at length 1."""
    gradient = slope(lambda moved: loss(moved).sum(), point)
    return np.sign(gradient) if norm == "linf" else gradient / lengths(gradient)


def climb(loss, x, start, epsilon, step_size, steps, norm="linf"):
    """Projected gradient ascent, with a radius and a step size of each image."""
    epsilon, step_size = per_image(epsilon, x), per_image(step_size, x)
    point = start
    for _ in range(steps):
        moved = point + step_size * upwards(loss, point, norm)
        point = project(moved, x, epsilon, norm)
    return point


def start_in_ball(x, epsilon, norm):
    """Where the tests let every search in a ball begin."""
    return project(x + per_image(epsilon, x) * UNIT, x, per_image(epsilon, x), norm)


def start_nearby(x):
    """Where the tests let the searches begin that begin beside the image."""
    return np.clip(x + 0.001 * UNIT, 0, 1)


def assert_same(outcome, loss_of_params, params=PARAMS):
    """The loss and its gradient in the parameters are those of a NumPy loss."""
    np.testing.assert_allclose(outcome.loss, loss_of_params(params), rtol=1e-10)
    expected = parameter_slope(loss_of_params, params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10),
        outcome.gradient,
        expected,
    )
