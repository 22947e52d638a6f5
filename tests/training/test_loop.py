"""The training loop against a plain NumPy one, and what a run must hold."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.training.small_run import (
    CLASSES,
    CONFIG,
    COUNT,
    DEEP,
    IAAT,
    IMAGES,
    KEY,
    LABELS,
    LINEAR,
    SGD,
    Linear,
    assert_same,
    copied,
    fit,
)
from zeroone_jax import data, training
from zeroone_jax.models.network import Network
from zeroone_jax.training import loop, objectives, update


def softmax_regression(params, config):
    """Three epochs in NumPy: the gradient, torch's weight decay and momentum."""
    weights, bias = (
        np.asarray(params["Dense_0"][k], float) for k in ("kernel", "bias")
    )
    velocity = [np.zeros_like(weights), np.zeros_like(bias)]
    order_key = jax.random.fold_in(KEY, 1)
    rate, step, losses = 0.3, 0, []
    for epoch in range(config.epochs):
        batches = data.epoch_batches(order_key, epoch, COUNT, config.batch_size)
        for rows in batches[: COUNT // config.batch_size]:
            if step == 8:  # 1.5 epochs of 5 updates, rounded
                rate *= 0.1
            x = IMAGES[rows].reshape(len(rows), -1) / 255
            z = x @ weights + bias
            p = np.exp(z - z.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            hot = np.eye(CLASSES)[LABELS[rows]]
            losses.append(-np.log((p * hot).sum(1)).mean())
            slopes = [x.T @ (p - hot) / len(rows), (p - hot).mean(0)]
            for i, w in enumerate((weights, bias)):
                velocity[i] = 0.9 * velocity[i] + slopes[i] + 0.01 * w
            weights, bias = weights - rate * velocity[0], bias - rate * velocity[1]
            step += 1
    return weights, bias, losses


def test_it_is_plain_stochastic_gradient_descent():
    seen = []
    state = fit(
        LINEAR,
        objectives.natural(),
        CONFIG,
        on_segment=lambda state, progress: seen.append(progress),
    )
    first = update.init(KEY, LINEAR, objectives.natural(), COUNT, CONFIG)
    weights, bias, losses = softmax_regression(first.params, CONFIG)
    np.testing.assert_allclose(state.params["Dense_0"]["kernel"], weights, atol=1e-5)
    np.testing.assert_allclose(state.params["Dense_0"]["bias"], bias, atol=1e-5)
    assert [progress.step for progress in seen] == [3, 5, 8, 10, 13, 15]
    assert [progress.epoch for progress in seen] == [0.6, 1, 1.6, 2, 2.6, 3]
    parts = np.split(losses, [3, 5, 8, 10, 13])
    told = [progress.metrics["loss"] for progress in seen]
    np.testing.assert_allclose(told, [part.mean() for part in parts], rtol=1e-5)


@pytest.fixture(scope="module")
def whole():
    config = dataclasses.replace(CONFIG, average=0.9)
    states = []
    state = fit(
        DEEP, IAAT, config, on_segment=lambda state, _: states.append(copied(state))
    )
    return config, states, copied(state)


@pytest.mark.parametrize("piece", [0, 3])
def test_going_on_from_a_state_ends_the_same_to_the_bit(whole, piece):
    config, states, expected = whole
    state = fit(DEEP, IAAT, config, state=jax.tree.map(jnp.asarray, states[piece]))
    chex.assert_trees_all_equal(copied(state), expected)


def test_a_run_compiles_once(whole):
    config, _, _ = whole
    before = loop.segment._cache_size()
    fit(DEEP, IAAT, dataclasses.replace(config, segment=4))
    assert loop.segment._cache_size() == before + 1


def test_any_optimizer_of_optax_trains(whole):
    config, _, expected = whole
    built = dataclasses.replace(config, optimizer=SGD.build(COUNT // 8, config.epochs))
    assert_same(fit(DEEP, IAAT, built).params, expected.params, atol=1e-6)
    # A schedule with a state of its own, and updates that look at the parameters.
    lion = optax.chain(optax.clip_by_global_norm(1.0), optax.lion(0.01))
    config = dataclasses.replace(CONFIG, optimizer=lion)
    losses, before = [], loop.segment._cache_size()
    for key in (KEY, jax.random.key(1)):
        training.fit(
            key,
            LINEAR,
            objectives.natural(),
            IMAGES,
            LABELS,
            config,
            on_segment=lambda _, told: losses.append(told.metrics["loss"]),
        )
    assert losses[5] < losses[0]
    assert loop.segment._cache_size() == before + 1


def test_an_optimizer_that_is_none_is_refused():
    with pytest.raises(TypeError, match="optimizer is a float, but must be"):
        training.Config(optimizer=0.1)


def test_memory_lies_where_its_images_lie(whole):
    _, states, expected = whole
    warm, later = states[1].memory, expected.memory
    np.testing.assert_array_equal(warm, np.float32(0.1))
    steps = 0.02 * 0.1
    # A radius moves by a tenth of the step in each of its at most two epochs.
    moves = np.abs(later - np.float32(0.1)) / steps
    assert (np.isclose(moves[:, None], [0, 1, 2], atol=1e-3)).any(1).all()
    assert (moves > 0.5).mean() > 0.5


def test_what_is_evaluated_is_the_average_of_weights_and_of_statistics(whole):
    """An average of weights under the last weights' statistics is no network's."""
    config = dataclasses.replace(whole[0], segment=1)
    first = update.init(KEY, DEEP, IAAT, COUNT, config)
    expected = copied((first.params, first.batch_stats))
    states = []
    fit(DEEP, IAAT, config, on_segment=lambda state, _: states.append(copied(state)))
    assert len(states) == 15
    for before, state in enumerate(states):
        share = min(0.9, (1 + before) / (10 + before))
        expected = jax.tree.map(
            lambda old, new, share=share: share * old + (1 - share) * new,
            expected,
            (state.params, state.batch_stats),
        )
    seen = training.variables(states[-1])
    chex.assert_trees_all_close(
        (seen.params, seen.batch_stats), expected, rtol=1e-5, atol=1e-6
    )
    plain = training.variables(states[-1]._replace(average=()))
    assert plain.params is states[-1].params
    assert plain.batch_stats is states[-1].batch_stats


@pytest.mark.slow("trains networks")
@pytest.mark.parametrize("moves", [{}, {"shift": 1, "flip": False}])
def test_augmented_images_are_those_of_the_pipeline(moves):
    """Drawn anew at every update."""
    big = np.repeat(np.repeat(IMAGES, 2, 1), 2, 2)
    network = Network(Linear(), big.shape[1:])
    config = training.Config(epochs=1, batch_size=COUNT, augment=True, **moves)
    natural = objectives.natural()
    too_far = dataclasses.replace(config, shift=4)
    with pytest.raises(ValueError, match="padding must be in"):
        fit(LINEAR, natural, too_far)
    state = training.fit(KEY, network, natural, big, LABELS, config)
    first = update.init(KEY, network, natural, COUNT, config)
    rows = data.epoch_batches(jax.random.fold_in(KEY, 1), 0, COUNT, COUNT)[0]
    step_key = jax.random.fold_in(jax.random.fold_in(KEY, 2), 0)
    how = {"padding": config.shift, "flip": config.flip}
    augment_key, _ = jax.random.split(step_key)
    x = data.augment(augment_key, jnp.asarray(big[rows]) / 255, **how)
    plain = dataclasses.replace(config, augment=False)
    arguments = (natural, plain, 1, first, x, jnp.asarray(LABELS[rows]), rows)
    expected, _ = update.step(KEY, network, *arguments)
    assert_same(state.params, expected.params, atol=1e-6)


def test_divergence_is_told_at_its_step():
    config = dataclasses.replace(
        CONFIG, epochs=1, optimizer=training.Sgd(learning_rate=1e38, momentum=0.0)
    )
    message = r"the loss is (nan|inf) at step [234]$"
    with pytest.raises(training.DivergedError, match=message):
        fit(DEEP, objectives.natural(), config)


def test_parameters_that_are_lost_in_the_last_update_are_told():
    optimizer = training.Sgd(learning_rate=1e20, weight_decay=1e30)
    config = training.Config(batch_size=COUNT, optimizer=optimizer)
    message = "parameters are not finite after step 1$"
    with pytest.raises(training.DivergedError, match=message):
        fit(LINEAR, objectives.natural(), dataclasses.replace(config, segment=1))


def test_a_state_of_another_run_is_refused(whole):
    config, states, _ = whole
    state = jax.tree.map(jnp.asarray, states[0])
    with pytest.raises(
        ValueError, match=r"the state is another network's.*BatchNorm_0"
    ):
        fit(LINEAR, IAAT, config, state=state)
    late = state._replace(step=jnp.asarray(99, jnp.int32))
    with pytest.raises(ValueError, match="at step 99, beyond the last one, 15"):
        fit(DEEP, IAAT, config, state=late)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 1}, r"milestones \[1.5\] are not reached in 1 epochs"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"average": 1.0}, r"average is 1\.0, but must be in \[0,1\)"),
        ({"accumulate": 3}, "batch_size is 8, but must be a multiple of accumulate, 3"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **settings)


def test_what_does_not_fit_is_refused():
    natural = objectives.natural()
    for images, labels, message in (
        (IMAGES[:, :2], LABELS, r"the network takes \[n, 4, 3, 1\]"),
        (IMAGES / np.float32(200), LABELS, r"images must be in \[0,1\]"),
        (IMAGES, LABELS[:5], "labels has shape"),
        (IMAGES, LABELS + 1, r"labels holds 3, but must be in 0\.\.2"),
        (IMAGES[:5], LABELS[:5], "5 images do not fill a batch of batch_size=8"),
    ):
        with pytest.raises(ValueError, match=message):
            training.fit(KEY, LINEAR, natural, images, labels, CONFIG)
