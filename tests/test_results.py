"""Tables in docs/results/ are those of the stored results."""

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
from benchmarks.tpu import programs
from benchmarks.tpu import table as compiled
from experiments import reproduce
from experiments.studies.study import stored
from zeroone_jax.evaluation import tables

RESULTS = pathlib.Path(__file__).parents[1] / "results"
PAGES = RESULTS.with_name("docs") / "results"


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def test_ensembles():
    assert tables.markdown(ensembles.table(RESULTS / "zero_one")) in page("networks")


def test_sweeps():
    measured = json.loads((RESULTS / "sweeps.json").read_text())
    assert tables.markdown(sweeps.table(measured)) in page("speed")


def test_times():
    measured = json.loads((RESULTS / "coordinate_descent.json").read_text())
    assert tables.markdown(coordinate_descent.time_table(measured)) in page("speed")


def test_attacks():
    measured = json.loads((RESULTS / "attacks.json").read_text())
    assert tables.markdown(attacks.table(measured)) in page("speed")


@pytest.mark.parametrize("what", ["toy", "masking", "transfer"])
def test_tables_of_checks(what):
    table = RESULTS / "paper_b" / what / "laptop" / "table.md"
    assert table.read_text().strip() in page("paper_b")


DRAWN = {
    "paper_b.mnist": "paper_b",
    "paper_b.comparison": "paper_b",
    "certified.radii": "certified",
    "certified.others": "certified",
    "certified.linf": "certified",
    "certified.mnist": "certified",
    "certified.sensible": "certified",
    "paper_a.accuracy": "paper_a",
    "paper_a.distortion": "paper_a",
    "paper_a.rounding": "paper_a",
    "paper_a.substitute": "paper_a",
    "paper_a.white_box": "paper_a",
    "paper_a.pairs": "paper_a",
    "paper_a.searches": "paper_a",
    "paper_a.cnn": "paper_a",
    "paper_a.sensitivity": "paper_a",
    "paper_a.peer_study": "paper_a",
}


@pytest.mark.parametrize("what", DRAWN)
def test_reproductions(what, tmp_path):
    """The page has each table as it is drawn of the stored results."""
    reproduction = reproduce.REPRODUCTIONS[what]
    runs = reproduction.runs("laptop")
    found = stored(RESULTS.joinpath(*what.split("."), "laptop"), runs)
    text = reproduction.report(found, tmp_path, tmp_path)
    for table in text.split("\n\n**"):
        assert table.removeprefix("**") in page(DRAWN[what])


@pytest.mark.parametrize("what", DRAWN)
def test_stored_results_are_of_the_settings(what):
    """What would be made again today is not taken for made."""
    for run in reproduce.REPRODUCTIONS[what].runs("laptop"):
        path = RESULTS.joinpath(*what.split("."), "laptop", f"{run.name}.json")
        if path.exists():
            assert run.is_same(json.loads(path.read_text())["config"])


def test_demo():
    measured = json.loads((RESULTS / "demo.json").read_text())
    rows = measured["rows"]
    table = tables.Table(
        measured["title"], list(rows[0]), [[*row.values()] for row in rows]
    )
    assert tables.markdown(table) in page("networks")


def test_training():
    measured = json.loads((RESULTS / "training.json").read_text())
    assert tables.markdown(training.step_table(measured)) in page("speed")
    assert tables.markdown(training.freezing_table(measured)) in page("speed")


def test_compiled_for_tpu():
    names = programs.programs()
    stored = compiled.stored(compiled.RESULTS, names)
    table = compiled.table(stored, len(names))
    assert tables.markdown(table) in page("speed")


def test_verification():
    assert tables.markdown(verification.table(verification.stored())) in page(
        "networks"
    )
    measured = json.loads(verification.SPEED.read_text())
    assert tables.markdown(verification.speed_table(measured)) in page("speed")
