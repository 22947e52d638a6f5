"""Sensible training: the loss at the adversaries, and when examples freeze."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.objectives import twin
from zeroone_jax.models.network import Network
from zeroone_jax.training import objectives, sensible_adversary
from zeroone_jax.training.objectives import Model

BALL = {"epsilon": 0.25, "step_size": 0.05}
STEPS, CONFIDENCE, WARM_UP = 6, 0.55, 3
THRESHOLD = -math.log(CONFIDENCE)
Y = twin.mostly_right()


def sense(method=objectives.sense, **settings):
    every = {"confidence": CONFIDENCE, "steps": STEPS, "warm_up": WARM_UP, **BALL}
    return method(**(every | settings))


def found(normalised=False, **settings):
    """The library's adversary, with the key that the objective searches with."""
    key = jax.random.split(twin.KEY, 3)[0]
    every = {"confidence": CONFIDENCE, "steps": STEPS, **BALL} | settings
    params, statistics = jax.tree.map(jnp.asarray, twin.variables(normalised))
    network = Network(twin.Module(normalised), twin.SHAPE)
    model = Model(network, statistics).evaluating(params)
    return np.asarray(sensible_adversary(key, model, twin.X, Y, **every))


def random_start():
    """Where the search begins: steps of length 0 lead nowhere."""
    return found(confidence=1e-30, steps=1, step_size=0.0)


def walk(loss, start, adaptive, ignored="start"):
    """docs/papers.md, B2: adversaries, who is frozen, steps taken."""
    z = twin.forward(twin.PARAMS, start)
    frozen = (z.argmax(1) != Y) | (twin.cross_entropy(z, Y) > THRESHOLD)
    kept = start.copy()
    if ignored == "image":
        kept[frozen] = twin.X[frozen]
    for step in range(STEPS):
        counted, taken = frozen, step + 1
        if frozen.all():
            break
        climbed = loss if step else cross_entropy
        moved = kept + BALL["step_size"] * twin.upwards(climbed, kept, "linf")
        moved = twin.project(moved, twin.X, BALL["epsilon"], "linf")
        if adaptive:
            frozen = frozen | (loss(moved) > THRESHOLD)
        kept = np.where(frozen[:, None, None, None], kept, moved)
    # Those whose very last point passed are taken back, and not counted.
    return kept, counted, taken


def cross_entropy(point, params=twin.PARAMS):
    return twin.cross_entropy(twin.forward(params, point), Y)


def divergence(point, params=twin.PARAMS):
    reference = twin.forward(params, twin.X)
    return twin.divergence(twin.forward(params, point), reference)


def right_share(point):
    return (twin.forward(twin.PARAMS, point).argmax(1) == Y).mean()


@pytest.fixture(scope="module")
def runs():
    """Objectives that several tests call, compiled once."""
    return functools.cache(twin.compiled)


def test_points_go_back_after_the_warm_up_only():
    run = twin.compiled(sense())
    start = random_start()
    found_by_epoch = {}
    for epoch in (0, WARM_UP - 1, WARM_UP, WARM_UP + 5):
        adversary, frozen, steps = walk(cross_entropy, start, epoch >= WARM_UP)
        outcome = run(Y, epoch)
        np.testing.assert_allclose(outcome.last, adversary, atol=1e-9)
        twin.assert_same(
            outcome, lambda params, x=adversary: cross_entropy(x, params).mean()
        )
        assert outcome.metrics["accuracy"] == pytest.approx(right_share(adversary))
        assert outcome.metrics["frozen"] == pytest.approx(frozen.mean())
        assert outcome.metrics["steps"] == steps
        assert "natural_accuracy" not in outcome.metrics
        assert not outcome.before.any()
        found_by_epoch[epoch] = adversary
    outcome = run((twin.labels(twin.X) + 1) % twin.CLASSES, WARM_UP)
    assert outcome.metrics["frozen"] == outcome.metrics["steps"] == 1
    assert np.abs(found_by_epoch[0] - found_by_epoch[WARM_UP]).max() > 0.01


def test_the_images_count_with_their_weight():
    run = twin.compiled(sense(natural_weight=0.7))
    outcome = run(Y, WARM_UP)
    adversary = found()
    np.testing.assert_allclose(outcome.before, adversary, atol=1e-12)
    np.testing.assert_array_equal(outcome.last, twin.X)

    def loss(params, weight=0.7):
        outer = cross_entropy(adversary, params) + weight * cross_entropy(
            twin.X, params
        )
        return outer.mean()

    twin.assert_same(outcome, loss)
    assert abs(loss(twin.PARAMS, 0.69) - outcome.loss) > 1e-3
    assert outcome.metrics["natural_accuracy"] == pytest.approx(0.8)
    assert outcome.metrics["accuracy"] == pytest.approx(right_share(adversary))


