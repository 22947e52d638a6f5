"""The study of 2021 (A4): HopSkipJump on the 45 pairs of CIFAR-10's classes.

For each pair 8 votes of every model of the abstract are trained on its two classes, and
attacked on images that all three label rightly: as the study did, and with the radius
found for each (A6). The same of both searches for 01 networks is a study of its own, of
few pairs on a laptop.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from zeroone_jax.evaluation import attack_figures, tables

from ...published import HOP_SKIP_JUMP_0V1, HOP_SKIP_JUMP_PAIRS
from ...studies import attacking
from ...studies.attacking import ADAPTIVE, STUDY
from ...studies.bench import Bench, ModelRun
from ...studies.columns import Columns, at, published, sheet, spread, table
from ...studies.study import Drawn, Row, Scale, Study
from ...studies.target import Target
from .targets import compared, described

FIRST_PAIR = "0v1"
"""The pair of which all numbers of the authors are known."""

SEARCHES = "searches"
"""The end of the name of a pair on which both searches are compared."""

_WAYS = {
    STUDY: "HopSkipJump, radius .01 as in the study",
    ADAPTIVE: "HopSkipJump, radius adaptive",
}
_PAIRS = tuple(itertools.combinations(range(10), 2))
# Each class is in one of them; the blind search of all pairs would take a laptop hours.
_SEARCHED = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))


@dataclasses.dataclass(frozen=True)
class Protocol(attacking.Effort):
    """How much is trained and attacked.

    Attributes:
        sigmoid: epochs of the sigmoid networks, at most.
        binarized: epochs of the binarized networks.
    """

    sigmoid: int = 1000
    binarized: int = 100


PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(sigmoid=1, binarized=1, images=3, iterations=2, law="signs"),
    # Shorter training leaves networks' boundaries farther away.
    "laptop": Protocol(sigmoid=50, binarized=20, images=15, law="signs"),
    "paper": Protocol(),
}
"""By scale."""


def pair_runs(scale: Scale) -> list[ModelRun]:
    """Lists the pairs of a scale; for a smoke test two models of the first."""
    protocol = PROTOCOLS[scale]
    epochs = {"sigmoid": protocol.sigmoid, "binarized": protocol.binarized}
    # Compiling takes most of a smoke test.
    pairs, models = (_PAIRS[:1], 2) if scale == "smoke" else (_PAIRS, 3)
    return [
        _run(pair, "", compared(pair, _size(scale), **epochs)[:models], protocol)
        for pair in pairs
    ]


def search_runs(scale: Scale) -> list[ModelRun]:
    """Lists the pairs on which both searches are compared, called "0v1-searches"."""
    pairs = {"smoke": _PAIRS[:1], "laptop": _SEARCHED, "paper": _PAIRS}[scale]
    both = [described(name, 0.0, _size(scale)) for name in ("mlp01", "mlp01-blind")]
    return [
        _run(pair, f"-{SEARCHES}", [one.of(pair) for one in both], PROTOCOLS[scale])
        for pair in pairs
    ]


def _size(scale: Scale) -> Scale:
    """The study has 8 votes, as a laptop."""
    return "smoke" if scale == "smoke" else "laptop"


def _run(
    pair: tuple[int, int], ending: str, models: Sequence[Target], protocol: Protocol
) -> ModelRun:
    name = f"{pair[0]}v{pair[1]}{ending}"
    return ModelRun(name, tuple(models), _measured, protocol)


def _measured(bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Attacks with both radii."""
    planned = attacking.by_labels(protocol)
    bench.expect(len(bench.subjects) * len(planned))
    pieces = dict.fromkeys(bench.subjects, planned)
    return attacking.attacked_together(bench, protocol.images, pieces)


def _medians(rows: Sequence[Row], way: str) -> np.ndarray:
    """Medians of one attack, float [pairs, models]."""
    median = attacking.median(way)
    return np.array([[*map(median, attacking.by_model([row]))] for row in rows])


