import json

import numpy as np
import pytest

from experiments import pieces

ARRAYS = {"x": np.arange(3.0), "names": np.array(["a", "b"])}
RECORD = {"x": [1, None]}


class Made:
    """Makes a piece, and counts how often."""

    def __init__(self, value):
        self.value, self.count = value, 0

    def __call__(self):
        self.count += 1
        return self.value


def assert_same(found):
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_arrays_are_made_once(tmp_path):
    made = Made(ARRAYS)
    for _ in range(2):
        assert_same(pieces.arrays(tmp_path / "a.npz", made))
    assert made.count == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_records_are_made_once(tmp_path):
    made = Made(RECORD)
    for _ in range(2):
        assert pieces.record(tmp_path / "a.json", made) == RECORD
    assert made.count == 1


@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_damaged_pieces_are_made_again(tmp_path, caplog, share):
    arrays, record = Made(ARRAYS), Made(RECORD)
    paths = tmp_path / "a.npz", tmp_path / "a.json"
    pieces.arrays(paths[0], arrays)
    pieces.record(paths[1], record)
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
    with caplog.at_level("WARNING"):
        assert_same(pieces.arrays(paths[0], arrays))
        assert pieces.record(paths[1], record) == RECORD
    assert (arrays.count, record.count) == (2, 2)
    for path in paths:
        assert f"{path} is damaged" in caplog.text
    assert json.loads(paths[1].read_text()) == RECORD


def test_the_time_of_a_damaged_piece_is_taken_again(tmp_path):
    made = Made(ARRAYS)
    (tmp_path / "a.npz").write_bytes(b"")
    found = pieces.timed_arrays(tmp_path / "a.npz", made)
    assert found.keys() == {*ARRAYS, "seconds"}
    assert made.count == 1
