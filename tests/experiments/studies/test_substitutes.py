"""What is told of substitutes, by hand."""

import numpy as np

from experiments.studies import substitutes

RECORDS = [
    {"adversarial_accuracy": [[0.9, 0.8], [0.5 + seed, 0.25]], "queries": [1, 2]}
    for seed in (0.0, 0.2)
]


def test_records_of_all_seeds_are_told_by_name():
    found = substitutes.together(RECORDS)
    assert found["queries"] == [[1, 2], [1, 2]]
    assert np.shape(found["adversarial_accuracy"]) == (2, 2, 2)


def test_columns_show_the_last_round_at_each_epsilon():
    row = {"records": substitutes.together(RECORDS)}
    np.testing.assert_array_equal(substitutes.left(row)[:, 0], [[0.9, 0.8]] * 2)
    columns = substitutes.columns([0.0625, 0.125], "at ")
    cells = {header: cell(row) for header, cell in columns.items()}
    assert cells == {"at 0.0625": "0.600 ± 0.100", "at 0.125": "0.250 ± 0.000"}
