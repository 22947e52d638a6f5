"""SPSA against a plain numpy estimate of the gradient, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import frame_checks
from zeroone_jax import attacks
from zeroone_jax.attacks import state as frame

KEY = jax.random.key(11)
GENERATOR = np.random.default_rng(11)
WEIGHTS = jnp.asarray(GENERATOR.normal(size=(3, 40)), jnp.float32)


def sums(x, weights):
    """A linear map that rounds alike in every batch."""
    return jnp.sum(x.reshape(len(x), 1, -1) * weights[None, :, :], axis=2)


def three_classes(x):
    return jnp.tanh(sums(x - 0.5, WEIGHTS))


def one_logit(x):
    return sums(x - 0.5, WEIGHTS[:1])[:, 0]


def images(count, low=0.0, high=1.0):
    x = np.random.default_rng(1).uniform(low, high, (count, 5, 4, 2))
    return jnp.asarray(x, jnp.float32)


def oracle_gradient(key, fn, x, y, iteration, delta, samples):
    """The mean of the pairs' differences, one pair at a time."""
    keys = frame.image_keys(key, x, y)
    total = np.zeros(x.shape)
    for image in range(len(x)):
        image_key = jax.random.fold_in(keys[image], iteration)
        for sample in range(samples):
            words = jax.random.bits(
                jax.random.fold_in(image_key, sample), (2,), jnp.uint32
            )
            bits = [(int(word) >> place) & 1 for word in words for place in range(32)]
            direction = np.where(np.array(bits[:40]) == 1, 1.0, -1.0)
            direction = direction.reshape(x.shape[1:]).astype(np.float32)
            margins = []
            for side in (1, -1):
                point = np.clip(x[image] + side * np.float32(delta) * direction, 0, 1)
                logits = np.asarray(fn(point[None]))[0]
                others = np.delete(logits, int(y[image]))
                margins.append(others.max() - logits[int(y[image])])
            total[image] += (margins[0] - margins[1]) / (2 * delta) * direction
    return total / samples


def test_gradient_is_the_mean_over_pairs():
    x = images(3).at[0, 0].set(1).at[1, 0].set(0)
    y = jnp.array([0, 1, 2])
    expected = oracle_gradient(KEY, three_classes, x, y, 0, 0.05, 6)
    for block in (1, 3):
        attack = attacks.spsa(epsilon=0.1, delta=0.05, samples=6, block=block)
        state = attack.init(KEY, three_classes, x, y)
        gradient = jax.jit(lambda state: attack.gradient(KEY, three_classes, state))  # noqa: B023
        np.testing.assert_allclose(gradient(state), expected, atol=2e-4)
    later = gradient(state._replace(iteration=jnp.asarray(5)))
    expected = oracle_gradient(KEY, three_classes, x, y, 5, 0.05, 6)
    np.testing.assert_allclose(later, expected, atol=2e-4)


def test_targeted_descends_the_margin():
    x, y = images(3), jnp.array([0, 1, 2])
    gradients = []
    for targeted in (False, True):
        attack = attacks.spsa(epsilon=0.1, samples=2, block=2, targeted=targeted)
        state = attack.init(KEY, three_classes, x, y)
        gradients.append(attack.gradient(KEY, three_classes, state))
    np.testing.assert_allclose(gradients[0], -gradients[1])


def test_first_moves_are_adams():
    """Adam's first move is the learning rate against the sign of its gradient."""
    x = images(2, 0.3, 0.7)
    attack = attacks.spsa(epsilon=0.1, learning_rate=0.02, samples=4, block=4)
    y = attack.labels(one_logit, x)
    state = attack.init(KEY, one_logit, x, y)
    new, info = jax.jit(lambda state: attack.step(KEY, one_logit, state))(state)
    assert new.active.all()
    np.testing.assert_allclose(
        new.memory.point - x, 0.02 * jnp.sign(info.gradient), atol=1e-5
    )


@pytest.mark.parametrize("share", [0.9, 1.01])
def test_reaches_the_closed_form_of_a_linear_model(share):
    """In Linf, w.x + b can be turned exactly where |w.x + b| < epsilon ||w||_1."""
    weights = GENERATOR.choice([-1.0, -0.5, 0.5, 1.0], (1, 40))
    x = 0.5 + 0.01 * GENERATOR.normal(size=(10, 40))
    sign = np.where(np.arange(10) % 2, 1, -1)
    wanted = sign * 0.05 * np.abs(weights).sum() * share
    offset = -0.5 * weights.sum()
    x += (wanted - x @ weights[0] - offset)[:, None] * weights / np.sum(weights**2)
    weights = jnp.asarray(weights, jnp.float32)
    attack = attacks.spsa(epsilon=0.05, iterations=60, samples=64)
    result = attack(
        KEY,
        lambda x: sums(x, weights) + offset,
        jnp.asarray(x, jnp.float32),
        jnp.asarray(sign > 0, jnp.int32),
    )
    assert result.success.tolist() == [share < 1] * 10
    if share > 1:
        # Every step asks 2 x 64 + 1 times, the last one once, and the frame twice.
        assert (result.queries == 60 * 129 + 1 + 2).all()


@pytest.mark.parametrize("fn", [three_classes, one_logit])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.slow("the frame of four attacks")
def test_frame(fn, targeted):
    x = images(7)
    attack = attacks.spsa(
        epsilon=0.05, iterations=8, samples=16, block=8, targeted=targeted
    )
    classes = 3 if fn is three_classes else 2
    y = (attack.labels(fn, x) + int(targeted)) % classes
    y = y.at[0].add(1) % classes if not targeted else y.at[0].add(classes - 1) % classes
    result = attack(KEY, fn, x, y)
    assert result.success[1:].any()
    frame_checks.assert_result_holds(attack, fn, x, y, result)
    if fn is three_classes and not targeted:
        assert not result.success.all()
        frame_checks.assert_images_are_independent(attack, KEY, fn, x, y, result)


def test_float64_and_start():
    with jax.enable_x64():
        x = images(2).astype(jnp.float64)
        weights = WEIGHTS[:1].astype(jnp.float64)

        def fn(x):
            return sums(x - 0.5, weights)

        attack = attacks.spsa(epsilon=0.02, iterations=1, samples=2, block=1)
        y = attack.labels(fn, x)
        uphill = jnp.where(y == 1, -1.0, 1.0)[:, None, None, None]
        start = jnp.clip(x + uphill * jnp.sign(weights).reshape(1, 5, 4, 2), 0, 1)
        result = attack(KEY, fn, x, y, start)
        assert result.adversary.dtype == jnp.float64
        np.testing.assert_allclose(
            result.adversary, jnp.clip(start, x - 0.02, x + 0.02), atol=1e-12
        )
        frame_checks.assert_result_holds(attack, fn, x, y, result)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": -1.0}, "epsilon is -1.0, but must be above 0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"delta": 0.0}, "delta is 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"samples": 0}, "samples is 0"),
        ({"block": 0}, "block is 0"),
        ({"block": 5}, "block is 5, but must divide samples, 128"),
        ({"norm": "l2"}, "norm is 'l2', but must be one of 'linf'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        attacks.spsa(**{"epsilon": 0.1, **settings})
