"""IAAT and FAT against their definitions in NumPy."""

import math

import numpy as np
import pytest

from tests.training.objectives import twin
from zeroone_jax.training import objectives

STEPS, WARM_UP = 5, 3
EPSILON = {"linf": 0.15, "l2": 0.35}
STEP_SIZE = {"linf": 0.04, "l2": 0.08}
RADIUS_STEP = {"linf": 0.05, "l2": 0.15}
RADII = {"linf": np.linspace(0.01, 0.3, 10), "l2": np.linspace(0.01, 0.6, 10)}
Y = twin.mostly_right()
NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])
known_starts = pytest.mark.usefixtures("_known_starts")


def cross_entropy(point, params=twin.PARAMS):
    return twin.cross_entropy(twin.forward(params, point), Y)


def right(z):
    return z.argmax(1) == Y


def search(model, radius, norm):
    return twin.climb(
        lambda point: twin.cross_entropy(model(point), Y),
        twin.X,
        twin.start_in_ball(twin.X, radius, norm),
        radius,
        STEP_SIZE[norm],
        STEPS,
        norm,
    )


def adapted(norm):
    """IAAT's adversaries, new radii, and which of the three radii was chosen."""
    radii, step = RADII[norm], RADIUS_STEP[norm]
    tried = [np.maximum(radii + change, 0) for change in (step, 0, -step)]
    found = [search(twin.plain, radius, norm) for radius in tried]
    stays = [right(twin.plain(point)) for point in found]
    choice = np.where(stays[0], 0, np.where(stays[1], 1, 2))
    rows = np.arange(twin.COUNT)
    chosen, best = (np.stack(arrays)[choice, rows] for arrays in (found, tried))
    radius = 0.9 * radii + 0.1 * best
    inside = twin.project(chosen, twin.X, twin.per_image(radius, twin.X), norm)
    return inside, radius, choice


@known_starts
@NORMS
def test_instance_adaptive(norm):
    run = twin.compiled(
        objectives.instance_adaptive(
            radius_step=RADIUS_STEP[norm],
            warm_up=WARM_UP,
            norm=norm,
            step_size=STEP_SIZE[norm],
            steps=STEPS,
        )
    )
    inside, radius, choice = adapted(norm)
    assert set(choice) == {0, 1, 2}
    before = search(twin.plain, RADII[norm], norm)
    for epoch, adversary, radii in (
        (WARM_UP - 1, before, RADII[norm]),
        (WARM_UP, inside, radius),
    ):
        outcome = run(Y, epoch, RADII[norm])
        np.testing.assert_allclose(outcome.memory, radii, rtol=1e-12)
        np.testing.assert_allclose(outcome.last, adversary, atol=1e-10)
        twin.assert_same(
            outcome, lambda params, x=adversary: cross_entropy(x, params).mean()
        )
        assert outcome.metrics["radius"] == pytest.approx(radii.mean())
        assert outcome.metrics["accuracy"] == pytest.approx(
            right(twin.plain(adversary)).mean()
        )
        assert not outcome.before.any()


@pytest.mark.slow("trains")
def test_an_l1_radius_may_shrink_to_nothing():
    """Images labelled wrongly lose a tenth of their radius each time, and stay put."""
    objective = objectives.instance_adaptive(
        radius_step=0.05, warm_up=0, norm="l1", steps=STEPS
    )
    y = (twin.labels(twin.X) + 1) % twin.CLASSES
    radii = np.full(twin.COUNT, 1e-3)
    outcome = twin.compiled(objective)(y, 0, radii)
    np.testing.assert_allclose(outcome.memory, 0.9 * radii, rtol=1e-6)
    np.testing.assert_array_equal(outcome.last, twin.X)
    assert np.isfinite(outcome.loss)


def test_every_radius_is_epsilon_at_first():
    objective = objectives.instance_adaptive(epsilon=0.25)
    np.testing.assert_array_equal(objective.memory(3), np.full(3, 0.25, np.float32))
    assert objective == objectives.instance_adaptive(
        epsilon=0.25, radius_step=1.9 / 255, smoothing=0.1, warm_up=10
    )


