"""Launchers started in two processes, as on two hosts, against this process."""

import json
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from experiments import command_line, distributed
from experiments.command_line import UserError
from experiments.configs import attack, network_presets, zero_one
from tests.experiments import test_attack, test_train_network, test_train_zero_one
from tests.test_hosts import free_port

REPOSITORY = pathlib.Path(__file__).parents[2]


def launched(launcher, settings, folder):
    """What each of two processes printed."""
    command = [
        *(sys.executable, "-m", f"experiments.{launcher}", *settings),
        *(f"--run_dir={folder}", "--distributed", "--process_count=2"),
        f"--coordinator=localhost:{free_port()}",
    ]
    running = [
        subprocess.Popen(
            [*command, f"--process_id={number}"],
            cwd=REPOSITORY,
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    told = [process.communicate(timeout=300) for process in running]
    assert all(process.returncode == 0 for process in running), told
    return [output for output, _ in told]


@pytest.fixture(scope="module")
def trained(three_classes, tmp_path_factory):
    """A folder with the run of one process and of two, and what the two printed."""
    folder = tmp_path_factory.mktemp("distributed")
    settings = [
        "--preset=quick",
        f"--config.data.name={three_classes}",
        "--config.data.count=0",
        "--config.network=mlp_relu200",
        "--config.training.epochs=2",
        "--config.training.batch_size=15",
        "--config.objective.epsilon=0.1",
        "--config.evaluation.images=20",
    ]
    experiment = command_line.parse_settings(network_presets.PRESETS, settings)
    test_train_network.fill(folder / "one", experiment)
    return folder, launched("train_network", settings, folder / "two")


@pytest.mark.slow("starts processes")
def test_the_network_is_that_of_one_process(trained):
    folder, _ = trained
    with (
        np.load(folder / "one" / "network.npz") as one,
        np.load(folder / "two" / "network.npz") as two,
    ):
        for name in one.files:
            np.testing.assert_allclose(two[name], one[name], atol=1e-5)
    one, two = (
        json.loads((folder / name / "summary.json").read_text())
        for name in ("one", "two")
    )
    assert two["accuracy"] == one["accuracy"]


@pytest.mark.slow("starts processes")
def test_the_first_process_prints_and_writes(trained):
    folder, (first, second) = trained
    assert f"Run directory: {folder / 'two'}" in first
    # Gloo greets on every process.
    assert all(line.startswith("[Gloo]") for line in second.splitlines())
    metrics = (folder / "two" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in metrics]
    assert steps == sorted(set(steps))


@pytest.mark.slow("starts processes")
def test_hosts_share_the_images_to_attack(trained):
    folder, _ = trained
    settings = [
        "--preset=pgd",
        f"--config.model={folder / 'one'}",
        "--config.attack.epsilon=0.1",
        "--config.attack.iterations=3",
        "--config.images.count=15",
        "--config.at_a_time=4",
    ]
    experiment = command_line.parse_settings(attack.PRESETS, settings)
    test_attack.fill(folder / "attacked by one", experiment)
    launched("attack", settings, folder / "attacked by two")
    for name in ("adversaries.npz", "metrics.jsonl", "results.md"):
        one, two = (
            (folder / f"attacked by {who}" / name).read_bytes()
            for who in ("one", "two")
        )
        assert one == two, name


@pytest.mark.slow("starts processes")
def test_networks_of_coordinate_descent_are_those_of_one_process(two_classes, tmp_path):
    settings = [
        f"--config.data.name={two_classes}",
        "--config.solver.votes=3",
        "--config.solver.hidden=2",
        "--config.solver.features=10",
        "--config.solver.iterations=220",
    ]
    experiment = command_line.parse_settings(zero_one.PRESETS, settings)
    test_train_zero_one.train(tmp_path / "one", experiment)
    printed = launched("train_zero_one", settings, tmp_path / "two")
    assert f"Run directory: {tmp_path / 'two'}" in printed[0]
    test_train_zero_one.assert_same_run(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"process_id": 1}, "need --distributed"),
        ({"process_id": 1, "distributed": True}, "must all be given"),
    ],
)
def test_flags_that_do_not_go_together(given, message, monkeypatch):
    none = dict.fromkeys(["coordinator", "process_count", "process_id"])
    options = {"distributed": False, **none, "coordinator_seconds": 1, **given}
    monkeypatch.setattr(distributed.flags, "FLAGS", types.SimpleNamespace(**options))
    with pytest.raises(UserError, match=message):
        distributed.join()
