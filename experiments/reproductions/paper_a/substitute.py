"""Paper A's black-box attack through a substitute (A4): accuracy against epsilon.

Of the 2,000 test images 200 are asked about and the other 1,800 attacked, over several
seeds, with the course over the rounds.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.published import SUBSTITUTE_0V1
from experiments.reproductions.paper_a.targets import with_classical
from experiments.studies.bench import Bench, Images, Subject, each
from experiments.studies.columns import Columns, at, published, spread, table
from experiments.studies.study import Drawn, Row, Scale, Study
from zeroone_jax import attacks
from zeroone_jax.evaluation import attack_figures, tables

_SHOWN = 0.0625


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How the attack is made.

    Attributes:
        settings: of the substitute.
        seeds: how many, from 0 on; they draw the images asked about, too.
        asked: how many test images are asked about.
        attacked: how many of the others are attacked.
    """

    settings: attacks.Substitute
    seeds: int = 10
    asked: int = 200
    attacked: int = 1800


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
    bench.expect(protocol.seeds)
    records = through_substitutes(bench, "seed", bench.subject, protocol)
    return {
        "records": {name: [one[name] for one in records] for name in records[0]},
    }


def through_substitutes(
    bench: Bench, prefix: str, subject: Subject, protocol: Protocol
) -> list[dict[str, Any]]:
    """Attacks a model with one seed after another.

    Args:
        bench: where.
        prefix: what the pieces' files begin with.
        subject: the model.
        protocol: how.

    Returns:
        Of each seed, the `attacks.transfer.Record` of every round, of JSON's types.
    """
    images = subject.test()
    records = []
    for seed in range(protocol.seeds):
        make = functools.partial(attacked, seed, subject, images, protocol)
        record = bench.kept(
            f"{prefix}-{seed}",
            make,
            lambda made: f"leaves {made['adversarial_accuracy'][-1].tolist()}",
        )
        del record["seconds"]
        records.append({name: values.tolist() for name, values in record.items()})
    return records


def attacked(
    seed: int, subject: Subject, images: Images, protocol: Protocol
) -> dict[str, np.ndarray]:
    """Attacks once.

    Args:
        seed: of the images asked about, and of the substitute.
        subject: the model.
        images: the test images, as the model takes them.
        protocol: how.

    Returns:
        The `attacks.transfer.Record` of every round, to five places.
    """
    x, y, _ = images
    order = np.random.default_rng(seed).permutation(len(x))
    asked = order[: protocol.asked]
    others = order[protocol.asked : protocol.asked + protocol.attacked]
    record = attacks.substitute_attack(
        jax.random.key(seed),
        subject.model.label_fn,
        x[asked],
        x[others],
        y[others],
        settings=protocol.settings,
    )
    return {
        name: np.round(np.asarray(values, np.float64), 5)
        for name, values in record._asdict().items()
    }


def adversarial(row: Row) -> np.ndarray:
    """Accuracies on the substitute's adversaries, float [seeds, rounds, epsilons]."""
    return np.array(row["records"]["adversarial_accuracy"])


def _epsilons(row: Row) -> list[float]:
    return list(row["config"]["protocol"]["settings"]["epsilons"])


def _last(row: Row, what: str) -> float:
    """Mean over the seeds of what the last round had."""
    return float(np.mean(np.array(row["records"][what])[:, -1]))


def _table(rows: Sequence[Row]) -> list[tables.Table]:
    columns: Columns = {
        "model": at("method"),
        "clean": lambda row: _last(row, "target_accuracy"),
        **{
            f"{epsilon:.4g}": functools.partial(_left, place)
            for place, epsilon in enumerate(_epsilons(rows[0]))
        },
        "substitute agrees": lambda row: _last(row, "agreement"),
        "paper": published(SUBSTITUTE_0V1),
    }
    seeds = len(adversarial(rows[0]))
    title = f"Accuracy on a substitute's adversaries, {seeds} seeds, ± standard error"
    return [table(title, rows, columns)]


def _left(place: int, row: Row) -> str | None:
    return spread(adversarial(row)[:, -1, place], error=True)


def _drawn(rows: Sequence[Row]) -> Mapping[str, np.ndarray]:
    """More curves than these nobody can tell apart; the table has them all."""
    return {
        row["method"]: adversarial(row) for row in rows if "noise" not in row["method"]
    }


def _against_epsilon(rows: Sequence[Row]) -> Drawn:
    curves = {name: shares[:, -1] for name, shares in _drawn(rows).items()}
    return attack_figures.accuracies(np.array(_epsilons(rows[0])), curves)


def _against_rounds(rows: Sequence[Row]) -> Drawn:
    epsilons = np.array(_epsilons(rows[0]))
    place = int(np.argmin(np.abs(epsilons - _SHOWN)))
    courses = {name: shares[:, :, place] for name, shares in _drawn(rows).items()}
    rounds = np.arange(1, adversarial(rows[0]).shape[1] + 1)
    label = f"round, epsilon {epsilons[place]:.4g}"
    return attack_figures.accuracies(rounds, courses, label)


SUBSTITUTE = Study(
    runs=lambda scale: each(with_classical(scale), _measured, PROTOCOLS[scale]),
    tables={"table.md": _table},
    figures={"epsilon.png": _against_epsilon, "rounds.png": _against_rounds},
)
