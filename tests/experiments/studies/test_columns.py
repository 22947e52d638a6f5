"""Cells of tables, by hand."""

import numpy as np
import pytest

from experiments.published import Published
from experiments.studies import columns
from zeroone_jax.evaluation.tables import Table


def test_a_table_has_a_row_for_each_row():
    rows = [{"method": "a", "n": 1}, {"method": "b", "n": 2}]
    cells = {"who": columns.at("method"), "twice": lambda row: 2 * row["n"]}
    expected = Table("Title", ["who", "twice"], [["a", 2], ["b", 4]])
    assert columns.table("Title", rows, cells) == expected


def test_what_is_missing_is_none():
    row = {"a": {"b": None, "c": 0}}
    assert columns.at("a", "c")(row) == 0
    for keys in (("a", "b", "c"), ("a", "d"), ("e", "f")):
        assert columns.at(*keys)(row) is None


def test_others_results_are_shown_where_there_are_some():
    cell = columns.published({"a": Published("about .5", "a letter")})
    assert [cell({"method": method}) for method in "ab"] == ["about .5", "-"]


def test_infinite_distances_count_in_medians():
    row = {"found": {"near": [3.0, None, 1.0], "far": [None, None, 2.0]}}
    assert columns.middle("found", "near")(row) == 3.0
    assert columns.middle("found", "far")(row) == np.inf
    matrix = columns.numbers([[1, None], [2, 3]])
    np.testing.assert_array_equal(matrix, [[1, np.inf], [2, 3]])


@pytest.mark.parametrize(
    ("values", "settings", "expected"),
    [
        ([], {}, None),
        ([0.12345], {}, "0.123"),
        ([0.5, 0.7], {"error": True}, "0.600 ± 0.100"),
        ([0.5, 0.7], {}, "0.600 ± 0.141"),
        ([1, 2, 3, 4], {"places": 4}, "2.5000 ± 1.2910"),
    ],
)
def test_spreads(values, settings, expected):
    assert columns.spread(np.array(values), **settings) == expected
