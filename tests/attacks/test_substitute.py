"""The substitute's training against a plain loop, its slopes against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from zeroone_jax import losses
from zeroone_jax.attacks import substitute

KEY = jax.random.key(2)


def drawn(settings, dtype=np.float32):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.random((7, 2, 3)), dtype)
    y = jnp.asarray(generator.integers(0, 3, 7), jnp.int32)
    return substitute.init(KEY, 6, 3, settings, dtype), x, y


def plain_training(settings, params, x, y):
    """Epoch by epoch, batch by batch, with no padding."""
    rule = optax.adam(settings.learning_rate)
    state = rule.init(params)

    def loss(params, x, y):
        return jnp.mean(losses.cross_entropy(substitute.logits(params, x), y))

    @jax.jit
    def step(params, state, x, y):
        with jax.numpy_dtype_promotion("standard"):
            update, state = rule.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, update), state

    for epoch in range(settings.epochs):
        noise = jax.random.uniform(jax.random.fold_in(KEY, epoch), (settings.limit,))
        order = np.argsort(np.asarray(noise[: len(x)]))
        for begin in range(0, len(x), settings.batch_size):
            rows = order[begin : begin + settings.batch_size]
            params, state = step(params, state, x[rows], y[rows])
    return params


@pytest.mark.parametrize("batch_size", [3, 20])
def test_training_is_a_plain_loop(batch_size):
    settings = substitute.Substitute(
        hidden=(5, 4), learning_rate=0.01, batch_size=batch_size, epochs=3, limit=16
    )
    params, x, y = drawn(settings)
    expected = plain_training(settings, params, x, y)
    trained, _ = substitute.fit(
        settings,
        KEY,
        params,
        substitute.optimizer(settings).init(params),
        jnp.pad(x, [(0, 9), (0, 0), (0, 0)], constant_values=5.0),
        jnp.pad(y, (0, 9)),
        jnp.asarray(7),
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), trained, expected
    )


def test_slopes_are_back_propagation():
    settings = substitute.Substitute(hidden=(5, 4))
    params, x, y = drawn(settings)
    logit_signs = substitute.logit_signs(params, x, y)
    loss_signs = substitute.loss_signs(params, x, y)
    for image in range(7):
        value, back = np.asarray(x[image]).reshape(-1), np.eye(6)
        for kernel, bias in params[:-1]:
            before = value @ np.asarray(kernel) + np.asarray(bias)
            value = np.maximum(before, 0)
            back = back @ np.asarray(kernel) * (before > 0)
        logits = value @ np.asarray(params[-1][0]) + np.asarray(params[-1][1])
        np.testing.assert_allclose(
            substitute.logits(params, x[image][None])[0], logits, atol=1e-5
        )
        slopes = back @ np.asarray(params[-1][0])
        share = np.exp(logits) / np.exp(logits).sum()
        of_loss = slopes @ (share - np.eye(3)[int(y[image])])
        for signs, expected in (
            (logit_signs, slopes[:, int(y[image])]),
            (loss_signs, of_loss),
        ):
            assert (abs(expected) > 1e-6).all()
            np.testing.assert_array_equal(signs[image].reshape(-1), np.sign(expected))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epsilons": (0.1, 0.0)}, "epsilons is 0.0"),
        ({"hidden": (10, 0)}, "hidden is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"augmentation": 0.0}, "augmentation is 0.0"),
        ({"limit": 0}, "limit is 0"),
    ],
)
def test_settings_are_checked(setting, message):
    with pytest.raises(ValueError, match=message):
        substitute.Substitute(**setting)
