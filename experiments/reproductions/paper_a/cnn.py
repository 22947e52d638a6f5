"""Paper A's last claim: 01 networks are "comparable to simple CNNs" (A3, A5).

Beside LeNet and SimpleNet, with and without noise on the training images: accuracy
without attack and through a substitute, and least distortions of images that all label
rightly, as the study of 2021 found them, with the radius found for each model, and with
the weights known. HopSkipJump asks every model as often: only its iterations end it.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from zeroone_jax import attacks, verification
from zeroone_jax.evaluation import tables

from ...attacked_models import Model
from ...published import SUBSTITUTE_0V1
from ...studies import attacking, substitutes
from ...studies.attacking import ADAPTIVE, STUDY, Piece, median
from ...studies.bench import Bench, ModelRun
from ...studies.columns import Columns, at, published, table
from ...studies.study import Drawn, Row, Scale, Study
from . import substitute
from .targets import described

_NAMES = ("mlp01", "mlp01-blind", "sigmoid", "lenet", "simple_net")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol(attacking.Effort):
    """How much is attacked, and how hard.

    Attributes:
        substitute: how the attack through a substitute is made.
    """

    substitute: substitutes.Protocol


_EPSILONS = (0.0625, 0.125)
PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(
        substitute=substitutes.Protocol(
            attacks.Substitute(
                epsilons=_EPSILONS, hidden=(20,), rounds=1, epochs=1, limit=200
            ),
            seeds=2,
            attacked=100,
        ),
        images=3,
        iterations=2,
        law="signs",
    ),
    "laptop": Protocol(
        substitute=substitutes.Protocol(
            dataclasses.replace(
                substitute.PROTOCOLS["laptop"].settings, epsilons=_EPSILONS
            ),
            seeds=5,
        ),
        images=20,
        law="signs",
    ),
    "paper": Protocol(
        substitute=substitutes.Protocol(attacks.Substitute(epsilons=_EPSILONS))
    ),
}
"""By scale."""


def comparison_runs(scale: Scale) -> list[ModelRun]:
    """Lists the noises of a scale, each with all models: "noise-0.1"."""
    noises, names = [0.0, 0.1], [*_NAMES]
    if scale == "smoke":
        noises, names = [0.0], ["mlp01", "lenet"]
    return [
        ModelRun(
            f"noise-{noise}",
            tuple(described(name, noise, scale) for name in names),
            functools.partial(measured, _attacks),
            PROTOCOLS[scale],
        )
        for noise in noises
    ]


def measured(
    attacks_of: Callable[[Protocol, Model], Sequence[Piece]],
    bench: Bench,
    protocol: Protocol,
) -> dict[str, Any]:
    """Attacks every model directly, by what is said, then through substitutes."""
    pieces = {
        label: attacks_of(protocol, subject)
        for label, subject in bench.subjects.items()
    }
    seeds = protocol.substitute.seeds
    bench.expect(sum(map(len, pieces.values())) + seeds * len(pieces))
    found = attacking.attacked_together(bench, protocol.images, pieces)
    records = {
        label: substitutes.every_seed(
            bench, f"{label}-substitute", subject, protocol.substitute
        )
        for label, subject in bench.subjects.items()
    }
    return {**found, "records": records, "seconds": attacking.seconds(bench)}


def _attacks(protocol: Protocol, subject: Model) -> list[Piece]:
    """Those that see labels only, then those that see the weights."""
    by_labels = attacking.by_labels(protocol)
    if subject.networks is not None:
        # A sign network has cells instead of slopes.
        return [*by_labels, Piece("polished", verification.cell_polishing())]
    by_slopes = {"fab": attacks.fab, "deep_fool": attacks.deep_fool}
    return [
        *by_labels,
        *(Piece(name, kind(norm="l2")) for name, kind in by_slopes.items()),
    ]


def _table(rows: Sequence[Row]) -> list[tables.Table]:
    protocol = rows[0]["config"]["protocol"]["substitute"]
    columns: Columns = {
        "model": at("method"),
        "votes": _members,
        "test": at("accuracy"),
        **substitutes.columns(protocol["settings"]["epsilons"], "substitute "),
        "authors": published(SUBSTITUTE_0V1),
        "L2: study": median(STUDY),
        "L2: radius adaptive": median(ADAPTIVE),
        "L2: white box": _inside,
        "L2: nearest of all": median(),
    }
    title = (
        f"Beside simple CNNs: accuracy, through {protocol['seeds']} substitutes ± "
        f"standard error, and median L2 of the adversaries of "
        f"{len(rows[0]['indices'])} images"
    )
    return [table(title, substitutes.by_model(rows), columns)]


def _members(row: Row) -> int:
    """How many networks vote, of either kind of training."""
    solver = at("settings", "solver", "votes")(row)
    return int(row["settings"]["members"] if solver is None else solver)


def _inside(row: Row) -> str:
    """What attacks that know the weights find, and which these are."""
    inside = [piece for piece in row["pieces"] if piece not in (STUDY, ADAPTIVE)]
    return f"{median(*inside)(row):.4f} ({', '.join(inside)})"


def _figure(rows: Sequence[Row]) -> Drawn:
    ways = {
        "HopSkipJump, radius .01": (STUDY,),
        "radius adaptive": (ADAPTIVE,),
        "nearest of all attacks": (),
    }
    return attacking.figure(attacking.by_model(rows), ways)


CNN = Study(
    runs=comparison_runs,
    tables={"table.md": _table},
    figures={"distances.png": _figure},
)
