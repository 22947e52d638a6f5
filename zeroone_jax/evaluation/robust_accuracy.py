"""The accuracy of a network under attack: one attack at a time, then all together.

A launcher calls `evaluate_one` for each attack, stores the outcome (`as_json`) and
reads it again (`from_json`); `summarize` makes rows of all outcomes.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from zeroone_jax import attacks
from zeroone_jax.attacks.suite import Suite, SuiteReport
from zeroone_jax.attacks.suite_run import PAPER, STRONGEST
from zeroone_jax.types import Array, Key, LogitsFn


class Outcome(NamedTuple):
    """What one attack of a plan did to the first images.

    Attributes:
        attack: its name.
        correct: bool [images], labelled rightly before the attack.
        robust: bool [images], labelled rightly and not broken within epsilon.
        warnings: a suite's reasons not to trust its figures, in words.
    """

    attack: str
    correct: np.ndarray
    robust: np.ndarray
    warnings: tuple[str, ...]


class Row(NamedTuple):
    """A result in numbers.

    Attributes:
        attack: the attack's name, or one of `plans.PAPER` and `plans.STRONGEST`.
        images: how many images it is about.
        accuracy: share of them that were labelled rightly and not broken.
        natural_accuracy: share of the same images that were labelled rightly.
        standard_error: of `accuracy`, by the binomial law:
            `sqrt(accuracy (1 - accuracy) / images)`.
        warnings: as in `Outcome`.
    """

    attack: str
    images: int
    accuracy: float
    natural_accuracy: float
    standard_error: float
    warnings: tuple[str, ...]


def evaluate(
    key: Key, logits_fn: LogitsFn, x: Array, y: Array, plan: Suite
) -> list[Row]:
    """Attacks a network by a plan.

    Args:
        key: a random key. All attacks get the same key and so the same restarts:
            PGD's worst of 5 is never above its single run.
        logits_fn: the network; a `jax.tree_util.Partial` of its parameters is compiled
            once for all networks of that kind.
        x: f32 [n, ...] in [0,1].
        y: int [n], the labels.
        plan: the attacks.

    Returns:
        Rows as `summarize` makes them.

    Raises:
        ValueError: an attack is to meet more images than there are.
    """
    most = max(plan.stages, key=lambda stage: stage.first or 0)
    _check_images(most.name, most.first or 0, len(x))
    names = [stage.name for stage in plan.stages]
    return summarize(
        [evaluate_one(key, logits_fn, x, y, plan, name) for name in names], plan
    )


def evaluate_one(
    key: Key, logits_fn: LogitsFn, x: Array, y: Array, plan: Suite, name: str
) -> Outcome:
    """Attacks a network by one attack of a plan.

    Args:
        key: as for `evaluate`.
        logits_fn: the network.
        x: f32 [n, ...] in [0,1].
        y: int [n].
        plan: the plan.
        name: the attack's name in it.

    Returns:
        The `Outcome` on as many of the first images as the plan says.

    Raises:
        ValueError: the plan has no such attack, or there are fewer images.
    """
    stage = plan.stage(name)
    attack, images = stage.attack, stage.first or len(x)
    _check_images(name, images, len(x))
    fn = logits_fn if attack.needs == "logits" else attacks.as_label_fn(logits_fn)
    found = attack(key, fn, x[:images], y[:images])
    distance = np.asarray(found.distance)
    # At distance 0 are the images that were wrong already; without a label it is NaN.
    correct = distance > 0
    within = distance <= distance.dtype.type(plan.epsilon)
    warnings = found.warnings if isinstance(found, SuiteReport) else ()
    return Outcome(name, correct, correct & ~within, warnings)


def summarize(outcomes: Sequence[Outcome], plan: Suite) -> list[Row]:
    """Makes rows of what all attacks of a plan did.

    Args:
        outcomes: one for each attack of the plan, in any order.
        plan: the plan.

    Returns:
        A row for each attack in the plan's order, and two that can be compared, both
        on the images that the last attack and the paper's own have met: the paper's
        own attack, and the worst case for every image over all attacks that met it.

    Raises:
        ValueError: an outcome is missing, twice there, or not of this plan, or this has
            no attack that stands for a paper's.
    """
    expected = [stage.name for stage in plan.stages]
    given = {outcome.attack: outcome for outcome in outcomes}
    if sorted(outcome.attack for outcome in outcomes) != sorted(expected):
        raise ValueError(
            f"outcomes are of {[outcome.attack for outcome in outcomes]}, but must be "
            f"of {expected}, each once"
        )
    if plan.paper is None:
        raise ValueError("the plan has no attack that stands for a paper's: set paper")
    ordered = [given[name] for name in expected]
    last, paper = ordered[-1], given[plan.paper]
    images = min(len(last.robust), len(paper.robust))
    worst = functools.reduce(_worse, ordered, np.ones(images, bool))
    warnings = tuple(word for outcome in ordered for word in outcome.warnings)
    beside = Outcome(PAPER, last.correct[:images], paper.robust[:images], ())
    strongest = Outcome(STRONGEST, last.correct[:images], worst, warnings)
    return [_row(outcome) for outcome in (*ordered, beside, strongest)]


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Gives an outcome as JSON's types.

    Returns:
        The attack's name, the number of images, the places of those that were wrong
        before the attack and of those that it broke, and the warnings.
    """
    return {
        "attack": outcome.attack,
        "images": len(outcome.correct),
        "wrong": np.flatnonzero(~outcome.correct).tolist(),
        "broken": np.flatnonzero(outcome.correct & ~outcome.robust).tolist(),
        "warnings": list(outcome.warnings),
    }


def from_json(value: Mapping[str, Any]) -> Outcome:
    """Reads what `as_json` wrote."""
    correct = np.ones(value["images"], bool)
    correct[value["wrong"]] = False
    robust = correct.copy()
    robust[value["broken"]] = False
    return Outcome(value["attack"], correct, robust, tuple(value["warnings"]))


def _check_images(name: str, images: int, count: int) -> None:
    if images > count:
        raise ValueError(
            f"{name} is to meet {images} images, but there are {count}: give more, or "
            f"take plan.limited_to({count})"
        )


def _worse(robust: np.ndarray, outcome: Outcome) -> np.ndarray:
    """What is left robust, where the attack met the image."""
    met = min(len(robust), len(outcome.robust))
    return np.concatenate([robust[:met] & outcome.robust[:met], robust[met:]])


def _row(outcome: Outcome) -> Row:
    images = len(outcome.robust)
    accuracy = float(np.mean(outcome.robust))
    return Row(
        outcome.attack,
        images,
        accuracy,
        float(np.mean(outcome.correct)),
        math.sqrt(accuracy * (1 - accuracy) / images),
        outcome.warnings,
    )
