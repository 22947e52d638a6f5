"""Paper A's last claim: 01 networks are "comparable to simple CNNs" (A3, A5).

Beside LeNet and SimpleNet, with and without noise on the training images: accuracy
without attack and through a substitute, and least distortions of images that all label
rightly, as the study of 2021 found them, with the radius found for each model, and with
the weights known. HopSkipJump asks every model as often: only its iterations end it.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from experiments import attacked_models, command_line, pieces
from experiments.progress import Progress
from experiments.reproductions.paper_a import distortion, groups, substitute
from experiments.reproductions.paper_a.distortion_attacks import Piece
from experiments.reproductions.paper_a.targets import described
from experiments.reproductions.plan import Place, Scale
from zeroone_jax import attacks, runs, verification
from zeroone_jax.attacks import directions

STUDY, ADAPTIVE = "study", "radius adaptive"

_NAMES = ("mlp01", "mlp01-blind", "sigmoid", "lenet", "simple_net")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How much is attacked, and how hard.

    Attributes:
        substitute: how the attack through a substitute is made.
        images: of the least distortions.
        iterations: of HopSkipJump.
        law: of its directions; random signs come as near as the study's "gaussian" in
            a third of the time.
    """

    substitute: substitute.Protocol
    images: int = 100
    iterations: int = 40
    law: directions.Law = "gaussian"


_EPSILONS = (0.0625, 0.125)
PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(
        substitute.Protocol(
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
        substitute.Protocol(
            dataclasses.replace(
                substitute.PROTOCOLS["laptop"].settings, epsilons=_EPSILONS
            ),
            seeds=5,
        ),
        images=20,
        law="signs",
    ),
    "paper": Protocol(substitute.Protocol(attacks.Substitute(epsilons=_EPSILONS))),
}
"""By scale."""


class ComparisonRun(groups.GroupRun):
    """Training and attacks of models with the same noise, as in "noise-0.1"."""

    def attack(
        self, run: runs.RunDirectory, group: groups.Group, place: Place
    ) -> dict[str, Any]:
        """Attacks each model directly, then through substitutes."""
        progress = Progress(f"attacking, {self.method}", 2 * len(self.targets))
        found, records = {}, {}
        for number, target in enumerate(self.targets):
            label, model = target.label, group.models[target.label]
            is_sign = distortion.sign_networks(target, model) is not None
            pieces = attacks_of(self.protocol, is_sign)
            made = groups.attacked(run, target, group, pieces, place)
            found[label] = groups.short(made)
            progress.report(2 * number + 1, label)
            records[label] = _through_substitutes(
                run, label, model, self.protocol.substitute, place
            )
            progress.report(2 * number + 2, f"{label}, through substitutes")
        return {"pieces": found, "records": records}


def attacks_of(protocol: Protocol, is_sign: bool) -> Sequence[Piece]:
    """Lists the attacks on a model, those that see labels only first.

    Args:
        protocol: how hard.
        is_sign: whether it is a sign network, which has cells instead of slopes.
    """
    study = attacks.hop_skip_jump(iterations=protocol.iterations, law=protocol.law)
    by_labels = [
        Piece(STUDY, study),
        Piece(ADAPTIVE, dataclasses.replace(study, radius="adaptive")),
    ]
    if is_sign:
        polishing = verification.cell_polishing()
        return [*by_labels, Piece("polished", polishing, polishes=True)]
    return [
        *by_labels,
        Piece("fab", attacks.fab(norm="l2")),
        Piece("deep_fool", attacks.deep_fool(norm="l2")),
    ]


def _through_substitutes(
    run: runs.RunDirectory,
    label: str,
    model: attacked_models.Model,
    protocol: substitute.Protocol,
    place: Place,
) -> list[dict[str, Any]]:
    """The records of every seed; those that are there are not made again."""
    source = model.source
    test = command_line.load(source.name, "test", source.classes, place.data_dir)
    x, y = model.images(test), jnp.asarray(test.labels)
    records = []
    for seed in range(protocol.seeds):
        path = run.path / f"{label}-substitute-{seed}.json"
        make = functools.partial(
            substitute.attacked, seed, model.label_fn, x, y, protocol
        )
        records.append(pieces.record(path, make))
    return records


def comparison_runs(scale: Scale) -> Sequence[ComparisonRun]:
    """Lists the noises of a scale, each with all models."""
    noises: tuple[float, ...] = (0.0, 0.1)
    names: tuple[str, ...] = _NAMES
    if scale == "smoke":
        noises, names = (0.0,), ("mlp01", "lenet")
    return [
        ComparisonRun(
            f"noise-{noise}",
            tuple(described(name, noise, scale) for name in names),
            PROTOCOLS[scale],
        )
        for noise in noises
    ]
