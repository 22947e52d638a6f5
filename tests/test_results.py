"""Tables in docs/results/ are those of the stored results (`benchmarks.pages`)."""

import json

import pytest

from benchmarks import pages


def page(name: str) -> list[pages.Block]:
    return pages.shown((pages.PAGES / f"{name}.md").read_text(encoding="utf-8"))


DRAWN = {
    "ensembles": "networks",
    "demo": "networks",
    "verification": "networks speed",
    "attacks": "speed",
    "compile_time": "speed",
    "coordinate_descent": "speed",
    "minimum_norm": "speed",
    "sweeps": "speed",
    "tpu": "speed",
    "training": "speed",
    "paper_b.toy": "paper_b",
    "paper_b.masking": "paper_b",
    "paper_b.transfer": "paper_b",
    "paper_b.mnist": "paper_b",
    "paper_b.speedrun": "paper_b",
    "paper_b.capacity": "paper_b",
    "paper_b.contrast": "paper_b",
    "paper_b.comparison": "paper_b",
    "paper_b.comparison/overnight": "paper_b",
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
    "paper_a.challenge": "paper_a",
    "paper_a.labels": "paper_a",
    "paper_a.pairs": "paper_a",
    "paper_a.searches": "paper_a",
    "paper_a.cnn": "paper_a",
    "paper_a.sensitivity": "paper_a",
    "paper_a.peer_study": "paper_a",
}


@pytest.mark.parametrize("what", DRAWN)
def test_tables(what):
    """Each table, as it is drawn of the stored results, is on a page."""
    drawn = pages.drawn(what)
    blocks = [block for name in DRAWN[what].split() for block in page(name)]
    found = [block for block in blocks if block.name == what]
    assert {block.number for block in found} == set(range(1, len(drawn) + 1))
    for block in found:
        assert block.table == drawn[block.number - 1]


def test_every_table_is_looked_at():
    for path in pages.PAGES.glob("*.md"):
        for block in page(path.stem):
            assert path.stem in DRAWN[block.name].split()


def test_pages_are_drawn_again():
    old = "First.\n<!-- drawn: lengths 2 -->\n\n| old\n| table\n\n<!-- end -->\nLast."
    new = pages.redrawn(old, {"lengths": ["| one", "| two"]}.__getitem__)
    assert new == old.replace("| old\n| table", "| two")


@pytest.mark.parametrize("what", [name for name in DRAWN if name not in pages.OTHERS])
def test_stored_results_are_of_the_settings(what):
    """What would be made again today is not taken for made."""
    _, runs, folder = pages.results(what)
    for run in runs:
        path = folder / f"{run.name}.json"
        if path.exists():
            assert run.is_same(json.loads(path.read_text())["config"])