@pytest.mark.parametrize("epoch", [0, WARM_UP])
@pytest.mark.parametrize("ignored", ["start", "image"])
def test_ignored_examples_are_trained_on_where_the_setting_says(ignored, epoch, runs):
    adversary = walk(cross_entropy, random_start(), epoch >= WARM_UP, ignored)[0]
    outcome = runs(sense(ignored=ignored))(Y, epoch)
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-9)
    wrong = [1, 4]
    moved = np.abs(outcome.last - twin.X)[wrong].max()
    assert (moved == 0) == (ignored == "image")


@pytest.mark.parametrize("epoch", [0, WARM_UP])
def test_sense_trade_is_a_divergence_from_the_images(epoch, runs):
    run = runs(sense(objectives.sense_trade, natural_weight=0.7))
    outcome = run(Y, epoch)
    adversary, frozen, steps = walk(divergence, random_start(), epoch >= WARM_UP)
    np.testing.assert_array_equal(outcome.before, twin.X)
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-9)

    def loss(params, weight=0.7):
        outer = divergence(adversary, params) + weight * cross_entropy(twin.X, params)
        return outer.mean()

    twin.assert_same(outcome, loss)
    assert abs(loss(twin.PARAMS, 0.69) - outcome.loss) > 1e-3
    assert outcome.metrics["frozen"] == pytest.approx(frozen.mean())
    assert outcome.metrics["steps"] == steps
    assert outcome.metrics["natural_accuracy"] == pytest.approx(0.8)
    assert outcome.metrics["accuracy"] == pytest.approx(right_share(adversary))


def test_in_l2_after_batch_normalisation():
    """The adversary is searched in evaluation mode and trained on in training mode."""
    params = twin.NORMALISED_PARAMS
    outcome = twin.compiled(sense(norm="l2", epsilon=0.4), normalised=True)(Y, WARM_UP)
    adversary = outcome.last
    assert 0.3 < twin.lengths(adversary - twin.X).max() <= 0.4
    expected = found(norm="l2", epsilon=0.4, normalised=True)
    np.testing.assert_allclose(adversary, expected, atol=1e-12)
    twin.assert_same(
        outcome, lambda params: cross_entropy(adversary, params).mean(), params
    )
    moved = twin.moved_on(twin.RUNNING, adversary)
    for name, values in outcome.running.items():
        np.testing.assert_allclose(values, moved[name], rtol=1e-9)


def test_settings_are_those_of_the_paper():
    settings = objectives.sense()
    assert settings == objectives.sense(
        epsilon=8 / 255, step_size=1.5 / 255, steps=10, confidence=0.5, warm_up=10
    )
    assert settings.norm == "linf"
    assert settings.natural_weight == 0
    assert objectives.sense_trade().natural_weight == 1


def test_nothing_to_search_for_is_natural_training():
    outcome = twin.compiled(sense(confidence=1.0))(Y, WARM_UP)
    np.testing.assert_array_equal(outcome.last, twin.X)
    assert outcome.metrics.keys() == {"accuracy"}
    with_no_radius = sense(epsilon=0.0, steps=0)
    assert with_no_radius.epsilon == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": -0.1}, r"epsilon is -0\.1, but must not be negative"),
        ({"step_size": math.nan}, "step_size is nan, but must not be negative"),
        ({"confidence": 0.0}, r"confidence is 0\.0, but must be in \(0,1\]"),
        ({"confidence": 1.1}, r"confidence is 1\.1, but must be in \(0,1\]"),
        ({"steps": 0}, "steps is 0, but must be a whole number of at least 1"),
        ({"steps": -1}, "steps is -1, but must be a whole number"),
        ({"norm": "l1"}, "norm is 'l1', but must be one of 'linf', 'l2'"),
        ({"warm_up": -1}, "warm_up is -1, but must not be negative"),
        (
            {"natural_weight": -0.5},
            r"natural_weight is -0\.5, but must not be negative",
        ),
        ({"natural_weight": math.nan}, "natural_weight is nan, but must not be neg"),
        ({"ignored": "end"}, "ignored is 'end', but must be one of 'start', 'image'"),
    ],
)
@pytest.mark.parametrize("method", [objectives.sense, objectives.sense_trade])
def test_settings_out_of_range_are_refused(method, settings, message):
    with pytest.raises(ValueError, match=message):
        method(**settings)
