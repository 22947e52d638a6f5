"""Attacks on trained models through substitutes, over several seeds."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from zeroone_jax import attacks

from ..attacked_models import Images, Model
from . import attacking
from .bench import Bench
from .columns import Columns, spread
from .study import Row


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


def attacked(
    seed: int, subject: Model, images: Images, protocol: Protocol
) -> dict[str, np.ndarray]:
    """Attacks once, by a seed of the images asked about, and of the substitute.

    Returns:
        The `attacks.transfer.Record` of every round, to five places.
    """
    x, y, _ = images
    order = np.random.default_rng(seed).permutation(len(x))
    asked = order[: protocol.asked]
    others = order[protocol.asked : protocol.asked + protocol.attacked]
    record = attacks.substitute_attack(
        jax.random.key(seed),
        subject.label_fn,
        x[asked],
        x[others],
        y[others],
        settings=protocol.settings,
    )
    return {
        name: np.round(np.asarray(values, np.float64), 5)
        for name, values in record._asdict().items()
    }


def every_seed(
    bench: Bench, prefix: str, subject: Model, protocol: Protocol
) -> list[dict[str, Any]]:
    """Attacks a model with one seed after another.

    The pieces' files begin with the prefix.

    Returns:
        What `attacked` gave of each seed, as JSON's types.
    """
    images = subject.test()
    records = []
    for seed in range(protocol.seeds):
        record = bench.kept(
            f"{prefix}-{seed}",
            functools.partial(attacked, seed, subject, images, protocol),
            lambda made: f"leaves {made['adversarial_accuracy'][-1].tolist()}",
        )
        del record["seconds"]
        records.append({name: values.tolist() for name, values in record.items()})
    return records


def together(records: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Gives the values of all seeds by name."""
    return {name: [record[name] for record in records] for name in records[0]}


def by_model(rows: Iterable[Row]) -> list[Row]:
    """Makes rows as `attacking.by_model`, their records `together`."""
    return [
        {**row, "records": together(row["records"])} for row in attacking.by_model(rows)
    ]


def left(row: Row) -> np.ndarray:
    """Accuracies on the substitute's adversaries, float [seeds, rounds, epsilons]."""
    return np.array(row["records"]["adversarial_accuracy"])


def columns(epsilons: Sequence[float], prefix: str = "") -> Columns:
    """A column for each epsilon: what is left after the last round, ± standard error.

    Args:
        epsilons: those of the records.
        prefix: what headers begin with.
    """
    return {
        f"{prefix}{epsilon:.4g}": functools.partial(_left_at, place)
        for place, epsilon in enumerate(epsilons)
    }


def _left_at(place: int, row: Row) -> str | None:
    return spread(left(row)[:, -1, place], error=True)
