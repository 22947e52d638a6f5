"""Draws the tables of docs/results/ again, from the numbers in results/.

    python -m benchmarks.pages

A table of a page stands between two comments, and what is between them is replaced:

    <!-- drawn: NAME NUMBER -->

    <!-- end -->

NAME is a study of `experiments.reproduce`, whose numbers of scale "laptop" are taken,
or STUDY/SCALE for another scale, or one of `OTHERS`. NUMBER counts its tables, from 1.
"""

import json
import pathlib
import re
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import (
    attacks,
    compile_time,
    coordinate_descent,
    ensembles,
    minimum_norm,
    sweeps,
    training,
    verification,
)
from benchmarks.tpu import programs
from benchmarks.tpu import table as compiled
from experiments import reproduce
from experiments.studies.study import Run, Study, stored
from zeroone_jax.evaluation import tables

RESULTS = pathlib.Path(__file__).parents[1] / "results"
PAGES = RESULTS.with_name("docs") / "results"

_BLOCK = re.compile(
    r"(?P<begin><!-- drawn: (?P<name>\S+) (?P<number>\d+) -->\n\n)"
    r"(?P<table>.*?)"
    r"(?P<end>\n*<!-- end -->)",
    re.DOTALL,
)


class Block(NamedTuple):
    """A table of a page.

    Attributes:
        name: what it is drawn from.
        number: which table of it, from 1.
        table: the table as the page has it.
    """

    name: str
    number: int
    table: str


def _measured(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def _demo() -> tables.Table:
    measured = _measured("demo")
    rows = measured["rows"]
    return tables.Table(
        measured["title"], list(rows[0]), [[*row.values()] for row in rows]
    )


def _compiled() -> tables.Table:
    names = programs.programs()
    return compiled.table(compiled.stored(compiled.RESULTS, names), len(names))


OTHERS: dict[str, Callable[[], list[tables.Table]]] = {
    "attacks": lambda: [attacks.table(_measured("attacks"))],
    "compile_time": lambda: [compile_time.table(_measured("compile_time"))],
    "coordinate_descent": lambda: [
        coordinate_descent.time_table(_measured("coordinate_descent"))
    ],
    "demo": lambda: [_demo()],
    "ensembles": lambda: [ensembles.table(RESULTS / "zero_one")],
    "minimum_norm": lambda: minimum_norm.report(_measured("minimum_norm")),
    "sweeps": lambda: [sweeps.table(_measured("sweeps"))],
    "tpu": lambda: [_compiled()],
    "training": lambda: training.all_tables(_measured("training")),
    "verification": lambda: [
        verification.table(verification.stored()),
        verification.speed_table(json.loads(verification.SPEED.read_text())),
    ],
}
"""What is measured by no study, by name."""

# Drawn from networks, which are not stored; the tables that came out are.
_WRITTEN = ("paper_b.toy", "paper_b.masking", "paper_b.transfer")


def drawn(name: str) -> list[str]:
    """Draws all tables of a study, or of one of `OTHERS`."""
    if name in OTHERS:
        return [tables.markdown(table) for table in OTHERS[name]()]
    study, runs, folder = results(name)
    if name in _WRITTEN:
        return _split((folder / "table.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as path:
        there = pathlib.Path(path)
        text = study.report(stored(folder, runs), there, there)
    return _split(text)


def results(name: str) -> tuple[Study, Sequence[Run], pathlib.Path]:
    """A study by the name that pages have for it, its runs, and where these lie."""
    what, _, scale = name.partition("/")
    study = reproduce.REPRODUCTIONS[what]
    of_scale: Any = scale or "laptop"
    folder = RESULTS.joinpath(*what.split("."), of_scale)
    return study, study.runs(of_scale), folder


def shown(page: str) -> list[Block]:
    """Finds the tables of a page that are drawn."""
    return [
        Block(found["name"], int(found["number"]), found["table"])
        for found in _BLOCK.finditer(page)
    ]


def redrawn(page: str, draw: Callable[[str], list[str]] = drawn) -> str:
    """Replaces the tables of a page.

    Args:
        page: its text.
        draw: gives the tables of a name.
    """
    return _BLOCK.sub(
        lambda found: (
            f"{found['begin']}{draw(found['name'])[int(found['number']) - 1]}"
            "\n\n<!-- end -->"
        ),
        page,
    )


def _split(text: str) -> list[str]:
    first, *others = text.strip().split("\n\n**")
    return [first, *(f"**{other}" for other in others)]


def main() -> None:
    """Draws every page, and says which of them changed."""
    for path in sorted(PAGES.glob("*.md")):
        before = path.read_text(encoding="utf-8")
        after = redrawn(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"changed: {path}")


if __name__ == "__main__":
    main()