def friendly_walk(model, looks, norm):
    """FAT: each image is followed alone, looked at before every step."""
    epsilon = EPSILON[norm]
    point = twin.start_in_ball(twin.X, epsilon, norm)
    patience, going = np.full(twin.COUNT, looks), np.full(twin.COUNT, True)
    for _ in range(STEPS):
        way = twin.upwards(lambda x: twin.cross_entropy(model(x), Y), point, norm)
        moved = point + STEP_SIZE[norm] * way
        moved = twin.project(moved, twin.X, epsilon, norm)
        for image, wrong in enumerate(~right(model(point))):
            if wrong and patience[image] == 0:
                going[image] = False
            elif wrong and going[image]:
                patience[image] -= 1
            if going[image]:
                point[image] = moved[image]
    return point


def friendly(norm):
    return objectives.friendly(
        epsilon=EPSILON[norm],
        step_size=STEP_SIZE[norm],
        steps=STEPS,
        norm=norm,
        patience=((2, 1), (4, 3)),
    )


@known_starts
@NORMS
def test_friendly(norm):
    run = twin.compiled(friendly(norm))
    points = {looks: friendly_walk(twin.plain, looks, norm) for looks in (0, 1, 2, 3)}
    for looks in (1, 2, 3):
        assert np.abs(points[looks] - points[looks - 1]).max() > 1e-3
    for epoch, looks in ((0, 0), (1, 0), (2, 1), (3, 1), (4, 3), (9, 3)):
        outcome = run(Y, epoch)
        np.testing.assert_allclose(outcome.last, points[looks], atol=1e-10)
    adversary = points[3]
    twin.assert_same(outcome, lambda params: cross_entropy(adversary, params).mean())
    share = right(twin.plain(adversary)).mean()
    assert outcome.metrics["accuracy"] == pytest.approx(share)
    assert not outcome.before.any()
    assert outcome.memory is None


def test_patience_is_the_papers():
    assert objectives.friendly().patience == ((50, 1), (90, 2))


def normalised(objective, memory=None):
    return twin.compiled(objective, normalised=True)(Y, 0, memory)


def assert_trained_on(outcome, adversary):
    """In training mode, with the statistics that come from that."""
    np.testing.assert_allclose(outcome.last, adversary, atol=1e-9)
    twin.assert_same(
        outcome,
        lambda params: cross_entropy(adversary, params).mean(),
        twin.NORMALISED_PARAMS,
    )
    moved = twin.moved_on(twin.RUNNING, adversary)
    for name, values in outcome.running.items():
        np.testing.assert_allclose(values, moved[name], rtol=1e-9)


@known_starts
def test_instance_adaptive_searches_in_evaluation_mode():
    objective = objectives.instance_adaptive(step_size=0.04, steps=STEPS)
    outcome = normalised(objective, RADII["linf"])
    assert_trained_on(outcome, search(twin.evaluating, RADII["linf"], "linf"))


@known_starts
def test_friendly_searches_in_evaluation_mode():
    outcome = normalised(friendly("linf"))
    assert_trained_on(outcome, friendly_walk(twin.evaluating, 0, "linf"))


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (
            "instance_adaptive",
            {"radius_step": 0.0},
            r"radius_step is 0\.0, but must be",
        ),
        (
            "instance_adaptive",
            {"smoothing": 0.0},
            r"smoothing is 0\.0, but must be in \(0,1\]",
        ),
        ("instance_adaptive", {"smoothing": 1.5}, r"smoothing is 1\.5, but must be in"),
        (
            "instance_adaptive",
            {"warm_up": -1},
            "warm_up is -1, but must not be negative",
        ),
        ("instance_adaptive", {"norm": "l0"}, "norm is 'l0', but must be one of"),
        ("friendly", {"epsilon": math.nan}, "epsilon is nan, but must be above 0"),
        ("friendly", {"patience": ((5, 1), (5, 2))}, "must be pairs of growing epochs"),
        ("friendly", {"patience": ((5, 1), (4, 2))}, "must be pairs of growing epochs"),
        ("friendly", {"patience": ((5, -1),)}, r"patience is \(\(5, -1\),\), but must"),
        (
            "friendly",
            {"patience": (12, 1)},
            r"patience is \(12, 1\), but must be pairs",
        ),
        ("friendly", {"patience": ((12, 1.5),)}, "looks that are whole numbers"),
        ("friendly", {"epsilon": 8}, "epsilon is 8, but must be at most 1 in linf"),
    ],
)
def test_settings_out_of_range_are_refused(method, settings, message):
    with pytest.raises(ValueError, match=message):
        getattr(objectives, method)(**settings)
