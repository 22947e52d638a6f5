import dataclasses
import json
import pathlib
import types

import jax
import numpy as np
import pytest

from experiments import run_directory, train_zero_one, train_zero_one_grid
from experiments.command_line import UserError
from experiments.configs.zero_one import Data, Experiment
from zeroone_jax import coordinate_descent, runs
from zeroone_jax.models import zero_one

SMALL = coordinate_descent.Config(
    votes=2, hidden=2, iterations=500, features=10, candidates=2, bins=64
)
TUNINGS = (
    {"rows": 0.5},
    {"rows": 1.0, "hidden_steps": (0.3, 0.1)},
    {"output_step": 0.4},
)


class Killed(BaseException):
    """Stands for a kill: nothing after it happens."""


@pytest.fixture(scope="module")
def experiments(two_classes: pathlib.Path) -> list[Experiment]:
    return [
        Experiment(
            Data(str(two_classes), classes=(0, 1)),
            dataclasses.replace(SMALL, **tuning),
            seed,
        )
        for seed, tuning in enumerate(TUNINGS)
    ]


@pytest.fixture(scope="module")
def separate(experiments, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of runs made one by one."""
    folder = tmp_path_factory.mktemp("separate")
    for experiment in experiments:
        path = folder / str(experiment.seed)
        settings = runs.to_json(experiment)
        with run_directory.opened_at(path, settings, resume=False) as run:
            train_zero_one.train(experiment, run, checkpoint_every=200)
    return folder


def train(experiments: list[Experiment], folder: pathlib.Path) -> None:
    by_path = {folder / str(each.seed): each for each in experiments}
    train_zero_one_grid.train(by_path, checkpoint_every=200)


def assert_same_runs(folder: pathlib.Path, expected: pathlib.Path) -> None:
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        mine, other = folder / name, expected / name
        assert {entry.name for entry in mine.iterdir()} == {
            entry.name for entry in other.iterdir()
        }
        for one, two in zip(
            jax.tree.leaves(zero_one.load(mine / "networks.npz")),
            jax.tree.leaves(zero_one.load(other / "networks.npz")),
            strict=True,
        ):
            np.testing.assert_array_equal(one, two)
        for file in ("metrics.jsonl", "accuracy.md", "config.json"):
            assert (mine / file).read_bytes() == (other / file).read_bytes()
        one, two = (
            json.loads((path / "summary.json").read_text()) for path in (mine, other)
        )
        for field in ("config", "accuracy", "margins"):
            assert one[field] == two[field]
        assert one.keys() == two.keys()


@pytest.mark.slow("trains networks")
def test_directories_are_those_of_separate_runs(experiments, separate, tmp_path):
    train(experiments, tmp_path)
    assert_same_runs(tmp_path, separate)


@pytest.mark.slow("trains networks")
def test_every_directory_keeps_the_radii_of_sensible_training(
    experiments, separate, tmp_path
):
    reference = str(separate / "0")
    sensible = [
        dataclasses.replace(
            one,
            solver=dataclasses.replace(one.solver, epsilon=0.1, iterations=50),
            reference=reference,
        )
        for one in experiments
    ]
    train(sensible, tmp_path)
    first, *others = (tmp_path / str(one.seed) / "radii.npz" for one in sensible)
    assert all(other.read_bytes() == first.read_bytes() for other in others)


@pytest.mark.slow("trains networks")
def test_killed_between_two_runs_checkpoints_all_resume(
    experiments, separate, tmp_path, monkeypatch
):
    saves = []
    save = runs.RunDirectory.save

    def kill(run: runs.RunDirectory, step: int, state: object) -> None:
        if len(saves) == 4:
            raise Killed
        saves.append((run.path.name, step))
        save(run, step, state)

    with monkeypatch.context() as patched:
        patched.setattr(runs.RunDirectory, "save", kill)
        with pytest.raises(Killed):
            train(experiments, tmp_path)
    assert saves == [("0", 200), ("1", 200), ("2", 200), ("0", 400)]
    train(experiments, tmp_path)
    assert_same_runs(tmp_path, separate)
    sessions = (tmp_path / "1" / "sessions.jsonl").read_text().splitlines()
    assert [json.loads(line)["from_step"] for line in sessions] == [0, 200]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "at least one"),
        (["a --config.seed=1", "a"], "its own directory"),
        (["--config.seed=1"], "begins with no run directory"),
        ([""], "begins with no run directory"),
        (["a --config.sede=1"], "config.sede"),
        (["a", "b --config.solver.votes=3"], "cannot share a program"),
        (["a", "b --config.solver.hidden_steps=0.1"], "equally many"),
    ],
)
def test_mistakes_are_told(texts, message):
    with pytest.raises(UserError, match=message):
        train_zero_one_grid.members(texts)


def test_a_data_set_that_does_not_go_with_a_run_is_the_users_error(
    experiments, tmp_path
):
    first, second, _ = experiments
    solver = dataclasses.replace(second.solver, rows=0.001)
    with pytest.raises(UserError, match=r"rows=0\.001 leaves no row"):
        train([first, dataclasses.replace(second, solver=solver)], tmp_path)


def test_a_damaged_summary_is_not_an_end(tmp_path, monkeypatch):
    (tmp_path / "summary.json").write_text("")
    options = types.SimpleNamespace(run=[])
    monkeypatch.setattr(train_zero_one_grid, "members", lambda _: {tmp_path: None})
    monkeypatch.setattr(train_zero_one_grid.flags, "FLAGS", options)
    with pytest.raises(runs.DamagedError, match=r"summary\.json is damaged .*: remove"):
        train_zero_one_grid.main(None)
