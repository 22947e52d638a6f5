"""Paper A's white-box attacks (A4): on ensembles, on single votes, from vote to vote.

Sign networks are attacked along stand-ins of their gradients and across hyperplanes,
the others by PGD, with the settings of the study of 2021: Linf 16/255, 20 steps.
"""

import dataclasses
import operator
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import attack_task, attacked_models, command_line, published
from experiments.progress import Progress
from experiments.reproductions.paper_a.distortion import sign_networks
from experiments.reproductions.paper_a.targets import TargetRun, targets
from experiments.reproductions.plan import (
    Place,
    Reproduction,
    Results,
    Scale,
    write_table,
)
from zeroone_jax import attacks, runs
from zeroone_jax.evaluation import tables
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array

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


@dataclasses.dataclass(frozen=True)
class WhiteBoxRun(TargetRun):
    """White-box attacks on one model.

    Attributes:
        protocol: how it is attacked.
    """

    protocol: Protocol

    def settings(self) -> dict[str, Any]:
        """The model's and the protocol's."""
        return {
            "model": self.target.settings(),
            "protocol": dataclasses.asdict(self.protocol),
        }

    def fill(self, run: runs.RunDirectory, place: Place) -> None:
        """Attacks the ensemble, then its votes."""
        with jax.enable_x64(self.target.double):
            model = self.target.model(place)
            # Training the model is not in it.
            began = time.monotonic()
            source = model.source
            test = command_line.load(
                source.name, "test", source.classes, place.data_dir
            )
            chosen = attack_task.picked(test, slice(self.protocol.images))
            x, y = model.images(chosen), jnp.asarray(chosen.labels)
            networks = sign_networks(self.target, model)
            planned = _attacks(self.protocol, networks is not None)
            progress = Progress(f"attacking {self.method}", len(planned) + 1)
            left = {}
            for number, (name, attack) in enumerate(planned.items(), 1):
                adversary = _adversaries(attack, model, networks, x, y)
                # The model itself has the last word, whatever stood in for it.
                left[name] = _accuracy(model.label_fn(adversary), y)
                progress.report(number, f"{name} leaves {left[name]:.4f}")
            votes = None
            if networks is not None:
                votes = _votes(networks, x.reshape(len(x), -1), y, self.protocol)
            progress.report(len(planned) + 1)
            clean = _accuracy(model.label_fn(x), y)
        run.finish(
            {
                "config": self.settings(),
                "clean": clean,
                "left": left,
                "votes": votes,
                "seconds": round(time.monotonic() - began, 1),
                "session": run.sessions()[-1],
            }
        )


def white_box_runs(scale: Scale) -> Sequence[WhiteBoxRun]:
    """Lists the models of a scale."""
    protocol = PROTOCOLS[scale]
    return [WhiteBoxRun(target.label, target, protocol) for target in targets(scale)]


def _attacks(protocol: Protocol, is_sign: bool) -> Mapping[str, Any]:
    """The attacks by name, the strongest last."""
    ball: dict[str, Any] = {"epsilon": _EPSILON, "step_size": _STEP, "fit_box": False}
    study: dict[str, Any] = ball | {"iterations": protocol.iterations}
    strong: dict[str, Any] = {
        "epsilon": _EPSILON,
        "step_size": _STEP / 2,
        "fit_box": False,
        "iterations": protocol.strong_iterations,
        "restarts": protocol.restarts,
    }
    if not is_sign:
        return {
            "PGD": attacks.pgd(loss="cross_entropy", **study),
            "strongest": attacks.pgd(loss="cross_entropy", **strong),
        }
    return {
        "straight through": attacks.surrogate_gradient(
            estimator="straight_through", **study
        ),
        "smooth": attacks.surrogate_gradient(**study),
        "hyperplanes": attacks.hyperplane_crossing(epsilon=_EPSILON),
        "strongest": attacks.surrogate_gradient(**strong),
    }


def _adversaries(
    attack: Any,
    model: attacked_models.Model,
    networks: zero_one.Params | None,
    x: Array,
    y: Array,
) -> Array:
    if networks is None:
        result = attack(jax.random.key(_KEY), model.logits_fn, x, y)
        return result.adversary
    result = attack(jax.random.key(_KEY), networks, x.reshape(len(x), -1), y)
    return result.adversary.reshape(x.shape)


def _votes(
    networks: zero_one.Params, x: Array, y: Array, protocol: Protocol
) -> dict[str, Any]:
    """Attacks votes alone; tells what each attack leaves each vote."""
    attack = attacks.surrogate_gradient(
        epsilon=_EPSILON,
        step_size=_STEP,
        iterations=protocol.iterations,
        fit_box=False,
    )
    count = min(protocol.votes, len(networks.w1))
    matrix = []
    for vote in range(count):
        one = jax.tree.map(operator.itemgetter(slice(vote, vote + 1)), networks)
        adversary = attack(jax.random.key(_KEY), one, x, y).adversary
        labels = zero_one.votes(networks, adversary)[:count]
        matrix.append([_accuracy(said, y) for said in labels])
    return {"accuracy": matrix}


def _accuracy(labels: Array, y: Array) -> float:
    return float(np.mean(np.asarray(labels) == np.asarray(y)))


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
    rows: list[list[Any]] = []
    for name, (found,) in results.items():
        left = found["left"]
        study = left.get("straight through", left.get("PGD"))
        known = published.WHITE_BOX_0V1.get(name)
        alone, others = None, None
        if found["votes"] is not None:
            matrix = np.array(found["votes"]["accuracy"])
            alone = float(np.mean(np.diag(matrix)))
            apart = ~np.eye(len(matrix), dtype=bool)
            others = float(np.mean(matrix[apart])) if apart.any() else None
        rows.append(
            [
                name,
                found["clean"],
                study,
                left.get("smooth"),
                left.get("hyperplanes"),
                min(left.values()),
                known.text if known else "-",
                alone,
                others,
            ]
        )
    header = [
        "model",
        "clean",
        "PGD, straight through",
        "smooth",
        "hyperplanes",
        "strongest",
        "authors: PGD",
        "a vote attacked",
        "the other votes then",
    ]
    title = "Accuracy under white-box attacks, Linf 16/255"
    return write_table(tables.Table(title, header, rows), folder)


WHITE_BOX = Reproduction(white_box_runs, report)
