"""Methods with one ball for all images, against their definitions in NumPy."""

import functools
import math

import jax
import numpy as np
import pytest

from tests.training.objectives import twin
from zeroone_jax.training import objectives

BALL = {"epsilon": 0.15, "step_size": 0.04, "steps": 5}
Y = twin.mostly_right()


def cross_entropy_of(running=None, params=twin.PARAMS):
    return lambda point: twin.cross_entropy(twin.forward(params, point, running), Y)


def divergence_of(running=None, params=twin.PARAMS):
    reference = twin.forward(params, twin.X, running)
    return lambda point: twin.divergence(
        twin.forward(params, point, running), reference
    )


def trades(params, adversary, beta):
    natural, outputs = (twin.forward(params, x) for x in (twin.X, adversary))
    loss = twin.cross_entropy(natural, Y) + beta * twin.divergence(outputs, natural)
    return loss.mean()


def mart(params, adversary, beta, doubt=1.0):
    """BCE(x') + beta KL(f(x) || f(x')) (1 - p_y(x)), as published."""
    natural, outputs = (twin.forward(params, x) for x in (twin.X, adversary))
    rows = np.arange(len(Y))
    p = np.exp(twin.log_softmax(outputs))
    others = p.real.copy()
    others[rows, Y] = -1
    boosted = -np.log(p[rows, Y]) - np.log(1 - p[rows, others.argmax(1)])
    right = np.exp(twin.log_softmax(natural))[rows, Y]
    loss = boosted + beta * twin.divergence(outputs, natural) * (doubt - right)
    return loss.mean()


def right_share(x, params=twin.PARAMS):
    return (twin.forward(params, x).argmax(1) == Y).mean()


def test_natural():
    outcome = twin.compiled(objectives.natural())(Y)
    np.testing.assert_array_equal(outcome.last, twin.X)
    assert not outcome.before.any()
    assert outcome.memory is None
    twin.assert_same(
        outcome,
        lambda params: twin.cross_entropy(twin.forward(params, twin.X), Y).mean(),
    )
    assert outcome.metrics["accuracy"] == pytest.approx(0.8)


def test_gaussian_noise():
    sigma = 0.2
    run = twin.compiled(objectives.gaussian_noise(sigma=sigma))
    x = np.full((400, *twin.SHAPE), 0.5)
    x[200:] = 0.9
    y = np.arange(400) % twin.CLASSES
    outcome = run(y, x=x)
    noisy = outcome.last
    assert noisy.min() == 0
    assert noisy.max() == 1
    inner = noisy[:200] - 0.5
    assert abs(inner.mean()) < 0.02
    # A standard deviation of .5 is cut off at 2.5 deviations.
    assert abs(inner.std() / sigma - 0.977) < 0.04
    assert abs((noisy[200:] == 1).mean() - 0.309) < 0.04
    assert not np.array_equal(outcome.last, run(y, x=x, key=jax.random.key(1)).last)
    twin.assert_same(
        outcome,
        lambda params: twin.cross_entropy(twin.forward(params, noisy), y).mean(),
    )


@pytest.mark.usefixtures("_known_starts")
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_projected_gradient(norm):
    outcome = twin.compiled(objectives.projected_gradient(norm=norm, **BALL))(Y)
    start = twin.start_in_ball(twin.X, BALL["epsilon"], norm)
    adversary = twin.climb(cross_entropy_of(), twin.X, start, norm=norm, **BALL)
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-10)
    twin.assert_same(
        outcome,
        lambda params: twin.cross_entropy(twin.forward(params, adversary), Y).mean(),
    )
    assert outcome.metrics["accuracy"] == pytest.approx(right_share(adversary))
    assert not outcome.before.any()


@pytest.mark.usefixtures("_known_starts")
def test_fast_gradient_sign():
    outcome = twin.compiled(objectives.fast_gradient_sign(0.12))(Y)
    start = twin.start_in_ball(twin.X, 0.12, "linf")
    adversary, shorter = (
        twin.climb(cross_entropy_of(), twin.X, start, 0.12, factor * 0.12, 1)
        for factor in (1.25, 1)
    )
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-10)
    assert np.abs(adversary - shorter).max() > 0.01


@pytest.mark.usefixtures("_known_starts")
@pytest.mark.parametrize("settings", [{}, {"norm": "l2", "beta": 2.5}])
def test_trades(settings):
    outcome = twin.compiled(objectives.trades(**BALL, **settings))(Y)
    beta, norm = settings.get("beta", 6), settings.get("norm", "linf")
    start = twin.start_nearby(twin.X)
    adversary = twin.climb(divergence_of(), twin.X, start, norm=norm, **BALL)
    np.testing.assert_array_equal(outcome.before, twin.X)
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-10)
    twin.assert_same(outcome, lambda params: trades(params, adversary, beta))
    assert abs(trades(twin.PARAMS, adversary, beta - 0.1) - outcome.loss) > 1e-4
    assert outcome.metrics["natural_accuracy"] == pytest.approx(0.8)
    assert outcome.metrics["accuracy"] == pytest.approx(right_share(adversary))


@pytest.mark.usefixtures("_known_starts")
@pytest.mark.parametrize("settings", [{}, {"norm": "l2", "beta": 2.5}])
def test_mart(settings):
    outcome = twin.compiled(objectives.mart(**BALL, **settings))(Y)
    beta, norm = settings.get("beta", 6), settings.get("norm", "linf")
    start = twin.start_nearby(twin.X)
    adversary = twin.climb(cross_entropy_of(), twin.X, start, norm=norm, **BALL)
    np.testing.assert_array_equal(outcome.before, twin.X)
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-10)
    twin.assert_same(outcome, lambda params: mart(params, adversary, beta))
    for wrong in ({"beta": beta - 0.1}, {"beta": beta, "doubt": 1.1}):
        loss = mart(twin.PARAMS, adversary, **wrong)
        assert abs(loss - outcome.loss) > 1e-4
    assert outcome.metrics["natural_accuracy"] == pytest.approx(0.8)
    assert outcome.metrics["accuracy"] == pytest.approx(right_share(adversary))


