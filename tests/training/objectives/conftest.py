"""Objectives are compared in float64, from starts that their oracles know."""

import jax
import jax.numpy as jnp
import pytest

from tests.training.objectives import twin
from zeroone_jax.attacks.perturbation import each, project
from zeroone_jax.training.objectives import (
    adversarial,
    aligned_slopes,
    individual,
    moved_weights,
    noisy_step,
)


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def _known_starts(monkeypatch):
    def in_ball(key, x, y, epsilon, norm):
        del key, y
        radius = jnp.broadcast_to(jnp.asarray(epsilon, x.dtype), x.shape[:1])
        return project(x + each(radius, x) * twin.UNIT, x, epsilon, norm)

    def nearby(key, x, y, epsilon, norm):
        del key, y, epsilon, norm
        return jnp.clip(x + 0.001 * twin.UNIT, 0, 1)

    drawing = adversarial, aligned_slopes, individual, moved_weights, noisy_step
    for module in drawing:
        monkeypatch.setattr(module, "random_start", in_ball)
    monkeypatch.setattr(adversarial, "nearby_start", nearby)
