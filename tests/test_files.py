import io
import json
import zipfile

import numpy as np
import pytest

from zeroone_jax import files


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / "table.md"
    path.write_text("old")

    def fail_halfway() -> None:
        with files.replacing(path) as partial:
            partial.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert path.read_text() == "old"
    with files.replacing(path) as partial:
        assert partial.suffix == path.suffix
        partial.write_text("new")
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.md"]


def test_json(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"one": [1, None]})
    assert files.read_json(path) == {"one": [1, None]}
    with pytest.raises(FileNotFoundError):
        files.read_json(tmp_path / "b.json")


TORN = {"empty": b"", "cut": b'{"one": [', "binary": b"\x93\xff{}", "a list": b"[]"}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
def test_torn_json(tmp_path, torn):
    path = tmp_path / "a.json"
    path.write_bytes(torn)
    with pytest.raises(files.DamagedError) as caught:
        files.read_json(path, "remove it")
    told = str(caught.value)
    assert told.startswith(f"{path} is damaged (")
    assert told.endswith("): remove it")
    assert "\n" not in told


ARRAYS = {"x": np.arange(3.0), "y": np.array(["a", "b"])}


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    files.write_npz(path, ARRAYS)
    found = files.read_npz(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    assert files.read_npz(path, skip=("x",)).keys() == {"y"}
    with pytest.raises(FileNotFoundError):
        files.read_npz(tmp_path / "b.npz")


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="z hold objects, not numbers"):
        files.write_npz(tmp_path / "a.npz", {**ARRAYS, "z": np.array([None])})
    assert not (tmp_path / "a.npz").exists()


def test_every_cut_and_flip_of_an_npz_is_damage(tmp_path):
    whole = io.BytesIO()
    np.savez_compressed(whole, x=ARRAYS["x"])
    content, path = whole.getvalue(), tmp_path / "a.npz"
    cuts = [content[:length] for length in range(len(content))]
    flips = []
    for place in range(len(content)):
        flips.append(bytearray(content))
        flips[-1][place] ^= 255
    for number, torn in enumerate([*cuts, *flips]):
        path.write_bytes(torn)
        try:
            found = files.read_npz(path)
        except files.DamagedError:
            continue
        # Dates and other things that nobody reads.
        assert number >= len(cuts)
        for array in found.values():
            np.testing.assert_array_equal(array, ARRAYS["x"])


def npy() -> bytes:
    content = io.BytesIO()
    np.save(content, ARRAYS["x"])
    return content.getvalue()


def zip_of_text() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("x", "no array")
    return content.getvalue()


def pickled() -> bytes:
    content = io.BytesIO()
    np.savez(content, x=np.array([{}], dtype=object))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(), "a lone array"),
        (zip_of_text(), "x is no array"),
        (pickled(), "allow_pickle"),
        (b"", "No data left"),
        (json.dumps({}).encode(), "pickled"),
    ],
)
def test_other_files_are_no_npz(tmp_path, content, message):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(files.DamagedError, match=message):
        files.read_npz(path)


def test_checksum(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert files.checksum(path) == 0
    path.write_bytes(b"123456789")
    assert files.checksum(path) == 0xCBF43926
