"""Accuracy that is proved in Linf: our networks and those to beat."""

import dataclasses
import functools
from typing import Any

from ...studies.bench import ModelRun, each
from ...studies.columns import sheet
from ...studies.study import Scale, Study
from .proofs import (
    PROTOCOLS,
    by_margins,
    by_slope,
    by_votes,
    columns,
    fewer,
    figure,
    title,
)
from .targets import (
    cube_networks,
    linear_against_pgd,
    margin_networks,
    sign_networks,
)

_IMAGES, _SECONDS = 300, 20.0
"""How many test images, and how long each may take: in Linf proofs take longer."""


def _runs(scale: Scale) -> list[ModelRun]:
    seconds = PROTOCOLS[scale].seconds if scale == "paper" else _SECONDS
    protocol = fewer(scale, _IMAGES, seconds=seconds)
    short = dataclasses.replace(protocol, seconds=protocol.seconds / 10)
    ordinary, certified, _ = sign_networks(scale)
    linear, *_, mlp = margin_networks(scale)
    alone: Any = functools.partial(by_votes, norm="linf")
    through: Any = functools.partial(by_margins, norm="linf")
    kinds = (
        each([*cube_networks(scale), certified], alone, protocol, norm="linf")
        + each([ordinary], alone, short, norm="linf"),
        each([linear_against_pgd(scale), linear], by_slope, protocol, norm="linf"),
        each([mlp], through, protocol, norm="linf"),
    )
    # A smoke test has one model of each kind.
    return [run for kind in kinds for run in (kind[:1] if scale == "smoke" else kind)]


CERTIFIED_LINF = Study(
    runs=_runs,
    tables={
        "table.md": sheet(
            functools.partial(title, norm="Linf"),
            columns({f"{levels}/255": levels / 255 for levels in (2, 4, 8, 16)}),
        )
    },
    figures={"radii.png": functools.partial(figure, norm="Linf")},
)
