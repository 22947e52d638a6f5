"""The study of 2021 (A4): HopSkipJump on the 45 pairs of CIFAR-10's classes.

For each pair 8 votes of every model of the abstract are trained on its two classes, and
attacked on images that all three label rightly: as the study did, and with the radius
found for each (A6). The same of both searches for 01 networks is a study of its own, of
few pairs on a laptop.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from experiments.published import HOP_SKIP_JUMP_0V1, HOP_SKIP_JUMP_PAIRS
from experiments.reproductions.columns import Columns, at, published, spread, table
from experiments.reproductions.paper_a import attacking
from experiments.reproductions.paper_a.attacking import ADAPTIVE, STUDY
from experiments.reproductions.paper_a.subjects import Bench, ModelRun
from experiments.reproductions.paper_a.targets import compared, described
from experiments.reproductions.study import Drawn, Row, Scale, Study
from zeroone_jax.evaluation import attack_figures, tables

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

Medians: TypeAlias = Mapping[str, Mapping[str, np.ndarray]]
"""By attack and model, float [pairs]."""


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
    size: Scale = "smoke" if scale == "smoke" else "laptop"
    return [
        ModelRun(
            f"{pair[0]}v{pair[1]}",
            tuple(compared(pair, size, **epochs)[:models]),
            _measured,
            protocol,
        )
        for pair in pairs
    ]


def search_runs(scale: Scale) -> list[ModelRun]:
    """Lists the pairs on which both searches are compared, called "0v1-searches"."""
    pairs = {"smoke": _PAIRS[:1], "laptop": _SEARCHED, "paper": _PAIRS}[scale]
    # The study has 8 votes, as a laptop.
    size: Scale = "smoke" if scale == "smoke" else "laptop"
    return [
        ModelRun(
            f"{pair[0]}v{pair[1]}-{SEARCHES}",
            tuple(
                described(name, 0.0, size).of(pair) for name in ("mlp01", "mlp01-blind")
            ),
            _measured,
            PROTOCOLS[scale],
        )
        for pair in pairs
    ]


def _measured(bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Attacks with both radii."""
    planned = attacking.by_labels(protocol)
    bench.expect(len(bench.subjects) * len(planned))
    pieces = dict.fromkeys(bench.subjects, planned)
    return attacking.attacked_together(bench, protocol.images, pieces)


def largest(medians: Mapping[str, np.ndarray]) -> np.ndarray:
    """Tells which model's median is the largest, by its place, i [m].

    Args:
        medians: by model, float [m], of every pair.
    """
    return np.argmax(list(medians.values()), axis=0)


def _medians(rows: Sequence[Row]) -> Medians:
    """Of every pair of the rows, by attack and model."""
    found: dict[str, dict[str, list[float]]] = {way: {} for way in _WAYS}
    for row in attacking.by_model(rows):
        for way, models in found.items():
            models.setdefault(row["method"], []).append(attacking.median(way)(row))
    return {
        way: {model: np.array(values) for model, values in models.items()}
        for way, models in found.items()
    }


def _models(rows: Sequence[Row]) -> list[Row]:
    """A row for each model of the pairs: its medians, and on how many it is first."""
    medians = _medians(rows)
    winners = {way: largest(models) for way, models in medians.items()}
    return [
        {
            "method": model,
            "test": float(np.mean([row["accuracy"][model] for row in rows])),
            "medians": {way: models[model] for way, models in medians.items()},
            "largest": {way: np.sum(won == place) for way, won in winners.items()},
        }
        for place, model in enumerate(medians[STUDY])
    ]


def _mean(way: str, row: Row) -> str | None:
    return spread(row["medians"][way], error=True)


def _wins(way: str, row: Row) -> str:
    return f"{row['largest'][way]} of {len(row['medians'][way])}"


_COLUMNS: Columns = {
    "model": at("method"),
    "test": at("test"),
    "study: mean": functools.partial(_mean, STUDY),
    "study: largest on": functools.partial(_wins, STUDY),
    "adaptive: mean": functools.partial(_mean, ADAPTIVE),
    "adaptive: largest on": functools.partial(_wins, ADAPTIVE),
}


def _together(rows: Sequence[Row]) -> list[tables.Table]:
    """All pairs together, and the first one, beside the authors'."""
    columns = {**_COLUMNS, "study: authors": published(HOP_SKIP_JUMP_PAIRS)}
    names = [row["method"] for row in rows]
    if FIRST_PAIR in names:
        first = functools.partial(_on_pair, names.index(FIRST_PAIR))
        columns |= {
            f"{FIRST_PAIR}: study": functools.partial(first, STUDY),
            f"{FIRST_PAIR}: authors": published(HOP_SKIP_JUMP_0V1),
            f"{FIRST_PAIR}: adaptive": functools.partial(first, ADAPTIVE),
        }
    title = f"HopSkipJump on {len(rows)} pairs of classes: {_meaning(rows)}"
    return [table(title, _models(rows), columns)]


def _on_pair(place: int, way: str, row: Row) -> str:
    return f"{row['medians'][way][place]:.3f}"


def _searches(rows: Sequence[Row]) -> list[tables.Table]:
    names = ", ".join(row["method"].removesuffix(f"-{SEARCHES}") for row in rows)
    title = f"Both searches on {len(rows)} pairs ({names}): {_meaning(rows)}"
    return [table(title, _models(rows), _COLUMNS)]


def _meaning(rows: Sequence[Row]) -> str:
    images = len(rows[0]["indices"])
    return f"mean over pairs, ± standard error, of the median L2 of {images} images"


def _every_pair(rows: Sequence[Row]) -> list[tables.Table]:
    medians = _medians(rows)
    models = list(medians[STUDY])
    header = ["pair", *(f"{model}: test" for model in models)]
    cells = [
        [
            f"{row['method']}, {' / '.join(row['class_names'])}",
            *(f"{row['accuracy'][model]:.3f}" for model in models),
        ]
        for row in rows
    ]
    for way, found in medians.items():
        header += [f"{model}: {way}" for model in models] + ["largest"]
        for place, (line, winner) in enumerate(zip(cells, largest(found), strict=True)):
            line += [f"{found[model][place]:.3f}" for model in models]
            line.append(models[winner])
    return [tables.Table("Median L2 of HopSkipJump, pair by pair", header, cells)]


def _figure(rows: Sequence[Row]) -> Drawn:
    """Pairs in the order of the first model's median in the study."""
    medians = _medians(rows)
    order = np.argsort(next(iter(medians[STUDY].values())), kind="stable")
    panels = {
        _WAYS[way]: {model: values[order] for model, values in found.items()}
        for way, found in medians.items()
    }
    names = [rows[place]["method"] for place in order]
    return attack_figures.medians(panels, "L2", names, "pair of classes")


PAIRS = Study(
    runs=pair_runs,
    tables={"table.md": _together, "pairs.md": _every_pair},
    figures={"pairs.png": _figure},
)
SEARCHES_ON_PAIRS = Study(runs=search_runs, tables={"table.md": _searches})
