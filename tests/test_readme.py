"""The README is short, and what it says is what was measured."""

import json
import pathlib

import pytest

from benchmarks import attacks
from zeroone_jax.evaluation import tables

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DISTORTION = ROOT / "results" / "paper_a" / "distortion" / "laptop" / "table.md"


def test_is_short():
    assert len(README.encode()) <= 6 * 1024


@pytest.mark.parametrize("target", ["demo", "test", "test-all"])
def test_commands(target):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"\n{target}: " in makefile
    assert f"make {target}" in README


def test_speed():
    measured = json.loads((ROOT / "results" / "attacks.json").read_text())
    _, _, table = tables.markdown(attacks.table(measured)).partition("\n\n")
    assert table in README


def test_the_toy():
    table = ROOT / "results" / "paper_b" / "toy" / "laptop" / "table.md"
    assert table.read_text().strip() in README


def rows(title: str) -> dict[str, dict[str, str]]:
    """The rows of a table of stored distances, by model."""
    _, _, rest = DISTORTION.read_text().partition(f"**{title}")
    lines = rest.split("\n\n")[1].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[2:]}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("mlp01", "01 networks"),
        ("sigmoid", "sigmoid"),
        ("binarized", "binarized"),
        ("certified", "certified 01"),
    ],
)
def test_results(model, name):
    (line,) = [one for one in README.splitlines() if one.startswith(f"| {name} ")]
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    tuned = rows("HopSkipJump's radius tuned")[model]
    columns = ("default .01", "radius adaptive", "nearest of all")
    assert cells[:3] == [tuned[column] for column in columns]
    exact = rows("Sign networks measured").get(model)
    if exact is None:
        assert cells[3] == "-"
    else:
        between = (float(exact[one]) for one in ("lower bound", "best found"))
        assert cells[3] == " - ".join(f"{one:.3f}" for one in between)
