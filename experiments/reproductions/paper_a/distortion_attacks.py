"""What models are attacked with to find how far their nearest adversaries are."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from experiments.reproductions.plan import Scale
from zeroone_jax import attacks, verification
from zeroone_jax.attacks import directions
from zeroone_jax.types import Array

PAPER_IMAGES = (0, 288, 5, 9, 6, 800, 1991, 1000, 1500, 1800)
"""The ten images of paper A, places among CIFAR-10's test images of classes 0 and 1."""

Radius: TypeAlias = float | Literal["adaptive"]


class Images(NamedTuple):
    """Images for a model.

    Attributes:
        x: float [n, ...], as the model takes them.
        y: i32 [n].
        start: float [n, ...], images of the other class; None to start from noise.
    """

    x: Array
    y: Array
    start: Array | None


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How much is attacked, and how hard.

    Attributes:
        images: how many of the images that all models label rightly.
        repeats: of the attacks on the paper's ten images.
        iterations: of HopSkipJump on these; the paper has 100.
        boundary_queries: of the Boundary Attack an image; None has no limit.
        study_iterations: of HopSkipJump on the common images, as the study of 2021 has.
        radii: of HopSkipJump, beside its default of .01, to find each model's own.
        exact_images: how many common images exact distances are of.
        exact_seconds: the most that a majority's may take.
        law: of the directions at the default radius; random signs come as near as the
            paper's "gaussian" in a third of the time.
    """

    images: int = 100
    repeats: int = 10
    iterations: int = 40
    boundary_queries: int | None = 10_000
    study_iterations: int = 40
    radii: tuple[Radius, ...] = (1.0, "adaptive")
    exact_images: int = 10
    exact_seconds: float = 5.0
    law: directions.Law = "signs"


_PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(
        images=3,
        repeats=1,
        iterations=1,
        boundary_queries=300,
        study_iterations=2,
        radii=("adaptive",),
        exact_images=2,
        exact_seconds=1.0,
    ),
    "laptop": Protocol(),
    "paper": Protocol(
        iterations=100,
        boundary_queries=None,
        radii=(0.1, 0.3, 1.0, "adaptive"),
        exact_images=100,
        exact_seconds=600.0,
        law="gaussian",
    ),
}
# A CPU asks convolutional networks some twenty times as slowly as the others.
_CONVOLUTIONAL = dataclasses.replace(_PROTOCOLS["laptop"], images=10, repeats=1)


def protocol(scale: Scale, convolutional: bool = False) -> Protocol:
    """Gives how models of a scale are attacked.

    Args:
        scale: the scale.
        convolutional: whether the model is, which a laptop attacks on fewer images.
    """
    if convolutional and scale == "laptop":
        return _CONVOLUTIONAL
    return _PROTOCOLS[scale]


@dataclasses.dataclass(frozen=True)
class Piece:
    """One attack on one set of images.

    Attributes:
        name: what results call it.
        attack: the attack.
        images: the paper's ten, from noise, each several times; or the "common" ones,
            from the same images of the other class for every model.
        polishes: whether it moves the nearest adversaries so far.
    """

    name: str
    attack: Any
    images: Literal["paper", "common"] = "common"
    polishes: bool = False

    @property
    def norm(self) -> str:
        """How it measures distance."""
        return str(self.attack.norm)


def pieces(protocol: Protocol, has_slopes: bool, is_sign: bool) -> Sequence[Piece]:
    """Lists the attacks on a model, those of the paper first.

    Args:
        protocol: how hard.
        has_slopes: whether the model can be attacked along its gradients.
        is_sign: whether it is a sign network, whose cells can be polished in.
    """
    steps = protocol.study_iterations
    found = [
        Piece(
            "boundary",
            attacks.boundary(
                iterations=100,
                samples=100,
                law=protocol.law,
                max_queries=protocol.boundary_queries,
            ),
            "paper",
        ),
        Piece(
            "hop_skip_jump",
            attacks.hop_skip_jump(iterations=protocol.iterations, law=protocol.law),
            "paper",
        ),
        Piece(
            "hop_skip_jump linf",
            attacks.hop_skip_jump(
                norm="linf",
                iterations=protocol.iterations,
                law="uniform" if protocol.law == "gaussian" else protocol.law,
            ),
            "paper",
        ),
        Piece("study", attacks.hop_skip_jump(iterations=steps, law=protocol.law)),
        *(
            Piece(
                f"radius {radius}",
                attacks.hop_skip_jump(iterations=steps, radius=radius),
            )
            for radius in protocol.radii
        ),
        Piece(
            "linf radius adaptive",
            attacks.hop_skip_jump(norm="linf", iterations=steps, radius="adaptive"),
        ),
    ]
    if has_slopes:
        for norm in ("l2", "linf"):
            found.append(Piece(f"fab {norm}", attacks.fab(norm=norm)))
            found.append(Piece(f"deep_fool {norm}", attacks.deep_fool(norm=norm)))
    if is_sign:
        polishing = verification.cell_polishing()
        found.append(Piece("polished", polishing, polishes=True))
    return found
