"""What it takes to add a network or an attack: one file, and a line that names it."""

import types
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, losses, models, runs, training
from zeroone_jax.attacks.perturbation import project
from zeroone_jax.attacks.state import State
from zeroone_jax.models import registry
from zeroone_jax.training import objectives
from zeroone_jax.types import Number

KEY = jax.random.key(0)
SHAPE = (4, 4, 1)


class Tiny(nn.Module):
    """Softmax regression."""

    classes: int
    least_size = 1

    @nn.compact
    def __call__(self, x, train=False):
        del train
        return nn.Dense(self.classes)(x.reshape(len(x), -1))


class Seen(NamedTuple):
    """Nothing is told."""


class TowardsGrey(attacks.Attack, name="towards_grey"):
    """Moves every pixel towards grey."""

    epsilon: Number
    strides: int = 3

    needs: ClassVar = "labels"
    norms: ClassVar = ("linf",)
    in_ball: ClassVar = True

    def init(self, key, fn, x, y, start=None):
        del key, fn, start
        return State.beginning(x, y, ())

    def step(self, key, fn, state):
        del key
        share = (state.iteration + 1).astype(state.x.dtype) / self.strides
        ahead = state.x + share * (0.5 - state.x)
        point = project(ahead, state.x, self.epsilon, self.norm)
        broken = self.broken(self.labels(fn, point), state.y) & state.active
        left = state.active & ~broken & (state.iteration + 1 < self.strides)
        return state.onward(point, broken, state.found | broken, left, ()), Seen()


@pytest.mark.slow("trains")
def test_a_network(monkeypatch):
    known = {**registry.NETWORKS, "tiny": Tiny}
    monkeypatch.setattr(registry, "NETWORKS", types.MappingProxyType(known))
    network = models.build("tiny", SHAPE, classes=2)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (32, *SHAPE), np.uint8)
    labels = (images.reshape(32, -1).mean(axis=1) > 127).astype(np.int32)
    config = training.Config(epochs=2, batch_size=16)
    state = training.fit(KEY, network, objectives.natural(), images, labels, config)
    model = network.bind(training.variables(state))
    x = jnp.asarray(images, jnp.float32) / 255
    found = attacks.pgd(epsilon=0.2, iterations=5)(KEY, model, x, model.labels(x))
    assert found.success.any()


@pytest.mark.slow("compiles a new attack")
def test_an_attack():
    attack = TowardsGrey(epsilon=0.3)
    assert repr(attack).startswith("towards_grey(norm='linf'")
    assert runs.from_json(runs.to_json(attack)) == attack

    def model(x):
        return losses.labels(jnp.mean(x.reshape(len(x), -1), axis=1) - 0.3)

    x = jnp.linspace(0.05, 0.95, 8)[:, None, None, None] * jnp.ones((1, *SHAPE))
    y = model(x)
    found = attack(KEY, model, x, y, devices=jax.devices()[:2])
    # Grey is 1: dark images turn, as far as they are within .3 of the boundary.
    values = np.linspace(0.05, 0.95, 8)
    expected = (values <= 0.3) & (np.minimum(values + 0.3, 0.5) > 0.3)
    np.testing.assert_array_equal(found.success, expected)
    radii = jnp.where(jnp.arange(8) % 2 == 0, 0.3, 1e-3)
    each = TowardsGrey(epsilon=radii)(KEY, model, x, y)
    np.testing.assert_array_equal(each.success, expected & (np.arange(8) % 2 == 0))
