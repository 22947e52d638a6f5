"""The study of 2021 by the library its authors used: ART's HopSkipJump on our networks.

Where our medians are not the authors', this tells whether the attack or the networks
make the difference. Needs the extra "peers".
"""

import dataclasses
import functools
import importlib
import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from zeroone_jax import attacks
from zeroone_jax.attacks import adapters

from ...attacked_models import Images, Model
from ...published import HOP_SKIP_JUMP_0V1
from ...studies.attacking import as_json
from ...studies.bench import Bench, ModelRun, each
from ...studies.columns import Columns, at, middle, published, sheet
from ...studies.study import Row, Scale, Study
from .accuracy import right_of_all
from .targets import COMPARED, directories, targets

# ART is asked about so many images at a time, and what it found is kept.
_PIECE = 10


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How much is attacked.

    Attributes:
        images: how many of the images that all models label rightly.
        iterations: of HopSkipJump; the study has 40.
    """

    images: int = 100
    iterations: int = 40


PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(images=2, iterations=1),
    "laptop": Protocol(),
    "paper": Protocol(),
}
"""By scale."""


def peer_runs(scale: Scale) -> list[ModelRun]:
    """Lists the models of the study."""
    models = [target for target in targets(scale) if target.label in COMPARED]
    measure = functools.partial(_measured, scale)
    among = directories(scale)
    return each(models, measure, PROTOCOLS[scale], needs="art", among=among)


def _measured(scale: Scale, bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Attacks by ours, then by ART's from the same starts, some images at a time."""
    subject = bench.subject
    indices = right_of_all(bench.place, scale)[: protocol.images]
    images = subject.test_from_others(indices)
    laws: tuple[attacks.directions.Law, ...] = ("signs", "gaussian")
    bench.expect(len(laws) + -(-len(indices) // _PIECE))
    ours = {
        law: bench.kept(
            f"ours-{law}", functools.partial(_ours, law, subject, images, protocol)
        )
        for law in laws
    }
    theirs = []
    for first in range(0, len(indices), _PIECE):
        part = jax.tree.map(operator.itemgetter(slice(first, first + _PIECE)), images)
        make = functools.partial(_arts, subject, part, protocol.iterations, first)
        theirs.append(bench.kept(f"theirs-{first}", make)["distance"])
    return {
        "indices": indices.tolist(),
        "ours": {law: as_json(found["distance"]) for law, found in ours.items()},
        "art": as_json(np.concatenate(theirs)),
    }


def _ours(
    law: attacks.directions.Law, subject: Model, images: Images, protocol: Protocol
) -> dict[str, np.ndarray]:
    attack = attacks.hop_skip_jump(iterations=protocol.iterations, law=law)
    found = attack(jax.random.key(0), subject.label_fn, *images)
    return {"distance": np.asarray(found.distance)}


def _arts(
    subject: Model, images: Images, iterations: int, seed: int
) -> dict[str, np.ndarray]:
    """Attacks by ART's HopSkipJump, with the settings of the study.

    The seed is of NumPy's global state, from which ART draws; distances in L2 are
    infinite where the adversary is none.
    """
    evasion = importlib.import_module("art.attacks.evasion")
    shape = images.x.shape[1:]
    classifier = adapters.art_classifier(subject.label_fn, shape, classes=2)
    x, y, start = map(np.asarray, images)
    attack = evasion.HopSkipJump(
        classifier,
        norm=2,
        max_iter=iterations,
        init_eval=100,
        max_eval=10_000,
        verbose=False,
    )
    np.random.seed(seed)  # noqa: NPY002 - ART draws from NumPy's global state
    adversary = attack.generate(x, x_adv_init=start)
    distance = np.linalg.norm((adversary - x).reshape(len(x), -1), axis=1)
    return {"distance": np.where(subject.fooled(adversary, y), distance, np.inf)}


def _title(rows: Sequence[Row]) -> str:
    count = len(rows[0]["indices"])
    return f"HopSkipJump of the study of 2021: median L2, {count} images"


_COLUMNS: Columns = {
    "model": at("method"),
    "ours, random signs": middle("ours", "signs"),
    "ours, Gaussian": middle("ours", "gaussian"),
    "ART": middle("art"),
    "authors: ART on their networks": published(HOP_SKIP_JUMP_0V1),
}
PEER_STUDY = Study(runs=peer_runs, tables={"table.md": sheet(_title, _COLUMNS)})
