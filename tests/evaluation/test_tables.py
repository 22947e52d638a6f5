import json

import pytest

from zeroone_jax.evaluation.tables import Table, as_json, markdown

TABLE = Table(
    "Accuracy",
    ["", "train", "test"],
    [["vote 1", 0.5, 0.25], ["authors", "0.869 ± 0.0065", None], ["n", 10, 1.0]],
)


def test_markdown_is_aligned():
    title, blank, *lines = markdown(TABLE).split("\n")
    assert (title, blank) == ("**Accuracy**", "")
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "|:--------|---------------:|-------:|"
    assert lines[2] == "| vote 1  |         0.5000 | 0.2500 |"
    assert lines[3] == "| authors | 0.869 ± 0.0065 |      - |"
    assert lines[4] == "| n       |             10 | 1.0000 |"


def test_json_keeps_the_numbers():
    assert json.loads(json.dumps(as_json(TABLE))) == {
        "title": "Accuracy",
        "rows": [
            {"row": "vote 1", "train": 0.5, "test": 0.25},
            {"row": "authors", "train": "0.869 ± 0.0065", "test": None},
            {"row": "n", "train": 10, "test": 1.0},
        ],
    }


@pytest.mark.parametrize("write", [markdown, as_json])
def test_ragged_rows_are_refused(write):
    with pytest.raises(ValueError, match="2 cells, not 3"):
        write(TABLE._replace(rows=[["vote 1", 0.5]]))
