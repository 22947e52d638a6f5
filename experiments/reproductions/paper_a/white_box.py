"""Paper A's white-box attacks (A4): on ensembles, on single votes, from vote to vote.

Sign networks are attacked along stand-ins of their gradients and across hyperplanes,
the others by PGD, with the settings of the study of 2021: Linf 16/255, 20 steps.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from zeroone_jax import attacks
from zeroone_jax.models import zero_one

from ...attacked_models import Images, Model
from ...published import WHITE_BOX_0V1
from ...studies.bench import Bench, each, votes_of
from ...studies.columns import Columns, at, published, sheet
from ...studies.study import Row, Scale, Study
from .targets import with_certified

_EPSILON, _STEP = 16 / 255, 2 / 255
_KEY = 0


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How much is attacked, and how hard.

    Attributes:
        images: how many of the first test images, labelled rightly or not.
        iterations: steps of the attacks along gradients; the study has 20.
        strong_iterations: of the strongest of them, with restarts.
        restarts: of the strongest.
        votes: how many votes are attacked alone.
    """

    images: int = 500
    iterations: int = 20
    strong_iterations: int = 100
    restarts: int = 3
    votes: int = 8


PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(
        images=20, iterations=3, strong_iterations=3, restarts=1, votes=2
    ),
    "laptop": Protocol(),
    "paper": Protocol(images=2000, restarts=10),
}
"""By scale."""


def _measured(bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Attacks the ensemble, then its votes."""
    subject = bench.subject
    images = subject.test(slice(protocol.images))
    planned = _attacks(protocol, subject.networks is not None)
    bench.expect(len(planned) + (subject.networks is not None))
    left = {}
    for name, attack in planned.items():
        found = bench.kept(
            name.replace(" ", "-"),
            functools.partial(_left, attack, subject, images),
            lambda made: f"leaves {made['accuracy']:.4f}",
        )
        left[name] = float(found["accuracy"])
    votes = None
    if subject.networks is not None:
        make = functools.partial(
            _votes, planned["smooth"], subject.networks, images, protocol.votes
        )
        votes = {"accuracy": bench.kept("votes", make)["accuracy"].tolist()}
    clean = np.mean(~subject.fooled(images.x, images.y))
    return {"clean": float(clean), "left": left, "votes": votes}


def _attacks(protocol: Protocol, is_sign: bool) -> Mapping[str, Any]:
    """The attacks by name, the strongest last."""
    study: dict[str, Any] = {
        "epsilon": _EPSILON,
        "step_size": _STEP,
        "fit_box": False,
        "iterations": protocol.iterations,
    }
    strong = study | {
        "step_size": _STEP / 2,
        "iterations": protocol.strong_iterations,
        "restarts": protocol.restarts,
    }
    if not is_sign:
        climb = functools.partial(attacks.pgd, loss="cross_entropy")
        return {"PGD": climb(**study), "strongest": climb(**strong)}
    along = attacks.surrogate_gradient
    return {
        "straight through": along(estimator="straight_through", **study),
        "smooth": along(**study),
        "hyperplanes": attacks.hyperplane_crossing(epsilon=_EPSILON),
        "strongest": along(**strong),
    }


def _left(attack: Any, subject: Model, images: Images) -> dict[str, np.ndarray]:
    """The accuracy that an attack leaves; the model itself has the last word."""
    x, y, _ = images
    found = attack(jax.random.key(_KEY), subject.logits_fn, x, y)
    return {"accuracy": np.mean(~subject.fooled(found.adversary, y))}


def _votes(
    attack: Any, networks: zero_one.Params, images: Images, count: int
) -> dict[str, np.ndarray]:
    """Attacks votes alone; tells what each attack leaves each vote, [votes, votes]."""
    x, y, _ = images
    matrix = []
    for vote in votes_of(networks)[:count]:
        adversary = attack(jax.random.key(_KEY), vote, x, y).adversary
        labels = zero_one.votes(networks, adversary)[:count]
        matrix.append(np.mean(np.asarray(labels) == np.asarray(y), axis=1))
    return {"accuracy": np.array(matrix)}


def _of_votes(others: bool, row: Row) -> float | None:
    """What attacks on votes leave the votes themselves, or the others."""
    if row["votes"] is None:
        return None
    matrix = np.array(row["votes"]["accuracy"])
    chosen = matrix[np.eye(len(matrix), dtype=bool) != others]
    return float(np.mean(chosen)) if len(chosen) else None


_COLUMNS: Columns = {
    "model": at("method"),
    "clean": at("clean"),
    "PGD, straight through": lambda row: row["left"].get(
        "straight through", row["left"].get("PGD")
    ),
    "smooth": at("left", "smooth"),
    "hyperplanes": at("left", "hyperplanes"),
    "strongest": lambda row: min(row["left"].values()),
    "authors: PGD": published(WHITE_BOX_0V1),
    "a vote attacked": functools.partial(_of_votes, False),
    "the other votes then": functools.partial(_of_votes, True),
}
WHITE_BOX = Study(
    runs=lambda scale: each(with_certified(scale), _measured, PROTOCOLS[scale]),
    tables={
        "table.md": sheet("Accuracy under white-box attacks, Linf 16/255", _COLUMNS)
    },
)
