"""Tables of robust accuracies, by hand."""

import json

import numpy as np
import pytest

from zeroone_jax.evaluation import robust_tables
from zeroone_jax.evaluation.gradient_masking import Masking
from zeroone_jax.evaluation.plans import PAPER, STRONGEST
from zeroone_jax.evaluation.robust_accuracy import Row
from zeroone_jax.evaluation.tables import as_json, markdown
from zeroone_jax.evaluation.transfer import Transfer


def row(attack, images, accuracy, natural=0.875, warnings=()):
    return Row(attack, images, accuracy, natural, 0.125, warnings)


SENSE = [
    row("pgd", 1000, 0.75, natural=0.9),
    row("suite", 100, 0.25, warnings=("Beware.",)),
    row(PAPER, 100, 0.625),
    row(STRONGEST, 100, 0.125, warnings=("Beware.",)),
]
OURS = [
    row("pgd", 1000, 0.5),
    row("suite", 50, 0.5),
    row(PAPER, 50, 0.5),
    row(STRONGEST, 50, 0.5),
]
RESULTS = {"SENSE": SENSE, "ours": OURS}
PUBLISHED = {"SENSE": {"natural": "0.9151", PAPER: "0.6517", STRONGEST: "0.342"}}


def test_one_network():
    table = robust_tables.one_network("SENSE", SENSE)
    assert table.header[:3] == ["attack", "images", "accuracy"]
    assert "| pgd         |   1000 |   0.7500 |" in markdown(table)
    assert table.rows[0] == ["pgd", 1000, 0.75, 0.125, 0.9]
    assert [cells[0] for cells in table.rows[-2:]] == [PAPER, STRONGEST]


def test_the_strongest_stands_beside_the_papers_own():
    table = robust_tables.strongest("honest", RESULTS, PUBLISHED)
    first, second = json.loads(json.dumps(as_json(table)))["rows"]
    assert first == {
        "network": "SENSE",
        "images": 100,
        "natural": 0.875,
        "paper's own": 0.625,
        "strongest": 0.125,
        "standard error": 0.125,
        "gap": 0.5,
        "published natural": "0.9151",
        "published paper's own": "0.6517",
        "published strongest": "0.342",
    }
    assert second["gap"] == 0
    assert second["published strongest"] is None


def test_columns_of_others_are_left_out_where_there_are_none():
    table = robust_tables.strongest("ours", {"ours": OURS}, PUBLISHED)
    assert table.header[-1] == "gap"
    assert len(table.rows[0]) == len(table.header)


def test_warnings_are_listed_once():
    assert robust_tables.warnings(RESULTS) == "- SENSE, suite: Beware."
    assert robust_tables.warnings({"ours": OURS}) == ""


def test_the_transfer_matrix():
    worst = np.array([[0.0, 0.5], [0.25, 0.75]])
    found = Transfer(worst, worst[..., None], np.array([0.9, 0.8]))
    table = robust_tables.transfers("transfer", ["a", "b"], found)
    assert table.header == ["adversaries", "on a", "on b"]
    assert table.rows == [
        ["no attack", 0.9, 0.8],
        ["from a", 0.0, 0.5],
        ["from b", 0.25, 0.75],
    ]
    with pytest.raises(ValueError, match="1 names are given of 2 networks"):
        robust_tables.transfers("transfer", ["a"], found)


def test_masking_compares_the_halves():
    course = Masking(
        np.array([0, 1, 10, 20, 25]),
        np.array([[0.0, 1, 2, 3, 4], [0, 1, 2, 3, 5]], np.float32),
        np.array([1.0, 1, 0.75, 0.5, 0.25]),
    )
    table = robust_tables.masking("masking", {"a": course})
    assert table.rows == [["a", 25, 2, 0.75, 0.25, 0.5, 4.5, 1.0]]
    assert len(table.header) == len(table.rows[0])
