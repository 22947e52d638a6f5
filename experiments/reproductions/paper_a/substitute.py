"""Paper A's black-box attack through a substitute (A4): accuracy against epsilon.

Of the 2,000 test images 200 are asked about and the other 1,800 attacked, over several
seeds, with the course over the rounds.
"""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import command_line, pieces, published
from experiments.progress import Progress
from experiments.reproductions.paper_a.targets import TargetRun, with_classical
from experiments.reproductions.plan import (
    Place,
    Reproduction,
    Results,
    Scale,
    write_table,
)
from zeroone_jax import attacks
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import attack_figures, figures, tables
from zeroone_jax.types import Array, LabelFn

_SHOWN = 0.0625, 0.125


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How the attack is made.

    Attributes:
        settings: of the substitute.
        seeds: how many, from 0 on; they draw the images asked about, too.
        asked: how many test images are asked about.
        attacked: how many of the others are attacked.
    """

    settings: attacks.Substitute
    seeds: int = 10
    asked: int = 200
    attacked: int = 1800


PROTOCOLS: dict[Scale, Protocol] = {
    "smoke": Protocol(
        attacks.Substitute(hidden=(20,), rounds=2, epochs=2, limit=400), 2, 200, 200
    ),
    # Ten times the learning rate makes up for a fifth of the paper's updates.
    "laptop": Protocol(attacks.Substitute(learning_rate=1e-3, rounds=8, epochs=10)),
    "paper": Protocol(attacks.Substitute()),
}
"""By scale."""


@dataclasses.dataclass(frozen=True)
class SubstituteRun(TargetRun):
    """The attack on one model, with all seeds.

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

    def fill(self, run: run_files.RunDirectory, place: Place) -> None:
        """Attacks with one seed after another."""
        protocol = self.protocol
        with jax.enable_x64(self.target.double):
            model = self.target.model(place)
            source = model.source
            test = command_line.load(
                source.name, "test", source.classes, place.data_dir
            )
            x, y = model.images(test), jnp.asarray(test.labels)
            progress = Progress(f"attacking {self.method}", protocol.seeds)
            records = []
            for seed in range(protocol.seeds):
                make = functools.partial(_timed, seed, model.label_fn, x, y, protocol)
                records.append(pieces.record(run.path / f"seed-{seed}.json", make))
                last = records[-1]["adversarial_accuracy"][-1]
                progress.report(seed + 1, f"leaves {last}")
        seconds = [record.pop("seconds") for record in records]
        run.finish(
            {
                "config": self.settings(),
                "records": {
                    name: [record[name] for record in records] for name in records[0]
                },
                # Of all sessions; training the model is not in it.
                "seconds": round(sum(seconds), 1),
                "session": run.sessions()[-1],
            }
        )


def _timed(
    seed: int, label_fn: LabelFn, x: Array, y: Array, protocol: Protocol
) -> dict[str, Any]:
    """Attacks once, as `attacked` does, and adds the "seconds" that it took."""
    began = time.monotonic()
    record = attacked(seed, label_fn, x, y, protocol)
    return {**record, "seconds": round(time.monotonic() - began, 1)}


def attacked(
    seed: int, label_fn: LabelFn, x: Array, y: Array, protocol: Protocol
) -> dict[str, Any]:
    """Attacks once.

    Args:
        seed: of the images asked about, and of the substitute.
        label_fn: the model.
        x: float [n, ...], the test images.
        y: i32 [n].
        protocol: how.

    Returns:
        The `attacks.transfer.Record` of every round, of JSON's types.
    """
    order = np.random.default_rng(seed).permutation(len(x))
    asked = order[: protocol.asked]
    attacked = order[protocol.asked : protocol.asked + protocol.attacked]
    record = attacks.substitute_attack(
        jax.random.key(seed),
        label_fn,
        x[asked],
        x[attacked],
        y[attacked],
        settings=protocol.settings,
    )
    return {
        name: np.round(np.asarray(values, np.float64), 5).tolist()
        for name, values in record._asdict().items()
    }


def substitute_runs(scale: Scale) -> Sequence[SubstituteRun]:
    """Lists the models of a scale."""
    protocol = PROTOCOLS[scale]
    return [
        SubstituteRun(target.label, target, protocol)
        for target in with_classical(scale)
    ]


def report(results: Results, folder: pathlib.Path, runs_dir: pathlib.Path) -> str:
    """Draws the table and the figures, these of models trained without noise.

    Args:
        results: of each model.
        folder: where to write table.md, epsilon.png and rounds.png.
        runs_dir: not looked at.

    Returns:
        The table in markdown.
    """
    del runs_dir
    models = {name: found for name, (found,) in results.items()}
    shares = {name: adversarial(found) for name, found in models.items()}
    epsilons = _epsilons(next(iter(models.values())))
    curves = {name: share[:, -1] for name, share in shares.items()}
    clean = {
        name: float(np.mean(np.array(found["records"]["target_accuracy"])[:, -1]))
        for name, found in models.items()
    }
    # More curves than this nobody can tell apart; the table has them all.
    drawn = [name for name in models if "noise" not in name]
    with run_files.replacing(folder / "epsilon.png") as path:
        shown = {name: curves[name] for name in drawn}
        figures.write(attack_figures.accuracies(np.array(epsilons), shown), path)
    place = int(np.argmin(np.abs(np.array(epsilons) - _SHOWN[0])))
    rounds = np.arange(1, next(iter(shares.values())).shape[1] + 1)
    courses = {name: shares[name][:, :, place] for name in drawn}
    with run_files.replacing(folder / "rounds.png") as path:
        label = f"round, epsilon {epsilons[place]:.4g}"
        figures.write(attack_figures.accuracies(rounds, courses, label), path)
    return write_table(_table(models, clean, curves, epsilons), folder)


def adversarial(found: Mapping[str, Any]) -> np.ndarray:
    """Accuracies on the substitute's adversaries, float [seeds, rounds, epsilons]."""
    return np.array(found["records"]["adversarial_accuracy"])


def _epsilons(found: Mapping[str, Any]) -> list[float]:
    return list(found["config"]["protocol"]["settings"]["epsilons"])


def _table(
    models: Mapping[str, Mapping[str, Any]],
    clean: Mapping[str, float],
    curves: Mapping[str, np.ndarray],
    epsilons: Sequence[float],
) -> tables.Table:
    rows = []
    for name in models:
        shares = curves[name]
        error = np.std(shares, axis=0, ddof=1) / np.sqrt(len(shares))
        cells = [
            f"{mean:.3f} ± {spread:.3f}"
            for mean, spread in zip(shares.mean(axis=0), error, strict=True)
        ]
        known = published.SUBSTITUTE_0V1.get(name)
        agreement = np.array(models[name]["records"]["agreement"])[:, -1].mean()
        rows.append(
            [
                name,
                clean[name],
                *cells,
                float(agreement),
                known.text if known else "-",
            ]
        )
    seeds = len(next(iter(curves.values())))
    return tables.Table(
        f"Accuracy on a substitute's adversaries, {seeds} seeds, ± standard error",
        [
            "model",
            "clean",
            *(f"{epsilon:.4g}" for epsilon in epsilons),
            "substitute agrees",
            "paper",
        ],
        rows,
    )


SUBSTITUTE = Reproduction(substitute_runs, report)
