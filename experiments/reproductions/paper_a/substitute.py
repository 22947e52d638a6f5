"""Paper A's black-box attack through a substitute (A4): accuracy against epsilon.

Of the 2,000 test images 200 are asked about and the other 1,800 attacked, over several
seeds, with the course over the rounds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroone_jax import attacks
from zeroone_jax.evaluation import attack_figures, tables

from ...published import SUBSTITUTE_0V1
from ...studies import substitutes
from ...studies.bench import Bench, each
from ...studies.columns import Columns, at, published, table
from ...studies.study import Drawn, Row, Scale, Study
from ...studies.substitutes import Protocol
from .targets import with_classical

_SHOWN = 0.0625
PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(
        attacks.Substitute(hidden=(20,), rounds=2, epochs=2, limit=400), 2, 200, 200
    ),
    # Ten times the learning rate makes up for a fifth of the paper's updates.
    "laptop": Protocol(attacks.Substitute(learning_rate=1e-3, rounds=8, epochs=10)),
    "paper": Protocol(attacks.Substitute()),
}
"""By scale."""


def _measured(bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Attacks with one seed after another."""
    bench.expect(protocol.seeds)
    records = substitutes.every_seed(bench, "seed", bench.subject, protocol)
    return {"records": substitutes.together(records)}


def _epsilons(row: Row) -> list[float]:
    return list(row["config"]["protocol"]["settings"]["epsilons"])


def _last(row: Row, what: str) -> float:
    """Mean over the seeds of what the last round had."""
    return float(np.mean(np.array(row["records"][what])[:, -1]))


def _table(rows: Sequence[Row]) -> list[tables.Table]:
    columns: Columns = {
        "model": at("method"),
        "clean": lambda row: _last(row, "target_accuracy"),
        **substitutes.columns(_epsilons(rows[0])),
        "substitute agrees": lambda row: _last(row, "agreement"),
        "paper": published(SUBSTITUTE_0V1),
    }
    seeds = len(substitutes.left(rows[0]))
    title = f"Accuracy on a substitute's adversaries, {seeds} seeds, ± standard error"
    return [table(title, rows, columns)]


def _drawn(rows: Sequence[Row]) -> Mapping[str, np.ndarray]:
    """More curves than these nobody can tell apart; the table has them all."""
    return {
        row["method"]: substitutes.left(row)
        for row in rows
        if "noise" not in row["method"]
    }


def _against_epsilon(rows: Sequence[Row]) -> Drawn:
    curves = {name: shares[:, -1] for name, shares in _drawn(rows).items()}
    return attack_figures.accuracies(np.array(_epsilons(rows[0])), curves)


def _against_rounds(rows: Sequence[Row]) -> Drawn:
    epsilons = np.array(_epsilons(rows[0]))
    place = int(np.argmin(np.abs(epsilons - _SHOWN)))
    courses = {name: shares[:, :, place] for name, shares in _drawn(rows).items()}
    rounds = np.arange(1, substitutes.left(rows[0]).shape[1] + 1)
    label = f"round, epsilon {epsilons[place]:.4g}"
    return attack_figures.accuracies(rounds, courses, label)


SUBSTITUTE = Study(
    runs=lambda scale: each(with_classical(scale), _measured, PROTOCOLS[scale]),
    tables={"table.md": _table},
    figures={"epsilon.png": _against_epsilon, "rounds.png": _against_rounds},
)
