"""Logits of any scale and type, and masked ones, are attacked with one success."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import known_networks
from tests.attacks import minimum_distance as models
from zeroone_jax import attacks, losses

KEY = jax.random.key(0)
SCALES = (1.0, 300.0, 1000.0, 1e-6, 1e6)


def scaled_logits(scale, params, x):
    return scale * models.mlp_logits(params, x.reshape(len(x), -1))


@functools.cache
def scaled_network(scale):
    """A network of a large margin, and images, for one scale of its logits."""
    _, params, x, _ = models.mlp(3, size=20, hidden=12, classes=5, images=32)
    params = tuple(map(jnp.asarray, (params[0], 8 * params[1], params[2])))
    fn = jax.tree_util.Partial(scaled_logits, jnp.asarray(scale), params)
    x = x.reshape(len(x), 4, 5, 1)
    return fn, x, losses.labels(fn(x))


@pytest.mark.parametrize(
    "attack",
    [
        attacks.pgd(epsilon=0.06, iterations=10),
        attacks.pgd(epsilon=0.06, iterations=10, loss="cross_entropy"),
        attacks.apgd(epsilon=0.06, iterations=10, loss="cross_entropy"),
        *(
            pytest.param(one, marks=pytest.mark.slow("all attacks"))
            for one in (
                attacks.apgd(
                    epsilon=0.06, iterations=6, loss="targeted_dlr", target_classes=2
                ),
                attacks.square(epsilon=0.06, max_queries=60),
            )
        ),
    ],
    ids=lambda attack: f"{type(attack).__name__} {getattr(attack, 'loss', '')}",
)
def test_success_does_not_depend_on_the_scale_of_logits(attack):
    rates = [float(attack(KEY, *scaled_network(s)).success.mean()) for s in SCALES]
    assert 0.2 < rates[0] < 1
    np.testing.assert_allclose(rates, rates[0], atol=0.05)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize(
    "attack",
    [
        attacks.deep_fool(norm="l2"),
        attacks.deep_fool(norm="linf"),
        attacks.fab(norm="l2", iterations=5),
        attacks.carlini_wagner(iterations=60, search_steps=6),
    ],
    ids=lambda attack: f"{type(attack).__name__} {attack.norm}",
)
def test_distances_do_not_depend_on_the_scale_of_logits(attack, scale):
    plain, out = (attack(KEY, *scaled_network(s)) for s in (1.0, scale))
    assert plain.success.mean() > 0.9
    np.testing.assert_allclose(out.success.mean(), plain.success.mean(), atol=0.05)
    # Carlini and Wagner's search begins at another c, and is a short one here.
    tolerance = 0.25 if isinstance(attack, attacks.carlini_wagner) else 1e-4
    np.testing.assert_allclose(
        np.median(out.distance), np.median(plain.distance), rtol=tolerance
    )


def perceptron(dtype):
    """A perceptron of as many inputs as MNIST has, all in one type."""
    generator = np.random.default_rng(0)
    shapes = {(784, 32): 10, (32,): 3, (32, 10): 3}
    weights = [
        jnp.asarray(generator.normal(size=s) / d, dtype) for s, d in shapes.items()
    ]
    x = generator.uniform(-1, 1, (8, 784)).clip(0, 1)
    return jax.tree_util.Partial(typed_logits, weights), jnp.asarray(x, jnp.float32)


def typed_logits(weights, x):
    first, bias, second = weights
    return jax.nn.relu(x.astype(first.dtype) @ first + bias[None, :]) @ second


SHORTENING = [
    attacks.fab(norm="linf", iterations=8),
    attacks.fab(norm="l1", iterations=8),
    attacks.deep_fool(norm="l2"),
    attacks.carlini_wagner(iterations=100, search_steps=5),
]


def assert_found_as_in_float32(attack, plain, coarse, y):
    out, exact = (attack(KEY, *network, y) for network in (coarse, plain))
    assert float(out.success.mean()) >= float(exact.success.mean())
    both = np.asarray(out.success & exact.success & (exact.distance > 0))
    ratio = np.asarray(out.distance)[both] / np.asarray(exact.distance)[both]
    assert 0.9 < np.median(ratio) < 1.1


@pytest.mark.parametrize(
    "dtype",
    [
        jnp.bfloat16,
        pytest.param(jnp.float16, marks=pytest.mark.slow("the same once more")),
    ],
)
@pytest.mark.parametrize("attack", SHORTENING, ids=lambda a: type(a).__name__ + a.norm)
def test_low_precision_loses_no_adversaries(attack, dtype):
    plain, coarse = perceptron(jnp.float32), perceptron(dtype)
    y = losses.labels(plain[0](plain[1]))
    assert_found_as_in_float32(attack, plain, coarse, y)


@pytest.mark.computes
@pytest.mark.slow("a convolutional network in two types")
@pytest.mark.parametrize("attack", SHORTENING[:1] + SHORTENING[2:3])
def test_a_network_in_bfloat16_loses_no_adversaries(reference, attack):
    plain, coarse = (
        known_networks.mnist(reference, dtype) for dtype in (jnp.float32, jnp.bfloat16)
    )
    some = slice(16, 24)
    assert_found_as_in_float32(
        attack,
        (plain.fn, plain.x[some]),
        (coarse.fn, coarse.x[some]),
        losses.labels(plain.fn(plain.x[some])),
    )
