"""Paper B's two checks of trained networks (B5): transfer between them, and masking."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from zeroone_jax import attacks
from zeroone_jax.evaluation import (
    gradient_masking,
    robust_figures,
    robust_tables,
    tables,
    transfer,
)
from zeroone_jax.types import Array, LogitsFn

from ... import attacked_models, command_line, network_evaluation
from ...studies.study import Drawn, Row, Scale, Study, Together
from . import methods

_METHODS = ("natural", "pgd", "trades", "sense_0.1", "sense_0.5", "sense_0.9")
_TRANSFER_IMAGES, _MASKING_IMAGES = 1000, 100

_Measured = TypeVar("_Measured", transfer.Transfer, gradient_masking.Masking)


def runs(scale: Scale) -> list[methods.NetworkRun]:
    """The networks that are checked: MNIST's, at the paper's scale CIFAR-10's."""
    if scale == "paper":
        return methods.comparison_runs(scale)
    return [
        run
        for run in methods.mnist_runs(scale)
        if run.method in _METHODS and run.seed == 0
    ]


def _trained(
    rows: Sequence[Row], count: int
) -> tuple[Mapping[str, Any], dict[str, LogitsFn], tuple[Array, Array]]:
    """Loads networks, and the first test images.

    Returns:
        The settings of one of them, the networks by method, images and labels.

    Raises:
        command_line.UserError: a network is not there.
    """
    models = {}
    for row in rows:
        path = row["folder"] / "network.npz"
        if not path.exists():
            raise command_line.UserError(
                f"{path} is not there: the result was made elsewhere. Move it away to "
                "train the network here"
            )
        models[row["method"]] = attacked_models.load(str(path.parent), False)
    source = next(iter(models.values())).source
    x, y = network_evaluation.test_images(command_line.load(source, "test"))
    logits_fns = {name: model.logits_fn for name, model in models.items()}
    return rows[0]["config"], logits_fns, (x[:count], y[:count])


def _transferred(rows: Sequence[Row]) -> dict[str, Any]:
    """Makes the matrix of accuracies on one another's adversaries."""
    settings, models, (x, y) = _trained(rows, _TRANSFER_IMAGES)
    epsilon = settings["evaluation"]["epsilon"]
    step_size = 2 / 255 if epsilon < 0.1 else 0.01
    found = transfer.transfer(
        jax.random.key(0),
        list(models.values()),
        x,
        y,
        epsilon=epsilon,
        step_size=step_size,
    )
    return {"images": len(x), **_lists(found)}


def _masked(rows: Sequence[Row]) -> dict[str, Any]:
    """Records PGD's loss and accuracy against its steps."""
    settings, models, (x, y) = _trained(rows, _MASKING_IMAGES)
    attack = _masking_attack(settings)
    steps = gradient_masking.looks(attack.iterations)
    courses = {
        name: gradient_masking.record(jax.random.key(0), model, x, y, attack, steps)
        for name, model in models.items()
    }
    return {
        "images": len(x),
        "courses": {name: _lists(course) for name, course in courses.items()},
    }


def _masking_attack(settings: Mapping[str, Any]) -> attacks.pgd:
    """The paper's attack; of a smoke test, which is watched only, a short one."""
    evaluation = settings["evaluation"]
    epsilon = evaluation["epsilon"]
    if evaluation["plan"] == "quick":
        return attacks.pgd(
            epsilon=epsilon,
            iterations=20,
            restarts=2,
            fit_box=False,
            loss="cross_entropy",
        )
    if settings["data"]["name"] == "mnist":
        return gradient_masking.mnist(epsilon)
    return gradient_masking.cifar10(epsilon)


def _lists(found: _Measured) -> dict[str, Any]:
    return {name: array.tolist() for name, array in found._asdict().items()}


def _read(kind: type[_Measured], kept: Mapping[str, Any]) -> _Measured:
    return kind(*(np.array(kept[name]) for name in kind._fields))


def _transfer_table(rows: Sequence[Row]) -> list[tables.Table]:
    (row,) = rows
    title = f"Transfer, PGD-40, worst of 10 seeds, {row['images']} images"
    found = _read(transfer.Transfer, row)
    return [robust_tables.transfers(title, list(row["runs"]), found)]


def _transfer_figure(rows: Sequence[Row]) -> Drawn:
    (row,) = rows
    found = _read(transfer.Transfer, row)
    return robust_figures.transfer_matrix(found.worst, found.natural, list(row["runs"]))


def _courses(row: Row) -> dict[str, gradient_masking.Masking]:
    return {
        name: _read(gradient_masking.Masking, course)
        for name, course in row["courses"].items()
    }


def _masking_table(rows: Sequence[Row]) -> list[tables.Table]:
    (row,) = rows
    title = f"PGD's course, {row['images']} images"
    return [robust_tables.masking(title, _courses(row))]


def _masking_figure(rows: Sequence[Row]) -> Drawn:
    (row,) = rows
    return robust_figures.masking(_courses(row))


TRANSFER = Study(
    runs=runs,
    together=Together("transfer.json", _transferred),
    tables={"table.md": _transfer_table},
    figures={"transfer.png": _transfer_figure},
)
MASKING = Study(
    runs=runs,
    together=Together("masking.json", _masked),
    tables={"table.md": _masking_table},
    figures={"masking.png": _masking_figure},
)
