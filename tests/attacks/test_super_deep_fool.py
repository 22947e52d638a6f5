"""SuperDeepFool against a numpy version of the published algorithm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks

KEY = jax.random.key(0)


def algorithm_2(params, x, y, steps, overshoot=0.02):
    """The points of one image, SDF(inf, 1), with deep_fool's least rise of a move."""
    points, projected = [x], False
    z, _ = models.mlp_in_numpy(params, x)
    least = overshoot * (z[y] - np.delete(z, y).max())
    for _ in range(steps):
        z, gradients = models.mlp_in_numpy(params, points[-1])
        others = [k for k in range(len(z)) if k != y]
        planes = [(z[k] - z[y], gradients[k] - gradients[y]) for k in others]
        ahead, w = min(
            planes, key=lambda plane: abs(plane[0]) / np.linalg.norm(plane[1])
        )
        broken = np.argmax(z) != y
        if broken and projected:
            return points
        if broken:
            point = x + ((points[-1] - x) @ w) / (w @ w) * w
        else:
            rise = max(abs(ahead), least)
            point = points[-1] + (1 + overshoot) * rise / (w @ w) * w
        projected = broken
        points.append(np.clip(point, 0, 1))
    return points


def test_points_are_those_of_algorithm_2():
    params, x, y, points = models.points_of(attacks.super_deep_fool(), 8, seed=10)
    longest = 0
    for i in range(len(x)):
        expected = np.array(algorithm_2(params, x[i], y[i], 8))
        longest = max(longest, len(expected))
        np.testing.assert_allclose(points[i][: len(expected)], expected, atol=1e-8)
    assert longest > 4


@pytest.mark.slow("compiles two attacks for it")
def test_it_is_nearer_than_deep_fool():
    nearer = []
    for seed in range(4):
        fn, _, x, y = models.mlp(seed)
        out = attacks.super_deep_fool()(KEY, fn, x, y)
        assert out.success.all()
        nearer.append(
            np.asarray(out.distance / attacks.deep_fool()(KEY, fn, x, y).distance)
        )
    assert np.max(nearer) < 1.01
    assert np.mean(nearer) < 1


def test_an_image_without_slopes_is_given_up_at_once():
    fn = jax.tree_util.Partial(
        models.linear_logits, jnp.zeros((10, 4)), jnp.array([1.0, 0, 0, 0])
    )
    x = jnp.full((5, 10), 0.5)
    out = attacks.super_deep_fool()(KEY, fn, x, jnp.zeros(5, jnp.int32))
    assert not out.success.any()
    assert (out.queries == 1 + 3 + 2).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "linf"}, "norm is 'linf'"),
        ({"iterations": 0}, "iterations is 0"),
        ({"overshoot": -0.1}, "overshoot is -0.1"),
        ({"candidates": 1}, "candidates is 1, but must be at least 2"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.super_deep_fool(**settings)
