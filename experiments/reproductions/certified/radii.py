"""Accuracy that is proved against the radius: our networks and those to beat."""

import dataclasses
import functools

from ...studies.bench import ModelRun, each
from ...studies.columns import sheet
from ...studies.study import Scale, Study
from .proofs import (
    COLUMNS,
    PROTOCOLS,
    by_margins,
    by_noise,
    exact,
    fewer,
    figure,
    title,
)
from .targets import (
    SIGMAS,
    margin_networks,
    noisy_networks,
    other_networks,
    sensible_networks,
    sign_networks,
)


def radii_runs(scale: Scale) -> list[ModelRun]:
    """Lists the models of a scale."""
    protocol = PROTOCOLS[scale]
    smoothed = [
        run
        for target, sigma in zip(noisy_networks(scale), SIGMAS, strict=True)
        for run in each([target], functools.partial(by_noise, sigma), protocol)
    ]
    # Ordinary networks have adversaries so near that bounds within a short time do.
    short = dataclasses.replace(protocol, seconds=protocol.seconds / 200)
    ordinary, *certified = sign_networks(scale)
    kinds = (
        each(certified, exact, protocol) + each([ordinary], exact, short),
        each(margin_networks(scale), by_margins, protocol),
        smoothed,
    )
    # Compiling takes most of a smoke test: it has one model of each kind.
    return [run for kind in kinds for run in (kind[:1] if scale == "smoke" else kind)]


def _others(scale: Scale) -> list[ModelRun]:
    """Lists the same training on other classes and by other seeds, on fewer images."""
    return each(other_networks(scale), exact, fewer(scale, 500))


def _sensible(scale: Scale) -> list[ModelRun]:
    """Lists the same training within radii that a reference tells."""
    return each(sensible_networks(scale), exact, fewer(scale, 1000))


CERTIFIED_OTHERS = Study(
    runs=_others,
    tables={"table.md": sheet(title, COLUMNS)},
    figures={"radii.png": figure},
)
CERTIFIED_SENSIBLE = Study(
    runs=_sensible,
    tables={"table.md": sheet(title, COLUMNS)},
    figures={"radii.png": figure},
)
CERTIFIED_RADII = Study(
    runs=radii_runs,
    tables={"table.md": sheet(title, COLUMNS)},
    figures={"radii.png": figure},
)