@pytest.mark.usefixtures("_known_starts")
@pytest.mark.parametrize("mode", ["evaluation", "training"])
def test_projected_gradient_searches_in_its_mode(mode):
    """The other mode finds other adversaries; training is in training mode always."""
    params = twin.NORMALISED_PARAMS
    objective = objectives.projected_gradient(mode=mode, norm="l2", **BALL)
    outcome = twin.compiled(objective, normalised=True)(Y)
    start = twin.start_in_ball(twin.X, BALL["epsilon"], "l2")
    ways = {"evaluation": twin.RUNNING, "training": None}
    found = {
        name: twin.climb(
            cross_entropy_of(running, params), twin.X, start, norm="l2", **BALL
        )
        for name, running in ways.items()
    }
    assert np.abs(found["evaluation"] - found["training"]).max() > 0.01
    adversary = found[mode]
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-9)
    twin.assert_same(
        outcome,
        lambda params: twin.cross_entropy(twin.forward(params, adversary), Y).mean(),
        params,
    )
    expected = twin.moved_on(twin.RUNNING, adversary)
    for name, values in outcome.running.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-9)


@pytest.mark.usefixtures("_known_starts")
@pytest.mark.parametrize(
    ("method", "climbed", "loss"),
    [
        (objectives.trades, divergence_of, trades),
        (objectives.mart, cross_entropy_of, mart),
    ],
)
def test_statistics_are_of_the_images_then_of_the_adversaries(method, climbed, loss):
    params = twin.NORMALISED_PARAMS
    outcome = twin.compiled(method(beta=2.5, **BALL), normalised=True)(Y)
    adversary = twin.climb(
        climbed(twin.RUNNING, params), twin.X, twin.start_nearby(twin.X), **BALL
    )
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-9)
    twin.assert_same(outcome, lambda params: loss(params, adversary, 2.5), params)
    once = twin.moved_on(twin.RUNNING, twin.X)
    expected = twin.moved_on(once, adversary)
    other = twin.moved_on(twin.moved_on(twin.RUNNING, adversary), twin.X)
    for name, values in outcome.running.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-9)
        assert np.abs(expected[name] - other[name]).max() > 1e-3


@pytest.mark.parametrize(
    ("method", "size", "least"),
    [(objectives.projected_gradient, 0.15, 0.05), (objectives.trades, 0.006, 1e-4)],
)
def test_starts_are_drawn_by_the_key_inside_the_ball(method, size, least):
    """With steps too short to matter, the start is trained on."""
    run = twin.compiled(method(epsilon=0.15, step_size=1e-9, steps=1))
    first, again, second = (
        run(Y, key=jax.random.key(number)).last for number in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > least
    assert least < np.abs(first - twin.X).max() <= size


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (
            objectives.gaussian_noise,
            {"sigma": 0.0},
            r"sigma is 0\.0, but must be above",
        ),
        (objectives.trades, {"beta": -1.0}, r"beta is -1\.0, but must be above 0"),
        (objectives.mart, {"beta": math.nan}, "beta is nan, but must be above 0"),
        (objectives.projected_gradient, {"epsilon": 0.0}, r"epsilon is 0\.0"),
        (objectives.projected_gradient, {"step_size": math.inf}, "step_size is inf"),
        (
            objectives.projected_gradient,
            {"steps": 0},
            "steps is 0, but must be a whole",
        ),
        (objectives.projected_gradient, {"steps": 1.5}, r"steps is 1\.5, but must be"),
        (
            objectives.projected_gradient,
            {"norm": "linfty"},
            "norm is 'linfty', but must be one of 'linf', 'l2', 'l1'",
        ),
        (
            objectives.projected_gradient,
            {"mode": "test"},
            "mode is 'test', but must be one of 'evaluation', 'training'",
        ),
        (objectives.fast_gradient_sign, {"epsilon": -1.0}, r"epsilon is -1\.0"),
    ],
)
def test_settings_out_of_range_are_refused(method, settings, message):
    with pytest.raises(ValueError, match=message):
        method(**settings)


@pytest.mark.parametrize(
    "method",
    [
        objectives.projected_gradient,
        *(
            pytest.param(method, marks=pytest.mark.slow("the same once more"))
            for method in (
                objectives.trades,
                objectives.friendly,
                objectives.instance_adaptive,
                functools.partial(objectives.sense, warm_up=0, confidence=1e-3),
            )
        ),
    ],
)
def test_a_growing_ball_is_a_smaller_one_at_first(method):
    """Of a third of the radius and of the step after a third of the ramp."""
    memory = None
    small = {"epsilon": 0.05, "step_size": 0.04 / 3, "steps": 5}
    if method is objectives.instance_adaptive:
        memory = np.full(len(Y), 0.15)
    growing = twin.compiled(method(**BALL, ramp=3.0))
    early = growing(Y, epoch=1, memory=memory)
    expected = twin.compiled(method(**small))(
        Y, memory=None if memory is None else memory / 3
    )
    np.testing.assert_allclose(early.last, expected.last, atol=1e-9)
    whole = twin.compiled(method(**BALL))
    for epoch in (3, 5):
        late = growing(Y, epoch=epoch, memory=memory)
        np.testing.assert_array_equal(late.last, whole(Y, memory=memory).last)
    assert np.abs(early.last - twin.X).max() <= 0.05
    assert np.abs(late.last - twin.X).max() > 0.1
