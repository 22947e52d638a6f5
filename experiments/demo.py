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

import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import attacked_models, command_line, cores, published
from experiments.progress import Progress
from experiments.reproductions.paper_a import distortion, substitute
from experiments.reproductions.paper_a.distortion_attacks import Piece
from experiments.reproductions.paper_a.targets import Target, compared
from experiments.reproductions.plan import Place
from zeroone_jax import attacks, data, runs, verification
from zeroone_jax.evaluation import attack_figures, figures, tables
from zeroone_jax.types import Array

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
    protocol: substitute.Protocol = dataclasses.field(
        default_factory=lambda: substitute.Protocol(
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
    models = {target.label: target.model(place) for target in targets}
    trained = time.monotonic() - began
    first = next(iter(models.values())).source
    test = command_line.load(first.name, "test", first.classes, place.data_dir)
    labels = {name: _labels(model, test) for name, model in models.items()}
    right = np.all([one == test.labels for one in labels.values()], axis=0)
    indices = np.flatnonzero(right)[: effort.images]
    progress = Progress("attacking", len(targets))
    found, rows = {}, []
    for number, target in enumerate(targets, 1):
        name = target.label
        model = models[name]
        found[name] = _distances(target, model, indices, place, effort)
        shares = _through_substitute(model, test, effort)
        accuracy = float(np.mean(labels[name] == test.labels))
        medians = {way: float(np.median(one)) for way, one in found[name].items()}
        known = published.HOP_SKIP_JUMP_0V1.get(name)
        authors = known.text if known else None
        rows.append([name, accuracy, *medians.values(), authors, *shares])
        progress.report(number, f"{name}: {medians}")
    table = _table(rows, test.class_names, len(indices), effort)
    _write(place.results, table, found, (trained, time.monotonic() - began))
    return tables.markdown(table)


def _labels(model: attacked_models.Model, test: data.Split) -> np.ndarray:
    return np.asarray(model.label_fn(model.images(test)))


def _distances(
    target: Target,
    model: attacked_models.Model,
    indices: np.ndarray,
    place: Place,
    effort: Effort,
) -> dict[str, np.ndarray]:
    """How far each attack's adversaries are, float [n] of each."""
    networks = distortion.sign_networks(target, model)
    pieces = [
        Piece(_DEFAULT, attacks.hop_skip_jump(iterations=effort.iterations)),
        Piece(
            _TUNED,
            attacks.hop_skip_jump(iterations=effort.iterations, radius="adaptive"),
        ),
        Piece("deep_fool", attacks.deep_fool(norm="l2"))
        if networks is None
        else Piece("polished", verification.cell_polishing(), polishes=True),
    ]
    images = {"common": distortion.common_images(model, indices, place.data_dir)}
    found: dict[str, dict[str, np.ndarray]] = {}
    for piece in pieces:
        found[piece.name] = distortion.attacked(
            piece, model, networks, images, 0, found
        )
    distances = {name: arrays["distance"] for name, arrays in found.items()}
    return {
        _DEFAULT: distances[_DEFAULT],
        _TUNED: distances[_TUNED],
        _NEAREST: np.min(list(distances.values()), axis=0),
    }


def _through_substitute(
    model: attacked_models.Model, test: data.Split, effort: Effort
) -> list[float]:
    """Accuracies on a substitute's adversaries, after the last round."""
    x: Array = model.images(test)
    y = jnp.asarray(test.labels)
    record = substitute.attacked(0, model.label_fn, x, y, effort.protocol)
    return [float(share) for share in record["adversarial_accuracy"][-1]]


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
