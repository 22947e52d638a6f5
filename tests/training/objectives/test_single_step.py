"""Methods of one gradient an adversary, against their definitions in NumPy."""

import numpy as np
import pytest

from tests.training.objectives import twin
from zeroone_jax.training import objectives

EPSILON = 0.12
Y = twin.mostly_right()

pytestmark = pytest.mark.usefixtures("_known_starts")


def cross_entropy_at(point):
    return lambda params: twin.cross_entropy(twin.forward(params, point), Y).mean()


def upwards(point):
    return twin.upwards(
        lambda point: twin.cross_entropy(twin.plain(point), Y), point, "linf"
    )


def input_slope(params, x):
    """That of the cross-entropy, layer by layer: complex steps remain for weights."""
    rows = x.reshape(len(x), -1)
    hidden = np.tanh(rows @ params["first"]["kernel"] + params["first"]["bias"])
    wrong = np.exp(twin.log_softmax(twin.forward(params, x)))
    wrong[np.arange(len(Y)), Y] -= 1
    back = wrong @ params["second"]["kernel"].T * (1 - hidden**2)
    return back @ params["first"]["kernel"].T


def cosines(params, x, other):
    first, second = input_slope(params, x), input_slope(params, other)
    lengths = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return (first * second).sum(1) / lengths


@pytest.mark.parametrize("noise", [2.0, 0.5])
def test_noisy_fast_gradient(noise):
    objective = objectives.noisy_fast_gradient(epsilon=EPSILON, noise=noise)
    outcome = twin.compiled(objective)(Y)
    start = np.clip(twin.X + noise * EPSILON * twin.UNIT, 0, 1)
    adversary = np.clip(start + EPSILON * upwards(start), 0, 1)
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-10)
    twin.assert_same(outcome, cross_entropy_at(adversary))
    # It leaves the ball that is defended.
    assert np.abs(adversary - twin.X).max() > 1.2 * EPSILON


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_gradient_alignment(weight):
    objective = objectives.gradient_alignment(epsilon=EPSILON, weight=weight)
    outcome = twin.compiled(objective)(Y)
    adversary = np.clip(twin.X + EPSILON * upwards(twin.X), 0, 1)
    other = np.clip(twin.X + EPSILON * twin.UNIT, 0, 1)
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-10)
    aligned = cosines(twin.PARAMS, twin.X, other).mean()
    assert outcome.metrics["alignment"] == pytest.approx(aligned)
    assert aligned < 0.999

    def loss(params):
        cosine = cosines(params, twin.X, other).mean()
        return cross_entropy_at(adversary)(params) + weight * (1 - cosine)

    twin.assert_same(outcome, loss)


def test_weight_perturbation():
    ball = {"epsilon": 0.15, "step_size": 0.04, "steps": 5}
    outcome = twin.compiled(objectives.weight_perturbation(gamma=0.05, **ball))(Y)
    start = twin.start_in_ball(twin.X, 0.15, "linf")
    adversary = twin.climb(
        lambda point: twin.cross_entropy(twin.plain(point), Y), twin.X, start, **ball
    )
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-10)
    loss = cross_entropy_at(adversary)
    slopes = twin.parameter_slope(loss, twin.PARAMS)
    moved = {layer: dict(leaves) for layer, leaves in twin.PARAMS.items()}
    for layer, leaves in moved.items():
        weights, slope = leaves["kernel"], slopes[layer]["kernel"]
        length = 0.05 * np.linalg.norm(weights)
        leaves["kernel"] = weights + length * slope / np.linalg.norm(slope)
    # The slope at the moved weights is that of the weights as they were.
    twin.assert_same(outcome, loss, moved)
    assert outcome.loss > loss(twin.PARAMS) + 0.01


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (objectives.noisy_fast_gradient, {"epsilon": 0.0}),
        (objectives.noisy_fast_gradient, {"noise": -1.0}),
        (objectives.gradient_alignment, {"weight": -0.1}),
        (objectives.weight_perturbation, {"gamma": 0.0}),
    ],
)
def test_what_is_refused(make, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make(**wrong)
