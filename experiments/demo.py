"""Paper A in small: who is hardest to fool, and by which attack?

    make demo
    python -m experiments.demo --data_dir=/data/tfds

Fetches CIFAR-10 if it is not there, trains three ensembles of 8 votes on class 0
against 1 (01-loss networks, sigmoid networks, binarized networks), and attacks them: by
HopSkipJump as paper A does and with its radius tuned, by the nearest adversaries that
any attack here finds, and through a substitute. The table, the same as JSON, and a
figure land in the output directory; what is there already is not made again.
"""

import functools
import pathlib
from collections.abc import Sequence

from absl import flags

from zeroone_jax import attacks, runs, verification
from zeroone_jax.evaluation import tables

from . import command_line, cores
from .attacked_models import Model
from .published import HOP_SKIP_JUMP_0V1
from .reproductions.paper_a import cnn
from .reproductions.paper_a.targets import compared
from .studies import attacking, substitutes
from .studies.attacking import ADAPTIVE, STUDY, Piece, median
from .studies.bench import ModelRun
from .studies.columns import Columns, at, published, table
from .studies.study import Drawn, Place, Row, Study, complete, stored
from .studies.target import Target

PROTOCOL = cnn.Protocol(
    images=20,
    law="signs",
    substitute=substitutes.Protocol(
        attacks.Substitute(epsilons=(0.0625, 0.125), rounds=8, epochs=10, limit=1600),
        seeds=1,
    ),
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
    place = Place(output / "models", output)
    print(demonstrate(compared(sigmoid=60, binarized=20), place, PROTOCOL))


def demonstrate(targets: Sequence[Target], place: Place, protocol: cnn.Protocol) -> str:
    """Trains, attacks and writes everything.

    Args:
        targets: the models, all of the same data.
        place: where they are trained, and where the table and the figure go.
        protocol: how much is attacked.

    Returns:
        The table.
    """
    measure = functools.partial(cnn.measured, _attacks)
    demo = [ModelRun("demo", tuple(targets), measure, protocol)]
    for folder in (place.runs, place.results):
        folder.mkdir(parents=True, exist_ok=True)
    complete(demo, place.runs, place)
    results = stored(place.runs, demo)
    (found,) = results["demo"]
    told = {name: found[name] for name in ("seconds", "session")}
    shown = tables.as_json(_table([found])[0])
    runs.write_json(place.results / "demo.json", {**shown, **told})
    return _DEMO.report(results, place.results, place.runs)


def _attacks(protocol: cnn.Protocol, subject: Model) -> list[Piece]:
    """HopSkipJump, then what sees slopes or cells."""
    inside = (
        Piece("deep_fool", attacks.deep_fool(norm="l2"))
        if subject.networks is None
        else Piece("polished", verification.cell_polishing())
    )
    return [*attacking.by_labels(protocol), inside]


def _table(rows: Sequence[Row]) -> list[tables.Table]:
    (row,) = rows
    names, count = row["class_names"], len(row["indices"])
    epsilons = row["config"]["protocol"]["substitute"]["settings"]["epsilons"]
    columns: Columns = {
        "8 votes": at("method"),
        "test": at("accuracy"),
        "HopSkipJump": median(STUDY),
        "its radius tuned": median(ADAPTIVE),
        "nearest of all": median(),
        "authors: HopSkipJump": published(HOP_SKIP_JUMP_0V1),
        **{
            f"substitute {epsilon:.4g}": functools.partial(_left, place)
            for place, epsilon in enumerate(epsilons)
        },
    }
    title = (
        f"{names[0]} against {names[1]}: accuracy, median L2 distance of "
        f"the adversaries of {count} images, accuracy through a substitute"
    )
    return [table(title, substitutes.by_model(rows), columns)]


def _left(place: int, row: Row) -> float:
    return float(substitutes.left(row)[0, -1, place])


def _figure(rows: Sequence[Row]) -> Drawn:
    ways = {
        "HopSkipJump": (STUDY,),
        "its radius tuned": (ADAPTIVE,),
        "nearest of all": (),
    }
    return attacking.figure(attacking.by_model(rows), ways)


_DEMO = Study(
    runs=lambda scale: [],
    tables={"table.md": _table},
    figures={"distances.png": _figure},
)


if __name__ == "__main__":
    command_line.run(main, define_flags)
