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

from experiments.progress import Progress
from experiments.reproductions.paper_a import groups
from experiments.reproductions.paper_a.distortion_attacks import Piece
from experiments.reproductions.paper_a.targets import compared, described
from experiments.reproductions.plan import Place, Scale
from zeroone_jax import attacks, runs
from zeroone_jax.attacks import directions

STUDY, ADAPTIVE = "study", "radius adaptive"
FIRST_PAIR = "0v1"
"""The pair of which all numbers of the authors are known."""

SEARCHES = "searches"
"""The end of the name of a pair on which both searches are compared."""

_PAIRS = tuple(itertools.combinations(range(10), 2))
# Each class is in one of them; the blind search of all pairs would take a laptop hours.
_SEARCHED = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How much is trained and attacked.

    Attributes:
        sigmoid: epochs of the sigmoid networks, at most.
        binarized: epochs of the binarized networks.
        images: of each pair.
        iterations: of HopSkipJump.
        law: of its directions; random signs come as near as the study's "gaussian" in
            a third of the time.
    """

    sigmoid: int = 1000
    binarized: int = 100
    images: int = 100
    iterations: int = 40
    law: directions.Law = "gaussian"


PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(sigmoid=1, binarized=1, images=3, iterations=2, law="signs"),
    # Shorter training leaves networks' boundaries farther away.
    "laptop": Protocol(sigmoid=50, binarized=20, images=15, law="signs"),
    "paper": Protocol(),
}
"""By scale."""


class PairRun(groups.GroupRun):
    """Training and attacks on a pair of classes: "0v1", or "0v1-searches"."""

    def attack(
        self, run: runs.RunDirectory, group: groups.Group, place: Place
    ) -> dict[str, Any]:
        """Attacks with both radii."""
        progress = Progress(f"attacking {self.method}", len(self.targets))
        found = {}
        for number, target in enumerate(self.targets, 1):
            pieces = attacks_of(self.protocol)
            made = groups.attacked(run, target, group, pieces, place)
            found[target.label] = groups.short(made)
            progress.report(number, target.label)
        return {"pieces": found}


def attacks_of(protocol: Protocol) -> Sequence[Piece]:
    """Lists the attacks on every model.

    Args:
        protocol: how hard.
    """
    study = attacks.hop_skip_jump(iterations=protocol.iterations, law=protocol.law)
    return [
        Piece(STUDY, study),
        Piece(ADAPTIVE, dataclasses.replace(study, radius="adaptive")),
    ]


def pair_runs(scale: Scale) -> Sequence[PairRun]:
    """Lists the pairs of a scale; for a smoke test two models of the first."""
    protocol = PROTOCOLS[scale]
    epochs: dict[str, Any] = {
        "sigmoid": protocol.sigmoid,
        "binarized": protocol.binarized,
    }
    if scale == "smoke":
        # Compiling takes most of a smoke test.
        targets = compared(_PAIRS[0], scale, **epochs)[:2]
        return [PairRun(FIRST_PAIR, tuple(targets), protocol)]
    return [
        PairRun(
            f"{first}v{second}", tuple(compared((first, second), **epochs)), protocol
        )
        for first, second in _PAIRS
    ]


def search_runs(scale: Scale) -> Sequence[PairRun]:
    """Lists the pairs on which both searches are compared, called "0v1-searches"."""
    pairs = {"smoke": _PAIRS[:1], "laptop": _SEARCHED, "paper": _PAIRS}[scale]
    # The study has 8 votes, as a laptop.
    size: Scale = "smoke" if scale == "smoke" else "laptop"
    return [
        PairRun(
            f"{first}v{second}-{SEARCHES}",
            tuple(
                described(name, 0.0, size).of((first, second))
                for name in ("mlp01", "mlp01-blind")
            ),
            PROTOCOLS[scale],
        )
        for first, second in pairs
    ]
