"""PDGD and PDPGD against numpy versions; proximal steps against their problem."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from tests.attacks.test_perturbation import nearest_in_ball
from zeroone_jax import attacks
from zeroone_jax.attacks.pdpgd import proximal


def shrunk(move, strength, norm):
    """The proximal step of a norm for one image, in closed form."""
    if norm == "linf":
        return move - nearest_in_ball(move[None], strength, "l1")[0]
    if norm == "l2":
        return move * max(1 - strength / np.linalg.norm(move), 0)
    return np.sign(move) * np.maximum(abs(move) - strength, 0)


def points_in_numpy(params, x, y, norm, steps, total):
    """The points of one image; of PDGD where the norm is None."""
    points = [x]
    first = second = np.zeros_like(x)
    dual = -np.log(0.01)
    weight = 1 / (1 + np.exp(dual))
    for turn in range(steps):
        margin, slope = models.margin_in_numpy(params, points[-1], y)
        gradient = -slope / (1 + np.exp(margin)) * (margin <= 0)
        move = points[-1] - x
        if norm is None:
            length = np.linalg.norm(move)
            unit = move / length if length > 0 else move
            gradient = weight * unit + (1 - weight) * gradient
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        mean = first / (1 - 0.9 ** (turn + 1))
        root = np.sqrt(second / (1 - 0.999 ** (turn + 1))) + 1e-8
        rate = 0.1 * 0.01 ** (turn / total)
        point = ahead = np.clip(points[-1] - rate * mean / root, 0, 1)
        if norm is not None:
            strength = weight / (1 - weight) * rate / root.max()
            for _ in range(5):
                mixed = point + root / root.max() * (ahead - point) - x
                before = point
                point = np.clip(x + shrunk(mixed, strength, norm), 0, 1)
                change = np.linalg.norm(point - before)
                if change <= 0.01 * np.linalg.norm(point - x):
                    break
        points.append(point)
        dual -= np.sign(margin) * 0.1 * (1 - 0.9 * turn / total)
        weight = 0.9 * weight + 0.1 / (1 + np.exp(dual))
    return points


@pytest.mark.parametrize("norm", [None, "linf", "l2", "l1"])
def test_points_are_those_of_the_paper(norm):
    attack = attacks.pdgd(iterations=40)
    if norm is not None:
        attack = attacks.pdpgd(norm=norm, iterations=40)
    params, x, y, points = models.points_of(attack, 12)
    for i in range(len(x)):
        expected = points_in_numpy(params, x[i], y[i], norm, 12, 40)
        np.testing.assert_allclose(points[i], expected, atol=1e-7)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_nothing_near_is_better_than_the_proximal_step(norm):
    generator = np.random.default_rng(0)
    move = generator.normal(size=(6, 5)).astype(np.float32)
    strength = np.float32([0.01, 0.1, 0.3, 0.5, 1.0, 5.0])

    def objective(z):
        power = {"linf": abs(z).max(-1), "l2": np.linalg.norm(z, axis=-1)}
        power |= {"l1": abs(z).sum(-1), "l0": (abs(z) ** (2 / 3)).sum(-1)}
        return np.square(z - move).sum(-1) / 2 + strength * power[norm]

    found = np.asarray(proximal(jnp.asarray(move), jnp.asarray(strength), norm))
    for _ in range(300):
        far = 10 ** generator.uniform(-4, 0)
        other = found + far * generator.normal(size=found.shape)
        other *= generator.integers(0, 2, found.shape) | generator.integers(0, 2)
        assert (objective(found) <= objective(other) + 1e-6).all()
    assert (objective(found) <= objective(move)).all()
    assert (objective(found) <= objective(np.zeros_like(move))).all()
