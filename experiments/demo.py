"""Paper A in small: who is hardest to fool, and by which attack?

    make demo
    python -m experiments.demo --data_dir=/data/tfds

Fetches CIFAR-10 if it is not there, trains three ensembles of 8 votes on class 0
against 1 (01-loss networks, sigmoid networks, binarized networks), and attacks them: by
HopSkipJump as paper A does and with its radius tuned, by the nearest adversaries that
any attack here finds, and through a substitute. The table, the same as JSON, and a
figure land in the output directory; models that are trained there are not trained
again.
"""

import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments import command_line, cores, published
from experiments.progress import Progress
from experiments.reproductions.paper_a.targets import compared
from experiments.studies import attacking, substitutes
from experiments.studies.attacking import Piece
from experiments.studies.bench import Subject, in_common
from experiments.studies.study import Place
from experiments.studies.target import Target
from zeroone_jax import attacks, runs, verification
from zeroone_jax.evaluation import attack_figures, figures, tables

_DEFAULT, _TUNED, _NEAREST = "HopSkipJump", "its radius tuned", "nearest of all"


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is attacked.

    Attributes:
        images: the first that all models label rightly.
        iterations: of HopSkipJump.
        protocol: how the attack through a substitute is made.
    """

    images: int = 20
    iterations: int = 40
    protocol: substitutes.Protocol = dataclasses.field(
        default_factory=lambda: substitutes.Protocol(
            attacks.Substitute(
                epsilons=(0.0625, 0.125), rounds=8, epochs=10, limit=1600
            ),
            seeds=1,
        )
    )


def define_flags(argv: Sequence[str]) -> None:
    """Defines the flags of this launcher; `argv` does not matter."""
    del argv
    command_line.define_folders()
    cores.define_devices()
    flags.DEFINE_string("output", "runs/demo", "Directory for models, table, figure.")


def main(_: None) -> None:
    """Runs the demonstration."""
    options = flags.FLAGS
    cores.use_cores(8)
    output = pathlib.Path(options.output)
    place = Place(output / "models", output, options.data_dir)
    print(demonstrate(compared(sigmoid=60, binarized=20), place, Effort()))


def demonstrate(targets: Sequence[Target], place: Place, effort: Effort) -> str:
    """Trains, attacks and writes everything.

    Args:
        targets: the models, all of the same data.
        place: where they are trained, and where the table and the figure go.
        effort: how much is attacked.

    Returns:
        The table.
    """
    began = time.monotonic()
    subjects = {
        target.label: Subject(target, target.model(place), place.data_dir)
        for target in targets
    }
    trained = time.monotonic() - began
    indices, accuracies = in_common(subjects, effort.images)
    progress = Progress("attacking", len(subjects))
    found, rows = {}, []
    for number, (name, subject) in enumerate(subjects.items(), 1):
        found[name] = _distances(subject, indices, effort)
        record = substitutes.attacked(0, subject, subject.test(), effort.protocol)
        shares = record["adversarial_accuracy"][-1].tolist()
        medians = {way: float(np.median(one)) for way, one in found[name].items()}
        known = published.HOP_SKIP_JUMP_0V1.get(name)
        authors = known.text if known else None
        rows.append([name, accuracies[name], *medians.values(), authors, *shares])
        progress.report(number, f"{name}: {medians}")
    test = next(iter(subjects.values())).split("test")
    table = _table(rows, test.class_names, len(indices), effort)
    _write(place.results, table, found, (trained, time.monotonic() - began))
    return tables.markdown(table)


def _distances(
    subject: Subject, indices: np.ndarray, effort: Effort
) -> dict[str, np.ndarray]:
    """How far each attack's adversaries are, float [n] of each."""
    jump = attacks.hop_skip_jump(iterations=effort.iterations)
    pieces = [
        Piece(_DEFAULT, jump),
        Piece(_TUNED, dataclasses.replace(jump, radius="adaptive")),
        Piece("deep_fool", attacks.deep_fool(norm="l2"))
        if subject.networks is None
        else Piece("polished", verification.cell_polishing()),
    ]
    images = subject.test_from_others(indices)
    found: dict[str, dict[str, np.ndarray]] = {}
    for piece in pieces:
        found[piece.name] = attacking.attack(piece, subject, images, found)
    distances = {name: arrays["distance"] for name, arrays in found.items()}
    return {
        _DEFAULT: distances[_DEFAULT],
        _TUNED: distances[_TUNED],
        _NEAREST: np.min(list(distances.values()), axis=0),
    }


def _table(
    rows: Sequence[Sequence[Any]],
    class_names: Sequence[str],
    count: int,
    effort: Effort,
) -> tables.Table:
    epsilons = effort.protocol.settings.epsilons
    title = (
        f"{class_names[0]} against {class_names[1]}: accuracy, median L2 distance of "
        f"the adversaries of {count} images, accuracy through a substitute"
    )
    header = ["8 votes", "test", _DEFAULT, _TUNED, _NEAREST, "authors: HopSkipJump"]
    return tables.Table(
        title, [*header, *(f"substitute {epsilon:.4g}" for epsilon in epsilons)], rows
    )


def _write(
    folder: pathlib.Path,
    table: tables.Table,
    found: Mapping[str, Mapping[str, np.ndarray]],
    seconds: tuple[float, float],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with runs.replacing(folder / "table.md") as path:
        path.write_text(tables.markdown(table) + "\n", encoding="utf-8")
    runs.write_json(
        folder / "demo.json",
        {
            **tables.as_json(table),
            "seconds": {"training": round(seconds[0], 1), "all": round(seconds[1], 1)},
            "session": runs.session(runs.git_revision(pathlib.Path(__file__))),
        },
    )
    ways = {
        way: {name: distances[way] for name, distances in found.items()}
        for way in (_DEFAULT, _TUNED, _NEAREST)
    }
    with runs.replacing(folder / "distances.png") as path:
        figures.write(attack_figures.distortions(ways, "L2"), path)


if __name__ == "__main__":
    command_line.run(main, define_flags)
