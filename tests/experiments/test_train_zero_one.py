import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
import pytest
from absl import flags
from PIL import Image

from experiments import command_line, train_zero_one, zero_one_report
from experiments.command_line import UserError
from experiments.configs.zero_one import PRESETS, Data, Experiment
from zeroone_jax import coordinate_descent, runs, verification
from zeroone_jax.models import zero_one

REPOSITORY = pathlib.Path(__file__).parents[2]
SMALL = coordinate_descent.Config(
    votes=2, hidden=2, iterations=500, features=10, candidates=2, bins=64
)


class Killed(BaseException):
    """Stands for a kill: nothing after it happens."""


def opened(
    path: pathlib.Path, experiment: Experiment, resume: bool = False
) -> runs.RunDirectory:
    return runs.RunDirectory(
        path, runs.to_json(experiment), resume=resume, revision="abc"
    )


def train(path: pathlib.Path, experiment: Experiment, resume: bool = False) -> None:
    with opened(path, experiment, resume) as run:
        train_zero_one.train(experiment, run, checkpoint_every=200)


def assert_same_run(path: pathlib.Path, expected: pathlib.Path) -> None:
    params, other = (zero_one.load(run / "networks.npz") for run in (path, expected))
    for mine, theirs in zip(
        jax.tree.leaves(params), jax.tree.leaves(other), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    for name in ("metrics.jsonl", "accuracy.md", "config.json"):
        assert (path / name).read_bytes() == (expected / name).read_bytes()


@pytest.fixture(scope="module")
def experiment(two_classes: pathlib.Path) -> Experiment:
    return Experiment(data=Data(str(two_classes), classes=(0, 1)), solver=SMALL)


@pytest.fixture(scope="module")
def finished(
    experiment: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    path = tmp_path_factory.mktemp("runs") / "finished"
    train(path, experiment)
    return path


@pytest.mark.slow("trains networks")
def test_a_run_directory_holds_everything(experiment, finished):
    names = {entry.name for entry in finished.iterdir()}
    assert names >= {
        "accuracy.md",
        "checkpoints",
        "config.json",
        "curves.png",
        "hidden_units.png",
        "metrics.jsonl",
        "networks.npz",
        "sessions.jsonl",
        "summary.json",
    }
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["config"] == json.loads((finished / "config.json").read_text())
    assert summary["config"]["solver"]["votes"] == 2
    assert summary["sessions"][0]["revision"] == "abc"
    assert len(summary["accuracy"]["test"]["votes"]) == 2
    assert summary["accuracy"]["train"]["majority"] > 0.7
    assert summary["margins"]["train"]["output"] > 0
    text = (finished / "accuracy.md").read_text()
    assert "| majority " in text
    assert "Margins" in text
    for name in ("curves.png", "hidden_units.png"):
        with Image.open(finished / name) as image:
            image.verify()


@pytest.mark.slow("trains networks")
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_sensible_training_takes_its_radii_from_a_reference(
    experiment, finished, two_classes, tmp_path, norm
):
    sensible = dataclasses.replace(
        experiment,
        solver=dataclasses.replace(SMALL, epsilon=0.2, ball=norm, iterations=200),
        reference=str(finished),
        share=0.5,
    )
    train(tmp_path / "sensible", sensible)
    with np.load(two_classes) as arrays:
        x = (arrays["images"].reshape(60, -1) / np.float32(255)).astype(np.float32)
        y = arrays["labels"].astype(np.int32)
    radii = coordinate_descent.sensible_radii(
        tmp_path / "radii.npz",
        zero_one.load(finished / "networks.npz"),
        x,
        y,
        share=0.5,
        config=verification.Config(norm=norm, joint=False, box=False, seconds=10.0),
    )
    expected = coordinate_descent.fit(
        jax.random.key(0), x, y, sensible.solver, radii=radii
    )
    found = zero_one.load(tmp_path / "sensible" / "networks.npz")
    np.testing.assert_array_equal(found.w1, expected.params.w1)
    assert (tmp_path / "sensible" / "radii.npz").exists()

    of_others = dataclasses.replace(sensible, data=Data(str(two_classes), (1, 0)))
    with pytest.raises(UserError, match="a reference must be of the same data"):
        train(tmp_path / "others", of_others)
    few = dataclasses.replace(sensible.solver, rows=1e-4)
    with pytest.raises(UserError, match=r"rows=0\.0001 leaves no row of class"):
        train(tmp_path / "few", dataclasses.replace(sensible, solver=few))
    # It was refused before the reference was measured.
    assert not (tmp_path / "few" / "radii.npz").exists()
    nowhere = dataclasses.replace(sensible, reference=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="There is no model at"):
        train(tmp_path / "none", nowhere)


def test_a_reference_needs_the_certified_loss(experiment):
    with pytest.raises(ValueError, match=r"solver\.epsilon > 0"):
        dataclasses.replace(experiment, reference="runs/some")
    with pytest.raises(ValueError, match="share is 0"):
        dataclasses.replace(experiment, share=0.0)


@pytest.mark.slow("trains networks")
def test_the_networks_are_those_of_the_library(experiment, finished, two_classes):
    with np.load(two_classes) as arrays:
        x = (arrays["images"].reshape(60, -1) / np.float32(255)).astype(np.float32)
        y = arrays["labels"].astype(np.int32)
    params = coordinate_descent.fit(jax.random.key(0), x, y, SMALL).params
    for mine, theirs in zip(
        jax.tree.leaves(zero_one.load(finished / "networks.npz")),
        jax.tree.leaves(params),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)
    summary = json.loads((finished / "summary.json").read_text())
    majority = np.mean(np.asarray(zero_one.predict(params, x)) == y)
    assert summary["accuracy"]["train"]["majority"] == majority


def before(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Kills at the second checkpoint, or where something else first begins."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        owner, attribute = {
            "a checkpoint": (runs.RunDirectory, "save"),
            "networks": (zero_one, "save"),
            "the report": (zero_one_report, "write"),
            "the summary": (runs.RunDirectory, "finish"),
        }[name]
        original = getattr(owner, attribute)

        def kill(*arguments: object, **options: object) -> object:
            if name == "a checkpoint" and arguments[1] == 200:
                return original(*arguments, **options)
            raise Killed

        monkeypatch.setattr(owner, attribute, kill)

    return patch


@pytest.mark.parametrize(
    "moment", ["a checkpoint", "networks", "the report", "the summary"]
)
@pytest.mark.slow("runs a launcher")
def test_killed_at_a_moment_it_resumes_to_the_same(
    experiment, finished, tmp_path, monkeypatch, moment
):
    with monkeypatch.context() as patched:
        before(moment)(patched)
        with pytest.raises(Killed):
            train(tmp_path, experiment)
    assert not (tmp_path / "summary.json").exists()
    train(tmp_path, experiment, resume=True)
    assert_same_run(tmp_path, finished)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert len(summary["sessions"]) == 2


def command(two_classes: pathlib.Path, path: pathlib.Path, *words: str) -> list[str]:
    solver = {"votes": 2, "hidden": 2, "features": 10, "candidates": 2, "bins": 64}
    fields = [f"--config.solver.{name}={value}" for name, value in solver.items()]
    program = [sys.executable, "-m", "experiments.train_zero_one"]
    name = f"--config.data.name={two_classes}"
    return [*program, f"--run_dir={path}", name, *fields, *words]


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)


@pytest.mark.slow("starts processes")
def test_sigkill_resumes_to_the_same(experiment, two_classes, tmp_path):
    longer = dataclasses.replace(SMALL, iterations=1400)
    train(tmp_path / "whole", dataclasses.replace(experiment, solver=longer))
    path = tmp_path / "killed"
    words = command(two_classes, path, "--config.solver.iterations=1400", "--resume")
    with subprocess.Popen(
        words, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        # A checkpoint that is not whole yet has a longer name.
        while process.poll() is None and not any(
            saved.name.isdigit() for saved in path.glob("checkpoints/*")
        ):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not (path / "summary.json").exists()
    done = call(*words)
    assert done.returncode == 0, done.stderr
    assert "majority" in done.stdout
    assert_same_run(path, tmp_path / "whole")
    lines = (path / "sessions.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[-1])["from_step"] > 0


@pytest.mark.slow("starts processes")
def test_a_finished_run_is_only_shown(two_classes, finished):
    words = command(two_classes, finished, "--config.solver.iterations=500")
    before_this = (finished / "metrics.jsonl").stat().st_mtime_ns
    done = call(*words, "--resume")
    assert done.returncode == 0, done.stderr
    assert (finished / "accuracy.md").read_text() in done.stdout
    assert (finished / "metrics.jsonl").stat().st_mtime_ns == before_this


@pytest.mark.slow("starts processes")
def test_other_settings_are_refused(two_classes, finished):
    words = command(two_classes, finished, "--config.solver.iterations=600")
    done = call(*words, "--resume")
    assert done.returncode == 1
    assert "solver.iterations is 500 there, 600 here" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_is_not_made_again(experiment, finished):
    with pytest.raises(runs.RunError, match="holds a run already"):
        opened(finished, experiment)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--config.solver.rows=2", r"rows=2.0: must be in \(0, 1\]"),
        ("--config.solver.votse=3", r"config\.solver\.votes"),
    ],
)
def test_a_mistake_in_settings(word, message):
    with pytest.raises(UserError, match=message):
        command_line.parse_settings(PRESETS, [word])


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize(
    ("word", "message"),
    [("--config.solver.features=1000", "features"), ("--run-dir=x", "run-dir")],
)
def test_mistakes_are_told_without_a_traceback(two_classes, tmp_path, word, message):
    done = call(*command(two_classes, tmp_path / "run", word))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    # Nothing stands in the way of the same command put right.
    if (tmp_path / "run").exists():
        opened(tmp_path / "run", Experiment()).close()


def test_help_is_worth_reading():
    values = flags.FlagValues()
    command_line.define_settings(PRESETS, ["train_zero_one"], values)
    told = values.get_help()
    assert "paper_100_votes:" in told
    described = told.partition("--config.solver.votes: ")[2]
    assert "(default: '8')" in described.partition("--config")[0]


@pytest.mark.slow("runs a launcher")
def test_one_vs_all_with_noise(three_classes, tmp_path):
    data = Data(str(three_classes), classes=(), noise=0.1)
    solver = dataclasses.replace(SMALL, hidden=0, iterations=30)
    train(tmp_path, Experiment(data=data, solver=solver))
    params = zero_one.load(tmp_path / "networks.npz")
    assert params.w1.shape == (3, 2, 1, 48)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert len(summary["accuracy"]["test"]["votes"]) == 2
    # Accuracy is of the images, not of their noisy copies.
    with np.load(three_classes) as arrays:
        x = (arrays["images"].reshape(-1, 48) / np.float32(255)).astype(np.float32)
        y = arrays["labels"]
    right = np.mean(np.asarray(zero_one.Vote.flat(params).labels(x)) == y)
    assert summary["accuracy"]["train"]["majority"] == pytest.approx(right)
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 30
    assert len(last["pocket_accuracy"]) == 6


def test_a_missing_data_set_is_the_users_error(two_classes, tmp_path):
    with pytest.raises(UserError, match=r"missing\.npz"):
        train(tmp_path, Experiment(data=Data("missing.npz")))
    with pytest.raises(UserError, match="class 7"):
        train(tmp_path / "seven", Experiment(data=Data(str(two_classes), (0, 7))))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_documented_settings(name):
    assert isinstance(PRESETS[name](), Experiment)
    text = PRESETS[name].__doc__
    assert "easured" in text
    assert text.splitlines()[0].endswith(".")