def _models(rows: Sequence[Row]) -> list[Row]:
    """A row for each model of the pairs: its medians, and on how many it is first."""
    found = {way: _medians(rows, way) for way in _WAYS}
    first = {way: np.argmax(medians, axis=1) for way, medians in found.items()}
    return [
        {
            "method": model,
            "test": float(np.mean([row["accuracy"][model] for row in rows])),
            "medians": {way: medians[:, place] for way, medians in found.items()},
            "first": {way: np.sum(best == place) for way, best in first.items()},
        }
        for place, model in enumerate(rows[0]["pieces"])
    ]


def _columns(way: str, name: str) -> Columns:
    return {
        f"{name}: mean": lambda row: spread(row["medians"][way], error=True),
        f"{name}: largest on": lambda row: (
            f"{row['first'][way]} of {len(row['medians'][way])}"
        ),
    }


_COLUMNS: Columns = {
    "model": at("method"),
    "test": at("test"),
    **_columns(STUDY, "study"),
    **_columns(ADAPTIVE, "adaptive"),
}


def _together(rows: Sequence[Row]) -> list[tables.Table]:
    """All pairs together, and the first one, beside the authors'."""
    columns = {**_COLUMNS, "study: authors": published(HOP_SKIP_JUMP_PAIRS)}
    names = [row["method"] for row in rows]
    if FIRST_PAIR in names:
        place = names.index(FIRST_PAIR)
        columns |= {
            f"{FIRST_PAIR}: study": lambda row: f"{row['medians'][STUDY][place]:.3f}",
            f"{FIRST_PAIR}: authors": published(HOP_SKIP_JUMP_0V1),
            f"{FIRST_PAIR}: adaptive": lambda row: (
                f"{row['medians'][ADAPTIVE][place]:.3f}"
            ),
        }
    title = f"HopSkipJump on {len(rows)} pairs of classes: {_meaning(rows)}"
    return [table(title, _models(rows), columns)]


def _of_searches(rows: Sequence[Row]) -> str:
    names = ", ".join(row["method"].removesuffix(f"-{SEARCHES}") for row in rows)
    return f"Both searches on {len(rows)} pairs ({names}): {_meaning(rows)}"


def _meaning(rows: Sequence[Row]) -> str:
    images = len(rows[0]["indices"])
    return f"mean over pairs, ± standard error, of the median L2 of {images} images"


def _every_pair(rows: Sequence[Row]) -> list[tables.Table]:
    models = list(rows[0]["pieces"])
    header = ["pair", *(f"{model}: test" for model in models)]
    cells = [
        [
            f"{row['method']}, {' / '.join(row['class_names'])}",
            *(f"{row['accuracy'][model]:.3f}" for model in models),
        ]
        for row in rows
    ]
    for way in _WAYS:
        header += [f"{model}: {way}" for model in models] + ["largest"]
        for line, medians in zip(cells, _medians(rows, way), strict=True):
            line += [f"{median:.3f}" for median in medians]
            line.append(models[np.argmax(medians)])
    return [tables.Table("Median L2 of HopSkipJump, pair by pair", header, cells)]


def _figure(rows: Sequence[Row]) -> Drawn:
    """Pairs in the order of the first model's median in the study."""
    order = np.argsort(_medians(rows, STUDY)[:, 0], kind="stable")
    panels = {
        title: dict(zip(rows[0]["pieces"], _medians(rows, way)[order].T, strict=True))
        for way, title in _WAYS.items()
    }
    names = [rows[place]["method"] for place in order]
    return attack_figures.medians(panels, "L2", names, "pair of classes")


PAIRS = Study(
    runs=pair_runs,
    tables={"table.md": _together, "pairs.md": _every_pair},
    figures={"pairs.png": _figure},
)
SEARCHES_ON_PAIRS = Study(
    runs=search_runs, tables={"table.md": sheet(_of_searches, _COLUMNS, _models)}
)
