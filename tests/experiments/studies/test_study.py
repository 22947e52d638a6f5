"""The engine of studies on runs that take no time."""

import dataclasses
import json
import pathlib

import pytest
from matplotlib.figure import Figure
from PIL import Image

from experiments.command_line import UserError
from experiments.studies import study
from experiments.studies.columns import at, table


@dataclasses.dataclass(frozen=True)
class Square(study.Run):
    """Squares a number, and counts how often it does."""

    method: str
    number: int
    done: list = dataclasses.field(default_factory=list, compare=False)
    lacking: str = ""

    def settings(self):
        return {"number": self.number}

    def missing(self):
        return self.lacking

    def fill(self, run, place):
        self.done.append(self.number)
        run.finish({"config": self.settings(), "square": self.number**2})


@pytest.fixture
def place(tmp_path: pathlib.Path) -> study.Place:
    (tmp_path / "results").mkdir()
    return study.Place(tmp_path / "runs", tmp_path / "results")


def squares(rows):
    columns = {"number": at("method"), "square": at("square"), "at": at("folder")}
    return [table("Squares", rows, columns)]


SQUARES = study.Study(
    runs=lambda scale: [Square("two", 2), Square("three", 3)],
    tables={"table.md": squares, "more.md": lambda rows: squares(rows[:1]) * 2},
    figures={
        "empty.png": lambda rows: Figure(figsize=(1, 1)),
        "count.txt": lambda rows: lambda path: path.write_text(str(len(rows))),
        "nothing.png": lambda rows: None,
    },
)


def test_only_what_is_not_there_is_made(place):
    runs = SQUARES.runs("smoke")
    study.complete(runs[1:], place.results, place)
    assert study.stored(place.results, runs).keys() == {"three"}
    study.complete(runs, place.results, place)
    assert [run.done for run in runs] == [[2], [3]]
    found = study.stored(place.results, runs)
    assert [found[run.method][0]["square"] for run in runs] == [4, 9]
    assert found["two"][0]["run"] == runs[0].directory
    # Without its result a finished run is read, not made again.
    (place.results / "two-seed0.json").unlink()
    study.complete(runs, place.results, place)
    assert runs[0].done == [2]
    assert study.stored(place.results, runs) == found


def test_other_settings_are_not_overwritten(place):
    study.complete([Square("two", 2)], place.results, place)
    with pytest.raises(UserError, match=r"two-seed0.json was made with other settings"):
        study.complete([Square("two", 3)], place.results, place)
    assert json.loads((place.results / "two-seed0.json").read_text())["square"] == 4


def test_what_cannot_be_made_here_is_left_out(place, caplog):
    runs = [Square("one", 1, lacking="no ones today"), Square("two", 2)]
    study.complete(runs, place.results, place)
    assert study.stored(place.results, runs).keys() == {"two"}
    assert "one-seed0 is left out: no ones today" in caplog.text


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_shards_share_all_runs(parts):
    runs = [Square(str(number), number) for number in range(5)]
    shards = [study.shard_of(runs, f"{part}/{parts}") for part in range(1, parts + 1)]
    assert sorted(run.number for shard in shards for run in shard) == [*range(5)]
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("shard", ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3"])
def test_shards_that_are_none_are_refused(shard):
    with pytest.raises(UserError, match="but must be like 1/2"):
        study.shard_of([], shard)


def test_reports_draw_every_file_of_the_rows(tmp_path):
    results = {"two": [{"square": 4, "run": "a"}], "three": [{"square": 9, "run": "b"}]}
    text = SQUARES.report(results, tmp_path, pathlib.Path("runs"))
    rows = [line.split("|")[1:-1] for line in text.splitlines()[4:]]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells == [["two", "4", "runs/a"], ["three", "9", "runs/b"]]
    assert (tmp_path / "table.md").read_text() == text + "\n"
    assert (tmp_path / "more.md").read_text().count("| two ") == 2
    assert (tmp_path / "count.txt").read_text() == "2"
    with Image.open(tmp_path / "empty.png") as image:
        assert image.width == 150
    assert not (tmp_path / "nothing.png").exists()


def test_what_is_measured_together_is_measured_once_for_the_same_runs(tmp_path):
    measured = []

    def total(rows):
        measured.append(len(rows))
        return {"total": sum(row["square"] for row in rows)}

    def drawn(rows):
        return [table("Total", rows, {"total": at("total"), "session": at("session")})]

    def report(results, unit="one"):
        together = study.Together("total.json", total, {"unit": unit})
        together_study = dataclasses.replace(
            SQUARES, together=together, tables={"table.md": drawn}, figures={}
        )
        return together_study.report(results, tmp_path, tmp_path)

    two, three = ({"square": n * n, "run": str(n)} for n in (2, 3))
    first = report({"two": [two], "three": [three]})
    assert "| 13 " in first
    assert report({"two": [two], "three": [three]}) == first
    assert measured == [2]
    assert "| 4 " in report({"two": [two]})
    report({"two": [two]}, unit="dozen")
    assert measured == [2, 1, 1]
    kept = json.loads((tmp_path / "total.json").read_text())
    assert (kept["runs"], kept["unit"], kept["total"]) == ({"two": "2"}, "dozen", 4)


def test_directories_tell_settings_apart():
    names = {study.directory_name("a", {"x": x, "y": 1}) for x in range(3)}
    assert len(names) == 3
    same = study.directory_name("a", {"y": 1, "x": 0})
    assert same in names
