"""Robust accuracies of linear models are known; results keep what they are told."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.evaluation import linear_models
from zeroone_jax import attacks, losses
from zeroone_jax.attacks import suite
from zeroone_jax.evaluation import robust_accuracy
from zeroone_jax.evaluation.robust_accuracy import Outcome

KEY = jax.random.key(0)
EPSILON = 0.05
COUNTS = {"fgsm": 40, "deep_fool": 20, "ray_s": 10, "apgd": 30}
MADE = {
    "fgsm": attacks.fgsm(epsilon=EPSILON),
    "deep_fool": attacks.deep_fool(norm="linf"),
    "ray_s": attacks.ray_s(max_queries=300),
    "apgd": suite.Suite(
        stages=(
            suite.Stage(
                name="apgd_ce", attack=attacks.apgd(epsilon=EPSILON, iterations=5)
            ),
        ),
        norm="linf",
        epsilon=EPSILON,
    ),
}
PLAN = suite.Suite(
    norm="linf",
    epsilon=EPSILON,
    stages=tuple(
        suite.Stage(name=name, attack=attack, first=COUNTS[name])
        for name, attack in MADE.items()
    ),
    paper="fgsm",
)


@pytest.fixture(scope="module")
def linear():
    w, b = linear_models.draw(0)
    x, y = linear_models.images(40, w, b)
    return linear_models.partial(w, b), x, y, linear_models.robust(w, b, x, y, EPSILON)


@pytest.fixture(scope="module")
def rows(linear):
    model, x, y, _ = linear
    return robust_accuracy.evaluate(KEY, model, x, y, PLAN)


@pytest.mark.slow("all attacks of a plan")
def test_every_attack_finds_the_share_that_is_known(linear, rows):
    expected = linear[-1]
    assert 0.2 < expected.mean() < 0.8
    assert [row.attack for row in rows] == [*COUNTS, "paper's own", "strongest"]
    for row in rows[:-2]:
        assert row.images == COUNTS[row.attack]
        assert row.accuracy == expected[: row.images].mean(), row.attack
        assert row.natural_accuracy == 0.9
        error = math.sqrt(row.accuracy * (1 - row.accuracy) / row.images)
        assert row.standard_error == pytest.approx(error)


def test_the_last_two_rows_are_of_the_last_attacks_images(linear, rows):
    expected = linear[-1][:30].mean()
    for row in rows[-2:]:
        assert (row.images, row.accuracy, row.natural_accuracy) == (30, expected, 0.9)


def test_a_warning_reaches_its_row_and_the_strongest(linear):
    w, b = linear_models.draw(0)
    blind = linear_models.partial(jnp.zeros_like(w), jnp.zeros_like(b))
    y = jnp.zeros_like(linear[2])
    outcome = robust_accuracy.evaluate_one(KEY, blind, linear[1], y, PLAN, "apgd")
    assert any("gradient is 0" in word for word in outcome.warnings)
    others = [Outcome(name, outcome.correct, outcome.correct, ()) for name in MADE]
    rows = robust_accuracy.summarize([*others[:-1], outcome], PLAN)
    assert [bool(row.warnings) for row in rows] == [False] * 3 + [True, False, True]


@pytest.mark.slow("compiles for other restarts")
def test_more_restarts_leave_no_more(linear):
    w, b = linear_models.draw(0)
    model, x = linear_models.winding(w, b), linear[1]
    once = attacks.pgd(epsilon=0.04, step_size=0.01, iterations=2)
    both = {"once": once, "often": dataclasses.replace(once, restarts=4)}
    plan = suite.Suite(
        norm="linf",
        epsilon=0.04,
        stages=tuple(
            suite.Stage(name=name, attack=attack, first=40)
            for name, attack in both.items()
        ),
        paper="once",
    )
    y = losses.labels(model(x))
    first, worst = (
        robust_accuracy.evaluate_one(KEY, model, x, y, plan, name) for name in both
    )
    assert np.all(worst.robust <= first.robust)
    assert worst.robust.sum() < first.robust.sum()


def outcome(name, robust, correct=None):
    robust = np.array(robust, bool)
    correct = np.ones_like(robust) if correct is None else np.array(correct, bool)
    return Outcome(name, correct, robust, ())


def test_the_worst_case_by_hand():
    plan = suite.Suite(
        norm="linf",
        epsilon=EPSILON,
        stages=tuple(
            suite.Stage(name=name, attack=MADE["fgsm"], first=images)
            for name, images in (("paper", 5), ("few", 2), ("last", 4))
        ),
        paper="paper",
    )
    outcomes = [
        outcome("last", [1, 1, 0, 0], [1, 1, 1, 0]),
        outcome("paper", [1, 0, 1, 0, 1], [1, 1, 1, 0, 1]),
        outcome("few", [1, 1]),
    ]
    *_, paper, strongest = robust_accuracy.summarize(outcomes, plan)
    assert (paper.attack, paper.accuracy, paper.images) == ("paper's own", 0.5, 4)
    assert (strongest.attack, strongest.accuracy) == ("strongest", 0.25)
    assert strongest.natural_accuracy == paper.natural_accuracy == 0.75
    with pytest.raises(ValueError, match=r"outcomes are of \['last'\], but must be of"):
        robust_accuracy.summarize(outcomes[:1], plan)
    with pytest.raises(ValueError, match="each once"):
        robust_accuracy.summarize([*outcomes, outcomes[0]], plan)
    with pytest.raises(ValueError, match="no attack that stands for a paper's"):
        robust_accuracy.summarize(outcomes, dataclasses.replace(plan, paper=None))


def test_outcomes_go_through_json():
    told = outcome("pgd", [1, 0, 0, 1], [1, 1, 0, 1])._replace(warnings=("Beware.",))
    written = robust_accuracy.as_json(told)
    assert written["wrong"] == [2]
    assert written["broken"] == [1]
    read = robust_accuracy.from_json(json.loads(json.dumps(written)))
    assert read.attack == told.attack
    assert read.warnings == told.warnings
    np.testing.assert_array_equal(read.correct, told.correct)
    np.testing.assert_array_equal(read.robust, told.robust)


def test_more_images_than_there_are(linear):
    model, x, y, _ = linear
    message = r"fgsm is to meet 40 images, but there are 39: .* plan.limited_to\(39\)"
    with pytest.raises(ValueError, match=message):
        robust_accuracy.evaluate(KEY, model, x[:39], y[:39], PLAN)
    with pytest.raises(ValueError, match="attack is 'pgd', but must be one of 'fgsm'"):
        robust_accuracy.evaluate_one(KEY, model, x, y, PLAN, "pgd")


def test_images_without_a_label_are_neither_right_nor_robust():
    x = jnp.asarray([[0.2], [0.4], [0.6], [0.8]], jnp.float32)

    def blind(x):
        return jnp.where(x[:, 0] > 0.7, jnp.nan, x[:, 0] - 0.5)

    attack = attacks.pgd(epsilon=0.01, iterations=2)
    planned = suite.Stage(name="pgd", attack=attack, first=len(x))
    plan = suite.Suite(norm="linf", epsilon=0.01, stages=(planned,), paper="pgd")
    y = jnp.asarray([0, 0, 1, 1], jnp.int32)
    with pytest.warns(RuntimeWarning, match="NaN or infinite at 1 of 4"):
        outcome = robust_accuracy.evaluate_one(KEY, blind, x, y, plan, "pgd")
    np.testing.assert_array_equal(outcome.correct, [True, True, True, False])
    np.testing.assert_array_equal(outcome.robust, outcome.correct)
