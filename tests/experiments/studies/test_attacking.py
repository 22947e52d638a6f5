"""Rows and pieces of attacks, by hand; attacks themselves are tested by the studies."""

import dataclasses

import numpy as np

from experiments.studies import attacking
from zeroone_jax import attacks


def test_the_nearest_adversary_of_any_piece_in_the_norm():
    def piece(norm, distance, value, shape=(3, 2, 2)):
        return {
            "norm": np.array(norm),
            "distance": np.array(distance),
            "adversary": np.full(shape, value),
        }

    found = {
        "first": piece("l2", [1.0, 2.0, np.inf], 1.0),
        "rows": piece("l2", [2.0, 1.0, np.inf], 2.0, (3, 4)),
        "other": piece("linf", [0.1, 0.1, 0.1], 3.0),
        "repeated": {"norm": np.array("l2"), "distance": np.zeros((2, 3))},
    }
    nearest = attacking.nearest_adversaries(found, "l2")
    assert nearest.shape == (3, 2, 2)
    assert nearest[:, 0, 0].tolist() == [1.0, 2.0, 1.0]


def test_rows_of_models_have_what_is_told_of_each():
    result = {
        "config": {"models": {"a": {"votes": 1}, "b": {"votes": 2}}},
        "accuracy": {"a": 0.5, "b": 0.75},
        "pieces": {
            "a": {"x": {"distance": [1.0, None]}, "y": {"distance": [2.0, 3.0]}},
            "b": {"x": {"distance": [4.0, 5.0]}, "y": {"distance": [None, 1.0]}},
        },
    }
    first, second = attacking.by_model([result])
    assert (first["method"], first["accuracy"], first["settings"]["votes"]) == (
        "a",
        0.5,
        1,
    )
    assert attacking.distances(first).tolist() == [1.0, 3.0]
    assert attacking.distances(second, "y").tolist() == [np.inf, 1.0]
    assert attacking.median("x")(second) == 4.5
    assert attacking.median()(second) == 2.5


def test_the_study_is_attacked_with_both_radii():
    effort = attacking.Effort(images=1, iterations=7, law="signs")
    study, adaptive = attacking.by_labels(effort)
    assert study.attack == attacks.hop_skip_jump(iterations=7, law="signs")
    assert adaptive.attack == dataclasses.replace(study.attack, radius="adaptive")
    assert (study.repeats, adaptive.repeats) == (0, 0)
