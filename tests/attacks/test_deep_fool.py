"""DeepFool against closed forms and a numpy version of the published algorithm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks, losses

KEY = jax.random.key(0)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_linear_models_give_the_closed_form(norm, classes):
    fn, weights, bias, x, y = models.linear(7, 40, classes, images=20)
    out = attacks.deep_fool(norm=norm)(KEY, fn, x, y)
    expected = models.closed_form(weights, bias, x, y, norm)
    assert out.success.all()
    ratio = np.asarray(out.distance) / expected
    assert ratio.max() < 1.01
    assert ratio.min() > 1
    models.check_result(out, fn, x, y, norm)
    # The image, it and one move, six looks, and the frame's two.
    assert (np.asarray(out.queries) == 1 + 2 * max(1, classes - 1) + 6 + 2).all()


def moves_in_numpy(params, image, y, norm, overshoot, moves):
    """Algorithm 2 without its end, and the box as in the authors' program."""
    total, point = 0.0, image
    for _ in range(moves):
        z, gradients = models.mlp_in_numpy(params, point)
        best = np.inf
        for k in range(len(z)):
            if k == y:
                continue
            w, f = gradients[k] - gradients[y], z[k] - z[y]
            if norm == "l2":
                distance, way = abs(f) / np.linalg.norm(w), w / np.linalg.norm(w)
            else:
                distance, way = abs(f) / abs(w).sum(), np.sign(w)
            if distance < best:
                best, move = distance, distance * way
        total = total + move
        point = np.clip(image + (1 + overshoot) * total, 0, 1)
    return point


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_moves_are_those_of_algorithm_2(norm):
    fn, params, x, y = models.mlp(0)
    attack = attacks.deep_fool(norm=norm, overshoot=0.01)
    state = attack.init(KEY, fn, x, y)
    step = jax.jit(lambda state: attack.step(KEY, fn, state))
    for moves in (1, 2):
        state, info = step(state)
        for i in np.flatnonzero(state.memory.searching):
            expected = moves_in_numpy(
                params, np.float64(x[i]), int(y[i]), norm, 0.01, moves
            )
            np.testing.assert_allclose(state.memory.point[i], expected, atol=2e-5)
            assert info.length[i] > 0
        assert state.memory.searching.sum() > 1


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_box_does_not_hold_moves_up(norm):
    # Black and white pixels, half of which cannot move where the slope points: moves
    # that are clipped come nearer and nearer to the boundary, and never cross it.
    fn, _, _, x, _ = models.linear(11, 60, images=12)
    x = jnp.where(x > 0.5, 1.0, 0.0)
    y = losses.labels(fn(x))
    out = attacks.deep_fool(norm=norm)(KEY, fn, x, y)
    assert out.success.all()
    models.check_result(out, fn, x, y, norm)


def test_candidates_are_the_classes_next_to_the_label():
    fn, _, _, x, y = models.linear(2, classes=5)
    state = attacks.deep_fool(candidates=3).init(KEY, fn, x, y)
    z = np.array(fn(x))
    z[np.arange(len(y)), y] = -np.inf
    expected = np.argsort(-z, axis=1)[:, :2]
    np.testing.assert_array_equal(state.memory.others, expected)


def test_looking_at_more_classes_never_is_farther_on_linear_models():
    fn, _, _, x, y = models.linear(8, classes=6)
    two, all_of_them = (
        attacks.deep_fool(candidates=count)(KEY, fn, x, y).distance for count in (2, 6)
    )
    assert (all_of_them <= two * 1.001).all()
    assert (all_of_them < two * 0.999).any()


def test_an_image_without_slopes_is_given_up_at_once():
    fn = jax.tree_util.Partial(
        models.linear_logits, jnp.zeros((4, 3)), jnp.array([1.0, 0, 0])
    )
    x = jnp.full((2, 4), 0.5)
    out = attacks.deep_fool()(KEY, fn, x, jnp.zeros(2, jnp.int32))
    assert not out.success.any()
    assert (out.queries == 1 + 2 + 2).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targeted": True}, "targeted is True, but DeepFool"),
        ({"norm": "l1"}, "norm is 'l1'"),
        ({"iterations": 0}, "iterations is 0"),
        ({"iterations": 2.5}, "iterations is 2.5, but must be a whole number"),
        ({"candidates": 2.5}, "candidates is 2.5, but must be a whole number"),
        ({"overshoot": -0.1}, "overshoot is -0.1"),
        ({"candidates": 1}, "candidates is 1, but must be at least 2"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.deep_fool(**settings)
