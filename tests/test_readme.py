"""Tables in the README are those of the stored results."""

import json
import pathlib

import pytest

from benchmarks import (
    attacks,
    coordinate_descent,
    ensembles,
    training,
    verification,
)
from zeroone_jax.evaluation import tables

RESULTS = pathlib.Path(__file__).parents[1] / "results"


@pytest.fixture
def readme():
    return RESULTS.with_name("README.md").read_text(encoding="utf-8")


def test_ensembles(readme):
    assert tables.markdown(ensembles.table(RESULTS / "zero_one")) in readme


def test_times(readme):
    measured = json.loads((RESULTS / "coordinate_descent.json").read_text())
    assert tables.markdown(coordinate_descent.time_table(measured)) in readme


def test_attacks(readme):
    measured = json.loads((RESULTS / "attacks.json").read_text())
    assert tables.markdown(attacks.table(measured)) in readme


def test_toy(readme):
    table = RESULTS / "paper_b" / "toy" / "laptop" / "table.md"
    assert table.read_text().strip() in readme


def test_mnist(readme):
    table = RESULTS / "paper_b" / "mnist" / "laptop" / "table.md"
    assert table.read_text().strip() in readme


def test_cifar10(readme):
    table = RESULTS / "paper_b" / "comparison" / "laptop" / "table.md"
    assert table.read_text().strip() in readme


def test_training(readme):
    measured = json.loads((RESULTS / "training.json").read_text())
    assert tables.markdown(training.step_table(measured)) in readme
    assert tables.markdown(training.freezing_table(measured)) in readme


def test_verification(readme):
    assert tables.markdown(verification.table(verification.stored())) in readme
    measured = json.loads(verification.SPEED.read_text())
    assert tables.markdown(verification.speed_table(measured)) in readme
