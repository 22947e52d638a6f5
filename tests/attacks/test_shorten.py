"""The looks along a perturbation, on margins that are known functions of the way."""

import chex
import jax.numpy as jnp
import pytest

from zeroone_jax.attacks import shorten

# Margins along the way t in [0,1], with the t at which they turn.
CURVES = {
    "straight": (lambda t: t - 0.8, 0.8),
    "just there": (lambda t: 1e-5 * (t - 0.98), 0.98),
    "convex": (lambda t: t**2 - 0.64, 0.8),
    "concave": (lambda t: jnp.sqrt(t) - 0.9, 0.81),
    "steep": (lambda t: jnp.tanh(8 * (t - 0.7)), 0.7),
    "far": (lambda t: t - 0.3, 0.3),
    "at the end": (lambda t: t - 0.99999, 0.99999),
}


def begin(low_margin, high_margin, rounding=0.0):
    state, _, _ = shorten.begin(
        lambda x: (low_margin + 0 * x[:, 0], jnp.zeros((1, 2))), jnp.zeros((1, 2))
    )
    return state._replace(
        high_margin=high_margin, rounding=jnp.array([rounding], jnp.float32)
    )


def shortened(curve):
    """The fraction kept, or 1, and whether any look was confirmed."""
    x = jnp.zeros((1, 2))
    adversary = jnp.array([[0.5, 0.0]])
    state = begin(curve(jnp.zeros(1)), curve(jnp.ones(1)))
    kept, confirmed = jnp.ones(1), jnp.zeros(1, bool)
    for _ in range(shorten.LOOKS):
        assert not confirmed[0]
        look = shorten.look_at(state, x, adversary)
        fraction = look[:, 0] / 0.5
        margin = curve(fraction)
        state, confirmed = shorten.update(state, margin, margin > 0)
        kept = jnp.where(confirmed, fraction, kept)
    assert state.left[0] == 0
    return float(kept[0]), bool(confirmed[0])


@pytest.mark.parametrize("name", CURVES)
def test_the_turning_point_is_found_and_backed_off_from(name):
    curve, turn = CURVES[name]
    fraction, confirmed = shortened(curve)
    assert confirmed
    assert turn * (1 + 0.99 * shorten.BACK_OFF) <= fraction <= turn * 1.003


def test_a_point_not_seen_to_be_an_adversary_is_not_kept():
    # An island: from its near end, backing off leads into the sea again.
    turns = 0.9995

    def island(t):
        return jnp.where((t > turns) & (t <= 1), 1.0, -1.0)

    x, adversary = jnp.zeros((1, 1)), jnp.full((1, 1), 0.5)
    state = begin(-jnp.ones(1), jnp.ones(1))._replace(
        low=jnp.ones(1), left=jnp.ones(1, jnp.int32)
    )
    look = shorten.look_at(state, x, adversary)
    margin = island(look[:, 0] / 0.5)
    assert not shorten.update(state, margin, margin > 0)[1][0]


def test_margins_of_rounding_are_no_margins():
    state = begin(-jnp.ones(1), jnp.ones(1), rounding=1e-4)
    broken = jnp.array([True])
    assert shorten.update(state, jnp.array([0.9e-4]), broken)[0].high[0] == 1
    assert shorten.update(state, jnp.array([1.1e-4]), broken)[0].high[0] < 1


def test_rounding_is_that_of_pixels_and_logits():
    weights = jnp.array([[3.0], [-2.0]])

    def margin(x):
        return (x @ weights)[:, 0] - 100, x @ weights * jnp.array([[0.0, 1.0]])

    x = jnp.array([[0.5, 0.25], [1.0, 1.0]])
    state, z, _slope = shorten.begin(margin, x)
    chex.assert_trees_all_close(z, margin(x)[1])
    chex.assert_trees_all_close(state.low_margin, jnp.array([-99.0, -99.0]))
    eps = 2.0**-23
    expected = jnp.array([(1.5 + 0.5) + 1.0, (3.0 + 2.0) + 1.0]) * eps
    chex.assert_trees_all_close(state.rounding, expected)
