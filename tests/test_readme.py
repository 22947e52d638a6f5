"""Tables in the README are those of the stored results."""

import json
import pathlib

import pytest

from benchmarks import (
    attacks,
    coordinate_descent,
    ensembles,
    sweeps,
    training,
    verification,
)
from experiments import reproduce
from experiments.studies.study import stored
from zeroone_jax.evaluation import tables

RESULTS = pathlib.Path(__file__).parents[1] / "results"


@pytest.fixture
def readme():
    return RESULTS.with_name("README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["demo", "test", "test-all", "peers"])
def test_commands(readme, target):
    makefile = RESULTS.with_name("Makefile").read_text(encoding="utf-8")
    assert f"\n{target}: " in makefile
    assert f"\nmake {target} " in readme


def test_ensembles(readme):
    assert tables.markdown(ensembles.table(RESULTS / "zero_one")) in readme


def test_sweeps(readme):
    measured = json.loads((RESULTS / "sweeps.json").read_text())
    assert tables.markdown(sweeps.table(measured)) in readme


def test_times(readme):
    measured = json.loads((RESULTS / "coordinate_descent.json").read_text())
    assert tables.markdown(coordinate_descent.time_table(measured)) in readme


def test_attacks(readme):
    measured = json.loads((RESULTS / "attacks.json").read_text())
    assert tables.markdown(attacks.table(measured)) in readme


@pytest.mark.parametrize("what", ["toy", "masking", "transfer"])
def test_tables_of_checks(readme, what):
    table = RESULTS / "paper_b" / what / "laptop" / "table.md"
    assert table.read_text().strip() in readme


DRAWN = {
    "paper_b.mnist": "README.md",
    "paper_b.comparison": "README.md",
    "certified.radii": "RESULTS.md",
    "certified.others": "RESULTS.md",
    "paper_a.accuracy": "RESULTS.md",
    "paper_a.distortion": "RESULTS.md",
    "paper_a.rounding": "RESULTS.md",
    "paper_a.substitute": "RESULTS.md",
    "paper_a.white_box": "RESULTS.md",
    "paper_a.pairs": "RESULTS.md",
    "paper_a.searches": "RESULTS.md",
    "paper_a.cnn": "RESULTS.md",
    "paper_a.sensitivity": "RESULTS.md",
    "paper_a.peer_study": "RESULTS.md",
}


@pytest.mark.parametrize("what", DRAWN)
def test_reproductions(what, tmp_path):
    """The document has each table as it is drawn of the stored results."""
    reproduction = reproduce.REPRODUCTIONS[what]
    runs = reproduction.runs("laptop")
    found = stored(RESULTS.joinpath(*what.split("."), "laptop"), runs)
    text = reproduction.report(found, tmp_path, tmp_path)
    document = RESULTS.with_name(DRAWN[what]).read_text(encoding="utf-8")
    for table in text.split("\n\n**"):
        assert table.removeprefix("**") in document


@pytest.mark.parametrize("what", DRAWN)
def test_stored_results_are_of_the_settings(what):
    """What would be made again today is not taken for made."""
    for run in reproduce.REPRODUCTIONS[what].runs("laptop"):
        path = RESULTS.joinpath(*what.split("."), "laptop", f"{run.name}.json")
        if path.exists():
            assert run.is_same(json.loads(path.read_text())["config"])


def test_demo(readme):
    measured = json.loads((RESULTS / "demo.json").read_text())
    rows = measured["rows"]
    table = tables.Table(
        measured["title"], list(rows[0]), [[*row.values()] for row in rows]
    )
    assert tables.markdown(table) in readme


def test_training(readme):
    measured = json.loads((RESULTS / "training.json").read_text())
    assert tables.markdown(training.step_table(measured)) in readme
    assert tables.markdown(training.freezing_table(measured)) in readme


def test_verification(readme):
    assert tables.markdown(verification.table(verification.stored())) in readme
    measured = json.loads(verification.SPEED.read_text())
    assert tables.markdown(verification.speed_table(measured)) in readme
