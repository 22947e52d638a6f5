"""What the launcher of attacks tells of its results."""

import numpy as np
import pytest

from experiments import attack_report
from zeroone_jax import data


def outcome(success, distance, only_correct=False, targeted=False, in_ball=True):
    count = len(success)
    arrays = {
        "index": np.arange(count),
        "label": np.zeros(count, np.int32),
        "label_before": np.zeros(count, np.int32),
        "label_after": np.array(success, np.int32),
        "success": np.array(success),
        "distance": np.array(distance, np.float32),
        "queries": np.full(count, 7),
    }
    split = data.Split(
        np.zeros((count, 2, 2, 1), np.uint8),
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.int32),
        ("cat", "dog"),
    )
    return attack_report.Outcome(
        "Shift", "l2", None, in_ball, only_correct, targeted, split, arrays
    )


def test_images_without_a_label_are_neither_robust_nor_broken():
    summary = attack_report.summarize(
        outcome([True, False, False, True], [0.0, np.nan, np.inf, 0.5])
    )
    assert summary["images"] == 4
    assert summary["wrong_before"] == 1
    assert summary["broken"] == 2
    assert summary["robust_accuracy"] == 0.25
    assert summary["distance"]["median"] == 0.5
    assert summary["queries"] == 7


@pytest.mark.parametrize(
    ("settings", "row", "is_accuracy"),
    [
        ({}, "robust accuracy", True),
        ({"only_correct": True}, "share left of images labelled rightly", False),
        ({"targeted": True}, "share that does not reach the target", False),
        ({"in_ball": False}, "share left", False),
    ],
)
def test_a_share_is_called_what_it_is(settings, row, is_accuracy):
    told = outcome([True, False, False, True], [0.5, np.inf, np.inf, 0.5], **settings)
    summary = attack_report.summarize(told)
    assert summary["left"] == 0.5
    assert summary["robust_accuracy"] == (0.5 if is_accuracy else None)
    text = attack_report._text(told, summary)
    assert f"| {row} " in text
    assert ("robust accuracy" in text) == is_accuracy


def test_records_hold_types_of_json():
    lines = attack_report.records(outcome([True, False], [0.5, np.inf]).arrays, 2)
    assert [line["distance"] for line in lines] == [0.5, None]
    assert [line["success"] for line in lines] == [True, False]
