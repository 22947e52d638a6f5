"""Trains 8 votes on CIFAR-10, class 0 against 1, and compares with the authors'.

    make demo
    python -m experiments.demo --data_dir=/data/tfds

Fetches the images if they are not there, trains with the default settings and with
those of the 2020 paper, and prints the accuracies beside the authors' own. The table,
the same as JSON, and figures land in the output directory.
"""

import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import command_line, zero_one_report
from experiments.progress import Progress
from zeroone_jax import coordinate_descent, data, runs
from zeroone_jax.evaluation import accuracy, figures, published, tables
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array

_PRESETS = ("default", "paper_2020")


class Trained(NamedTuple):
    """One ensemble of the demonstration.

    Attributes:
        params: the networks.
        curve: how training went.
        train: accuracy on the training images.
        test: accuracy on the test images.
        seconds: what training took, compiling included.
    """

    params: zero_one.Params
    curve: figures.Curve
    train: accuracy.Accuracy
    test: accuracy.Accuracy
    seconds: float


def define_flags(argv: Sequence[str]) -> None:
    """Defines the flags of this launcher; `argv` does not matter."""
    del argv
    command_line.define_data_dir()
    command_line.define_devices()
    flags.DEFINE_string("output", "runs/demo", "Directory for the table and figures.")


def main(_: None) -> None:
    """Runs the demonstration."""
    options = flags.FLAGS
    configs = {name: coordinate_descent.PRESETS[name]() for name in _PRESETS}
    command_line.use_cores(max(config.votes for config in configs.values()))
    classes = (0, 1)
    training = command_line.load("cifar10", "train", classes, options.data_dir)
    test = command_line.load("cifar10", "test", classes, options.data_dir)
    print(demonstrate(configs, training, test, pathlib.Path(options.output)))


def demonstrate(
    configs: dict[str, coordinate_descent.Config],
    training: data.Split,
    test: data.Split,
    output: pathlib.Path,
) -> str:
    """Trains, compares and writes everything.

    Args:
        configs: name to the settings to train with, equally many votes in each.
        training: two classes to train on.
        test: the same classes to test on.
        output: the directory for the table and the figures; made if missing.

    Returns:
        The table.
    """
    rows, test_rows = (
        tuple(map(jnp.asarray, data.as_features(split))) for split in (training, test)
    )
    trained = {
        name: _train(name, config, rows, test_rows) for name, config in configs.items()
    }
    table = _table(trained, training.class_names)
    text = tables.markdown(table)
    output.mkdir(parents=True, exist_ok=True)
    with runs.replacing(output / "table.md") as path:
        path.write_text(text + "\n", encoding="utf-8")
    runs.write_json(
        output / "demo.json",
        {
            **tables.as_json(table),
            "seconds": {name: round(one.seconds, 1) for name, one in trained.items()},
            "sources": {name: x.source for name, x in published.CIFAR10_0V1.items()},
            "session": runs.session(runs.git_revision(pathlib.Path(__file__))),
        },
    )
    with runs.replacing(output / "curves.png") as path:
        curves = [one.curve for one in trained.values()]
        figures.write(figures.training_curves(curves), path)
    for name, one in trained.items():
        zero_one_report.draw_hidden_units(
            one.params, training, output / f"hidden_units_{name}.png"
        )
    return text


def _train(
    name: str,
    config: coordinate_descent.Config,
    rows: tuple[Array, ...],
    test_rows: tuple[Array, ...],
) -> Trained:
    began = time.monotonic()
    progress = Progress(name, config.iterations)
    metrics: list[dict[str, Any]] = []

    def on_segment(
        state: coordinate_descent.Search, history: coordinate_descent.History
    ) -> None:
        iteration = int(state.iteration)
        metrics.extend(zero_one_report.records(iteration, history))
        mean = float(np.mean(history.pocket_accuracy[-1]))
        progress.report(iteration, f"mean train accuracy {mean:.4f}")

    x, y = rows
    params = coordinate_descent.fit(
        jax.random.key(0), x, y, config, on_segment=on_segment
    ).params
    seconds = time.monotonic() - began
    return Trained(
        params,
        zero_one_report.curve(name, metrics),
        accuracy.accuracy(params, x, y),
        accuracy.accuracy(params, *test_rows),
        seconds,
    )


def _table(trained: dict[str, Trained], class_names: Sequence[str]) -> tables.Table:
    """Lists our votes beside the authors' means and majority."""
    header = [""]
    columns = []
    for name, one in trained.items():
        header += [f"{name} train", f"{name} test"]
        columns += [one.train, one.test]
    authors = {
        "mean of votes": ("vote train", "vote test"),
        "majority": ("majority train", "majority test"),
    }
    rows = [
        [*row, *(published.CIFAR10_0V1[key].text for key in authors[row[0]])]
        if row[0] in authors
        else [*row, None, None]
        for row in zero_one_report.accuracy_rows(columns)
    ]
    seconds = [
        cell for one in trained.values() for cell in (f"{one.seconds:.0f}", None)
    ]
    return tables.Table(
        f"Accuracy on CIFAR-10, {class_names[0]} against {class_names[1]}",
        [*header, "authors train", "authors test"],
        [*rows, ["seconds to train", *seconds, None, None]],
    )


if __name__ == "__main__":
    command_line.run(main, define_flags)
