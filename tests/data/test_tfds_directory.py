import json

import pytest

from zeroone_jax.data import tfds_directory


@pytest.fixture
def folder(tmp_path):
    for name in (
        "cifar10/3.0.1",
        "cifar10/3.0.2",
        "cifar10/3.0.10",
        "shapes/1.9.0",
        "shapes/1.10.0",
        "faces/small/1.0.0",
        "faces/large/1.0.0",
        ".mnist.preparing/mnist/3.0.1",
        "mnist/incomplete.ABC_3.0.1",
    ):
        (tmp_path / name).mkdir(parents=True)
        info = {"fileFormat": "array_record", "splits": [{"name": "train"}]}
        (tmp_path / name / "dataset_info.json").write_text(json.dumps(info))
    (tmp_path / "half" / "1.0.0").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        # The catalog's version, of others the highest, or the one asked for.
        ("cifar10", "cifar10/3.0.2"),
        ("shapes", "shapes/1.10.0"),
        ("shapes:1.9.0", "shapes/1.9.0"),
        ("faces/small", "faces/small/1.0.0"),
        ("faces/large:1.0.0", "faces/large/1.0.0"),
        ("shapes:2.0.0", None),
        ("faces", None),
        ("mnist", None),
        ("half", None),
        ("", None),
    ],
)
def test_find(folder, name, directory):
    expected = None if directory is None else folder / directory
    assert tfds_directory.find(name, folder) == expected


def test_find_prefers_what_describes_itself(folder):
    (folder / "shapes" / "1.10.0" / "dataset_info.json").rename(
        folder / "shapes" / "1.10.0" / "elsewhere.json"
    )
    assert tfds_directory.find("shapes", folder) == folder / "shapes" / "1.9.0"
    torn = folder / "shapes" / "1.10.0"
    assert tfds_directory.find("shapes:1.10.0", folder) == torn


def test_prepared(folder):
    names = ["cifar10", "faces/large", "faces/small", "shapes"]
    assert tfds_directory.prepared(folder) == names
    assert tfds_directory.prepared(folder / "nowhere") == []


def test_info(folder):
    directory = folder / "shapes" / "1.9.0"
    assert tfds_directory.split_names(directory) == ["train"]
    assert tfds_directory.file_format(directory) == "array_record"
    (directory / "dataset_info.json").write_text("{}")
    assert tfds_directory.split_names(directory) == []
    assert tfds_directory.file_format(directory) == "tfrecord"
