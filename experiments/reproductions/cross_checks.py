"""Paper B's two checks of trained networks: transfer between them, and masking."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from experiments import command_line, network_evaluation, pieces, train_network
from experiments.configs.network import Experiment
from experiments.reproductions import methods
from experiments.reproductions.plan import (
    NetworkRun,
    Reproduction,
    Results,
    Scale,
    write_table,
)
from zeroone_jax import attacks, data
from zeroone_jax import runs as run_files
from zeroone_jax.evaluation import (
    figures,
    gradient_masking,
    robust_figures,
    robust_tables,
    transfer,
)
from zeroone_jax.models import network as networks
from zeroone_jax.types import Array, LogitsFn

_METHODS = ("natural", "pgd", "trades", "sense_0.1", "sense_0.5", "sense_0.9")
_TRANSFER_IMAGES, _MASKING_IMAGES = 1000, 100


def runs(scale: Scale) -> list[NetworkRun]:
    """The networks that are checked: MNIST's, at the paper's scale CIFAR-10's."""
    if scale == "paper":
        return methods.comparison_runs(scale)
    return [
        run
        for run in methods.mnist_runs(scale)
        if run.method in _METHODS and run.experiment.seed == 0
    ]


def transfer_report(
    results: Results, folder: pathlib.Path, runs_dir: pathlib.Path
) -> str:
    """Makes and draws the matrix of accuracies on one another's adversaries (B5).

    Args:
        results: of the networks.
        folder: where to write transfer.json, table.md and transfer.png.
        runs_dir: where the networks' run directories lie.

    Returns:
        The table in markdown.
    """

    def made() -> dict[str, Any]:
        settings, models, (x, y) = _trained(results, runs_dir)
        epsilon = settings["evaluation"]["epsilon"]
        images = min(_TRANSFER_IMAGES, len(x))
        found = transfer.transfer(
            jax.random.key(0),
            list(models.values()),
            x[:images],
            y[:images],
            epsilon=epsilon,
            step_size=2 / 255 if epsilon < 0.1 else 0.01,
        )
        arrays = {name: array.tolist() for name, array in found._asdict().items()}
        return {"images": images, **arrays}

    value = _kept(results, folder / "transfer.json", made)
    found = transfer.Transfer(
        *(np.array(value[name]) for name in transfer.Transfer._fields)
    )
    names = list(value["runs"])
    table = robust_tables.transfers(
        f"Transfer, PGD-40, worst of 10 seeds, {value['images']} images", names, found
    )
    with run_files.replacing(folder / "transfer.png") as path:
        figure = robust_figures.transfer_matrix(found.worst, found.natural, names)
        figures.write(figure, path)
    return write_table(table, folder)


def masking_report(
    results: Results, folder: pathlib.Path, runs_dir: pathlib.Path
) -> str:
    """Records and draws PGD's loss and accuracy against its steps (B5).

    Args:
        results: of the networks.
        folder: where to write masking.json, table.md and masking.png.
        runs_dir: where the networks' run directories lie.

    Returns:
        The table in markdown.
    """

    def made() -> dict[str, Any]:
        settings, models, (x, y) = _trained(results, runs_dir)
        attack = _masking_attack(settings)
        steps = gradient_masking.looks(attack.iterations)
        images = min(_MASKING_IMAGES, len(x))
        courses = {}
        for name, model in models.items():
            course = gradient_masking.record(
                jax.random.key(0), model, x[:images], y[:images], attack, steps
            )
            courses[name] = {
                field: array.tolist() for field, array in course._asdict().items()
            }
        return {"images": images, "courses": courses}

    value = _kept(results, folder / "masking.json", made)
    courses = {
        name: gradient_masking.Masking(
            *(np.array(course[field]) for field in gradient_masking.Masking._fields)
        )
        for name, course in value["courses"].items()
    }
    table = robust_tables.masking(f"PGD's course, {value['images']} images", courses)
    with run_files.replacing(folder / "masking.png") as path:
        figures.write(robust_figures.masking(courses), path)
    return write_table(table, folder)


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


def _trained(
    results: Results, runs_dir: pathlib.Path
) -> tuple[dict[str, Any], dict[str, LogitsFn], tuple[Array, Array]]:
    """Loads the networks of the first seed of each method, and the test images.

    Returns:
        The settings of one of them, the networks by method, images and labels.

    Raises:
        command_line.UserError: a network is not there.
    """
    found = [result[0] for result in results.values()]
    wanted = found[0]["config"]["data"]
    split = data.load(wanted["name"], "test", tuple(wanted["classes"]) or None)
    models: dict[str, LogitsFn] = {}
    for result in found:
        config = result["config"]
        path = runs_dir / result["run"] / "network.npz"
        if not path.exists():
            raise command_line.UserError(
                f"{path} is not there: the result was made elsewhere. Move it away to "
                "train the network here"
            )
        network = train_network.build(run_files.from_json(config, Experiment), split)
        models[result["method"]] = network.bind(networks.load(path, network))
    return found[0]["config"], models, network_evaluation.test_images(split)


def _kept(
    results: Results, path: pathlib.Path, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Reads what was measured of these networks, or measures it."""
    trained = {method: found[0]["run"] for method, found in results.items()}
    kept = pieces.kept(path, run_files.read_json)
    if kept is not None and kept["runs"] == trained:
        return kept
    revision = run_files.git_revision(pathlib.Path(__file__))
    value = {"runs": trained, **make(), "session": run_files.session(revision)}
    run_files.write_json(path, value)
    return value


TRANSFER = Reproduction(runs, transfer_report)
MASKING = Reproduction(runs, masking_report)
