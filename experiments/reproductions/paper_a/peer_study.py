"""The study of 2021 by the library its authors used: ART's HopSkipJump on our networks.

Where our medians are not the authors', this tells whether the attack or the networks
make the difference. Needs the extra "peers".
"""

import dataclasses
import importlib
import importlib.util
import operator
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments import attacked_models, pieces, published
from experiments.progress import Progress
from experiments.reproductions.paper_a.accuracy import right_of_all
from experiments.reproductions.paper_a.distortion import common_images
from experiments.reproductions.paper_a.distortion_attacks import Images
from experiments.reproductions.paper_a.distortion_exact import rounded
from experiments.reproductions.paper_a.targets import TargetRun, targets
from experiments.reproductions.plan import (
    Place,
    Reproduction,
    Results,
    Scale,
    write_table,
)
from zeroone_jax import attacks, runs
from zeroone_jax.attacks import adapters
from zeroone_jax.evaluation import tables

_MODELS = "mlp01", "sigmoid", "binarized"
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


@dataclasses.dataclass(frozen=True)
class PeerRun(TargetRun):
    """HopSkipJump of both libraries on one model, from the same starts.

    Attributes:
        scale: whose models label the images rightly.
    """

    scale: Scale

    @property
    def protocol(self) -> Protocol:
        """How much is attacked."""
        return PROTOCOLS[self.scale]

    def missing(self) -> str:
        """What the model needs, and ART."""
        if importlib.util.find_spec("art") is None:
            return "ART is not installed: make peers installs it"
        return super().missing()

    def settings(self) -> dict[str, Any]:
        """The model's, the protocol's, and which models the images are common to."""
        return {
            "model": self.target.settings(),
            "protocol": dataclasses.asdict(self.protocol),
            "among": [target.directory for target in targets(self.scale)],
        }

    def fill(self, run: runs.RunDirectory, place: Place) -> None:
        """Attacks by ours, then by ART's, some images at a time."""
        began = time.monotonic()
        protocol = self.protocol
        model = self.target.model(place)
        indices = right_of_all(place, self.scale)[: protocol.images]
        images = common_images(model, indices, place.data_dir)
        ours = {
            law: attacks.hop_skip_jump(iterations=protocol.iterations, law=law)(
                jax.random.key(0), model.label_fn, *images
            ).distance
            for law in ("signs", "gaussian")
        }
        progress = Progress(f"attacking {self.method} by ART", len(images.x))
        theirs = []
        for first in range(0, len(images.x), _PIECE):

            def made(first: int = first) -> dict[str, np.ndarray]:
                part = jax.tree.map(
                    operator.itemgetter(slice(first, first + _PIECE)), images
                )
                found = art_distances(model, part, protocol.iterations, first)
                return {"distance": found}

            found = pieces.arrays(run.path / f"art-{first}.npz", made)
            theirs.append(found["distance"])
            done = sum(map(len, theirs))
            progress.report(done, f"median {np.median(np.concatenate(theirs)):.4g}")
        run.finish(
            {
                "config": self.settings(),
                "indices": indices.tolist(),
                "ours": {
                    law: rounded(np.asarray(found)) for law, found in ours.items()
                },
                "art": rounded(np.concatenate(theirs)),
                "seconds": round(time.monotonic() - began, 1),
                "session": run.sessions()[-1],
            }
        )


def art_distances(
    model: attacked_models.Model, images: Images, iterations: int, seed: int
) -> np.ndarray:
    """Attacks by ART's HopSkipJump, with the settings of the study.

    Args:
        model: the model.
        images: what to attack, with starts.
        iterations: of the attack.
        seed: of NumPy's global state, from which ART draws.

    Returns:
        float [n], distances in L2; infinite where the adversary is none.
    """
    evasion = importlib.import_module("art.attacks.evasion")
    classifier = adapters.art_classifier(model.label_fn, images.x.shape[1:], classes=2)
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
    broken = np.asarray(model.label_fn(jax.numpy.asarray(adversary))) != y
    return np.where(broken, distance, np.inf)


def peer_runs(scale: Scale) -> Sequence[PeerRun]:
    """Lists the models of the study."""
    return [
        PeerRun(target.label, target, scale)
        for target in targets(scale)
        if target.label in _MODELS
    ]


def report(results: Results, folder: pathlib.Path, runs_dir: pathlib.Path) -> str:
    """Draws the table.

    Args:
        results: of each model.
        folder: where to write.
        runs_dir: not looked at.

    Returns:
        The table in markdown.
    """
    del runs_dir
    rows = []
    for name, (found,) in results.items():
        medians = [
            float(np.median(np.array(distances, float)))
            for distances in (*found["ours"].values(), found["art"])
        ]
        known = published.HOP_SKIP_JUMP_0V1.get(name)
        rows.append([name, *medians, known.text if known else "-"])
    count = len(next(iter(results.values()))[0]["indices"])
    header = [
        "model",
        "ours, random signs",
        "ours, Gaussian",
        "ART",
        "authors: ART on their networks",
    ]
    title = f"HopSkipJump of the study of 2021: median L2, {count} images"
    return write_table(tables.Table(title, header, rows), folder)


PEER_STUDY = Reproduction(peer_runs, report)
