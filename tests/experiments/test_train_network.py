import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from experiments import command_line, network_evaluation, train_network
from experiments.command_line import UserError
from experiments.configs import network_presets
from experiments.configs.network import Data, Evaluation, Experiment
from zeroone_jax import data, runs, training
from zeroone_jax.models import network as networks
from zeroone_jax.training import objectives

REPOSITORY = pathlib.Path(__file__).parents[2]


class Killed(BaseException):
    """Stands for a kill: nothing after it happens."""


def opened(path, experiment, resume=False):
    settings = runs.to_json(experiment)
    return runs.RunDirectory(path, settings, resume=resume, revision="abc")


def fill(path, experiment, resume=False):
    with opened(path, experiment, resume) as run:
        train_network.fill(experiment, run)


def assert_same_run(path, expected):
    with (
        np.load(path / "network.npz") as mine,
        np.load(expected / "network.npz") as theirs,
    ):
        assert set(mine.files) == set(theirs.files)
        for name in mine.files:
            np.testing.assert_array_equal(mine[name], theirs[name])
    for name in ("accuracy.md", "config.json"):
        assert (path / name).read_bytes() == (expected / name).read_bytes()
    assert metrics_of(path) == metrics_of(expected)


def metrics_of(path):
    """All but the time that it took."""
    lines = (path / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert all(record.pop("seconds") >= 0 for record in records)
    return records


@pytest.fixture(scope="module")
def experiment(three_classes):
    return Experiment(
        data=Data(str(three_classes), classes=(2, 0, 1)),
        network="mlp_relu200",
        objective=objectives.instance_adaptive(
            epsilon=0.1, step_size=0.05, steps=2, radius_step=0.02, warm_up=1
        ),
        training=training.Config(
            epochs=3,
            batch_size=20,
            optimizer=training.Sgd(learning_rate=0.05, milestones=(2,)),
            average=0.5,
            segment=2,
        ),
        evaluation=Evaluation(plan="quick", epsilon=0.1, images=20),
    )


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "finished"
    fill(path, experiment)
    return path


@pytest.mark.slow("trains a network")
def test_a_run_directory_holds_everything(experiment, finished):
    names = {entry.name for entry in finished.iterdir()}
    assert names >= {
        "accuracy.md",
        "checkpoints",
        "config.json",
        "curves.png",
        "evaluation",
        "metrics.jsonl",
        "network.npz",
        "sessions.jsonl",
        "summary.json",
    }
    lines = (finished / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in lines]
    assert [record["step"] for record in metrics] == [2, 3, 5, 6, 8, 9]
    assert ["test_accuracy" in record for record in metrics] == 3 * [False, True]
    assert all({"loss", "accuracy", "radius", "epoch"} <= set(r) for r in metrics)
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["accuracy"]["test"] == metrics[-1]["test_accuracy"]
    spent = sum(record["seconds"] for record in metrics)
    assert 0 < summary["training_seconds"] <= summary["seconds"]
    assert summary["training_seconds"] == pytest.approx(spent, abs=0.06)
    assert summary["epochs"] == network_evaluation.course(metrics)
    assert [row["attack"] for row in summary["rows"]] == [
        "fgsm",
        "pgd_20",
        "apgd",
        "paper's own",
        "strongest",
    ]


@pytest.mark.slow("trains a network")
def test_it_looks_and_saves_every_so_many_epochs_and_at_the_end(
    experiment, finished, tmp_path
):
    with opened(tmp_path / "run", experiment) as run:
        train_network.trained(experiment, run, checkpoint_every=2)
        looks = [
            record["step"] for record in run.metrics() if "test_accuracy" in record
        ]
        saves = sorted(
            int(folder.name) for folder in (run.path / "checkpoints").glob("[0-9]*")
        )
    assert looks == saves == [6, 9]
    with (
        np.load(run.path / "network.npz") as mine,
        np.load(finished / "network.npz") as other,
    ):
        for name in other.files:
            np.testing.assert_array_equal(mine[name], other[name])


@pytest.mark.slow("trains a network")
def test_what_is_saved_is_what_was_attacked(experiment, finished):
    split, test = (
        data.load(experiment.data.name, name, classes=(2, 0, 1))
        for name in ("train", "test")
    )
    network = train_network.build(experiment, split)
    variables = networks.load(finished / "network.npz", network)
    x, y = network_evaluation.test_images(test)
    labels = np.asarray(network.apply(variables, x)).argmax(1)
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["accuracy"]["test"] == pytest.approx((labels == y).mean())
    train_x, train_y = network_evaluation.test_images(split)
    guesses = np.asarray(network.apply(variables, train_x)).argmax(1)
    assert summary["accuracy"]["train"] == pytest.approx((guesses == train_y).mean())
    fgsm = json.loads((finished / "evaluation" / "fgsm.json").read_text())
    assert fgsm["wrong"] == np.flatnonzero(labels != y).tolist()


@pytest.mark.parametrize("moment", ["training", "an attack", "the summary"])
@pytest.mark.slow("trains a network")
def test_killed_at_a_moment_it_resumes_to_the_same(
    experiment, finished, tmp_path, monkeypatch, moment
):
    def kill(*arguments, **settings):
        raise Killed

    steps = iter([None, None, None, None])

    def kill_later(*arguments, **settings):
        if next(steps, moment) == moment:
            raise Killed
        return watched(*arguments, **settings)

    watched = network_evaluation.watched
    with monkeypatch.context() as patch:
        if moment == "training":
            steps = iter([None])
            patch.setattr(network_evaluation, "watched", kill_later)
        elif moment == "an attack":
            patch.setattr(network_evaluation.robust_accuracy, "as_json", kill)
        else:
            patch.setattr(runs.RunDirectory, "finish", kill)
        with pytest.raises(Killed):
            fill(tmp_path, experiment)
    fill(tmp_path, experiment, resume=True)
    assert_same_run(tmp_path, finished)


@pytest.mark.computes
@pytest.mark.slow("starts processes")
def test_sigkill_resumes_to_the_same(three_classes, tmp_path):
    settings = [
        "--preset=mnist_natural",
        f"--config.data.name={three_classes}",
        "--config.network=mlp_sigmoid20",
        "--config.training.batch_size=10",
        "--config.training.epochs=40",
        "--config.training.optimizer.milestones=()",
        "--config.evaluation.plan=quick",
        "--config.evaluation.images=20",
    ]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}

    command = [sys.executable, "-m", "experiments.train_network", *settings]

    def run(*words):
        return subprocess.Popen(
            [*command, f"--run_dir={tmp_path / 'killed'}", *words],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    process = run()
    deadline = time.monotonic() + 300
    while not list((tmp_path / "killed" / "checkpoints").glob("[0-9]*")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[0].decode()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "summary.json").exists()
    resumed = run("--resume")
    output = resumed.communicate()[0].decode()
    assert resumed.returncode == 0, output
    assert "strongest" in output
    experiment = command_line.parse_settings(network_presets.PRESETS, settings)
    fill(tmp_path / "whole", experiment)
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_divergence_names_the_last_checkpoint(experiment, tmp_path):
    optimizer = training.Sgd(learning_rate=1e38, momentum=0.0)
    config = dataclasses.replace(experiment.training, optimizer=optimizer)
    hot = dataclasses.replace(
        experiment, training=config, objective=objectives.natural()
    )
    with pytest.raises(UserError, match=r"the loss is \w+ at step \d; no checkpoint"):
        fill(tmp_path, hot)


def test_other_settings_are_refused_and_nothing_is_overwritten(
    experiment, finished, tmp_path
):
    before = (finished / "network.npz").read_bytes()
    changed = dataclasses.replace(experiment, seed=5)
    with pytest.raises(runs.RunError, match="seed"):
        opened(finished, changed, resume=True)
    assert (finished / "network.npz").read_bytes() == before


def test_devices_that_are_not_there_are_refused():
    count = len(jax.devices())
    with pytest.raises(UserError, match=f"there are {count} of them"):
        train_network._devices(count + 1)
    assert train_network._devices(2) == jax.devices()[:2]
    assert train_network._devices(None) == jax.devices()[:1]


def test_the_course_is_the_mean_over_updates_and_what_an_epochs_end_saw():
    metrics = [
        {"step": 3, "epoch": 0.75, "seconds": 1.0, "loss": 2.0},
        {"step": 4, "epoch": 1.0, "seconds": 1.0, "loss": 6.0, "test_accuracy": 0.5},
        {"step": 8, "epoch": 2.0, "seconds": 1.0, "loss": 1.0, "test_accuracy": 0.7},
    ]
    assert network_evaluation.course(metrics) == [
        {"epoch": 1, "loss": 3.0, "test_accuracy": 0.5},
        {"epoch": 2, "loss": 1.0, "test_accuracy": 0.7},
    ]


@pytest.mark.parametrize("name", network_presets.PRESETS)
def test_presets_are_documented_and_can_be_stored(name):
    preset = network_presets.PRESETS[name]
    assert preset.__doc__
    experiment = preset()
    stored = json.loads(json.dumps(runs.to_json(experiment)))
    assert runs.from_json(stored) == experiment
    network_evaluation.plan(experiment.evaluation, 10_000)


def test_plans_follow_their_settings():
    plan = network_evaluation.plan(
        Evaluation(plan="standard", epsilon=0.1, images=500, suite_images=50), 400
    )
    assert [(planned.name, planned.first) for planned in plan.stages] == [
        ("pgd_40_worst_of_3", 400),
        ("auto_attack", 50),
    ]
    thorough = Evaluation(plan="thorough", epsilon=8 / 255)
    stages = network_evaluation.plan(thorough, 10_000).stages
    assert [(stage.name, stage.first) for stage in stages] == [
        ("pgd_40_worst_of_5", 10_000),
        ("ray_s", 200),
        ("auto_attack", 1000),
    ]
    assert stages[0].attack.step_size == 2 / 255
    for epsilon, step in ((8 / 255, 2 / 255), (0.3, 0.01)):
        standard = network_evaluation.plan(Evaluation("standard", epsilon), 10_000)
        assert standard.stages[0].attack.step_size == pytest.approx(step)
    without = Evaluation(plan="paper", epsilon=8 / 255, suite_images=0)
    names = [
        planned.name for planned in network_evaluation.plan(without, 10_000).stages
    ]
    assert "auto_attack" not in names
    assert "spsa" in names
    with pytest.raises(ValueError, match="suite_images is -1"):
        Evaluation(suite_images=-1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Data(noise=-0.1), "noise is -0.1, but must not be negative"),
        (lambda: Data(noise=float("nan")), "noise is nan, but must not be negative"),
        (lambda: Data(count=-5), "count is -5, but must not be negative"),
        (lambda: Evaluation(epsilon=8), "epsilon is 8, but must be at most 1 in linf"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow("trains an ensemble")
def test_votes_are_attacked_along_slopes_of_probabilities(experiment, tmp_path):
    votes = dataclasses.replace(
        experiment,
        objective=objectives.natural(),
        members=3,
        combine="votes",
        evaluation=Evaluation(plan="quick", epsilon=0.3, images=30),
    )
    fill(tmp_path, votes)
    found = json.loads((tmp_path / "summary.json").read_text())
    left = {row["attack"]: row["accuracy"] for row in found["rows"]}
    # Without slopes PGD would find what random starts find.
    assert left["pgd_20"] < 0.5 * found["accuracy"]["test"]


def test_many_hosts_take_all_devices(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert train_network._devices(None) == jax.devices()
    with pytest.raises(UserError, match="does not go with --distributed"):
        train_network._devices(1)
