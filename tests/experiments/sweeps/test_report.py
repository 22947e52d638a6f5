import dataclasses
import json
import math
import pathlib

import pytest
from PIL import Image

from experiments.command_line import UserError
from experiments.sweeps import report
from experiments.sweeps.definition import runs_of
from experiments.sweeps.language import choices, product
from tests.experiments.sweeps import tiny
from zeroone_jax import runs


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    tiny.install(tmp_path, monkeypatch)


def finish(run, value, key="value") -> None:
    folder = pathlib.Path(run.job.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps({"result": {key: value}}))


def test_means_and_standard_errors_are_over_seeds(tmp_path):
    sweep = tiny.sweep()
    listed = runs_of(sweep, tmp_path)
    for run, value in zip(listed, (1.0, 2.0, 6.0, 5.0), strict=False):
        finish(run, value)
    small, large = report.grouped(sweep, listed)
    assert small.settings == {"size": 0.5}
    assert small.finished == 3
    # The variance of 1, 2, 6 is 7.
    estimate = small.estimates["result (m)"]
    assert estimate.mean == 3.0
    assert estimate.standard_error == pytest.approx(math.sqrt(7 / 3), rel=1e-12)
    assert large.finished == 1
    assert large.estimates["result (m)"] == (5.0, None)


def test_a_damaged_summary_is_named_with_a_remedy(tmp_path):
    sweep = tiny.sweep()
    listed = runs_of(sweep, tmp_path)
    finish(listed[0], 1.0)
    path = pathlib.Path(listed[0].job.run_dir) / "summary.json"
    path.write_text("")
    with pytest.raises(runs.DamagedError, match=r"summary\.json is .*: remove it"):
        report.grouped(sweep, listed)


def test_what_is_written(tmp_path):
    sweep = tiny.sweep(
        product(
            [{"name": "x"}], choices("size", [0.5, 20.0]), choices("seed", range(2))
        )
    )
    listed = runs_of(sweep, tmp_path)
    for run, value in zip(listed, (1.0, 2.0, 5.0), strict=False):
        finish(run, value)
    text = report.write("tiny", sweep, listed, tmp_path)
    assert (tmp_path / "table.md").read_text() == text
    assert "| 0.5  | 1.5000 ± 0.5000 |   2 |" in text
    assert "| 20   |          5.0000 |   1 |" in text
    assert "tiny_launcher, preset plain, name = x." in text
    assert "Not finished: size=20.0,seed=1." in text
    assert json.loads((tmp_path / "table.json").read_text()) == {
        "launcher": "tiny_launcher",
        "preset": "plain",
        "every run": {"name": "x"},
        "unfinished": ["size=20.0,seed=1"],
        "title": "tiny",
        "rows": [
            {
                "size": 0.5,
                "result (m)": 1.5,
                "result (m), standard error": 0.5,
                "n": 2,
            },
            {
                "size": 20.0,
                "result (m)": 5.0,
                "result (m), standard error": None,
                "n": 1,
            },
        ],
    }
    with Image.open(tmp_path / "size.png") as image:
        image.verify()
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["size.png"]


def test_seeds_alone_make_one_row(tmp_path):
    sweep = tiny.sweep(choices("seed", range(3)))
    listed = runs_of(sweep, tmp_path)
    text = report.write("tiny", sweep, listed, tmp_path)
    assert "| -          |   0 |" in text
    finish(listed[0], 4.0)
    assert "4.0000" in report.write("tiny", sweep, listed, tmp_path)


def test_a_number_that_a_run_lacks_is_not_averaged(tmp_path):
    sweep = tiny.sweep(choices("seed", range(2)))
    listed = runs_of(sweep, tmp_path)
    finish(listed[0], 4.0)
    finish(listed[1], None)
    assert report.grouped(sweep, listed)[0].estimates["result (m)"].mean is None


def test_results_in_lists_are_found_by_their_first_entry(tmp_path):
    metrics = {"robust": "rows.pgd.accuracy"}
    sweep = dataclasses.replace(tiny.sweep([{"seed": 0}]), metrics=metrics)
    listed = runs_of(sweep, tmp_path)
    folder = pathlib.Path(listed[0].job.run_dir)
    folder.mkdir()
    rows = [{"attack": "fgsm", "accuracy": 0.5}, {"attack": "pgd", "accuracy": 0.25}]
    (folder / "summary.json").write_text(json.dumps({"rows": rows}))
    assert report.grouped(sweep, listed)[0].estimates["robust"].mean == 0.25


def test_a_metric_that_no_summary_has(tmp_path):
    sweep = tiny.sweep()
    listed = runs_of(sweep, tmp_path)
    finish(listed[0], 1.0, key="valeu")
    with pytest.raises(UserError, match=r"no result\.value: there are valeu"):
        report.write("tiny", sweep, listed, tmp_path)
