import dataclasses
import json
import sys

import pytest

from experiments import train_zero_one_grid
from experiments.command_line import UserError
from experiments.sweeps import presets as sweeps
from experiments.sweeps.definition import Sweep, runs_of
from experiments.sweeps.language import chain, choices, product
from tests.experiments.sweeps import tiny
from zeroone_jax.runs import DamagedError, to_json


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    tiny.install(tmp_path, monkeypatch)


def test_each_run_has_a_command_and_a_directory(tmp_path):
    runs = runs_of(tiny.sweep(), tmp_path / "sweep", data_dir="data")
    assert len(runs) == 6
    last = runs[-1]
    assert last.job.name == "size=2.0,seed=2"
    assert last.job.command == (
        sys.executable,
        "-m",
        "tiny_launcher",
        "--preset=plain",
        "--config.size=2.0",
        "--config.seed=2",
        f"--run_dir={tmp_path}/sweep/size=2.0,seed=2",
        "--resume",
        "--data_dir=data",
    )
    assert last.settings == {"size": 2.0, "seed": 2}
    assert last.config == {"type": "tiny", "size": 2.0, "name": "plain", "seed": 2}
    assert last.help["size"] == "how large, in metres."


def test_names_say_what_is_special_about_a_run(tmp_path):
    overrides = chain(choices("size", [3]), choices("seed", [7]))
    runs = runs_of(tiny.sweep(overrides), tmp_path)
    assert [run.job.name for run in runs] == ["size=3", "seed=7"]
    # Where a run does not say, it has the preset's value.
    assert [run.settings["size"] for run in runs] == [3.0, 1.0]
    constant = product([{"name": "x"}], choices("seed", [1, 2]))
    assert [run.job.name for run in runs_of(tiny.sweep(constant), tmp_path)] == [
        "seed=1",
        "seed=2",
    ]


@pytest.mark.parametrize("name", sweeps.SWEEPS)
def test_the_sweeps_of_the_configs_are_sound(name, tmp_path):
    make = sweeps.SWEEPS[name]
    runs = runs_of(make(), tmp_path)
    assert len(runs) > 1
    assert "osts" in make.__doc__
    if name == "smoke":
        assert len(runs) == 12


def test_tuples_and_none_are_read_as_they_were_meant(tmp_path):
    overrides = [{"data.classes": (), "solver.hidden_steps": (0.17,)}]
    sweep = dataclasses.replace(sweeps.smoke(), overrides=overrides)
    config = runs_of(sweep, tmp_path)[0].config
    assert config["data"]["classes"] == []
    assert config["solver"]["hidden_steps"] == [0.17]
    attack = Sweep(
        "experiments.attack",
        "hop_skip_jump",
        choices("attack.max_queries", [None, 100]),
        {},
    )
    runs = runs_of(attack, tmp_path)
    assert [run.config["attack"]["max_queries"] for run in runs] == [None, 100]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "empty"),
        (choices("sise", [1]), r"config\.sise.*Did you mean: config\.size"),
        (choices("size", ["big"]), "big"),
        (choices("seed", [0.5]), r"'seed': 0\.5.*'0\.5' is not one of: a whole number"),
        (choices("name", [3]), "name is 3, a int, but the setting is a str"),
        (choices("size", [-1.0]), "must not be negative"),
        ([{"seed": 1}, {"seed": 1}], "Two runs would fill one directory"),
        (choices("name", ["a/b", "a_b"]), "would fill one directory.*name=a_b"),
        ([*choices("size", [2, 2.5]), {"size": 2.0}], "the same settings: size=2 and"),
    ],
)
def test_mistakes_are_told_before_anything_runs(overrides, message, tmp_path):
    with pytest.raises(UserError, match=f"(?s){message}"):
        runs_of(tiny.sweep(overrides), tmp_path)


def test_unknown_launchers_and_presets(tmp_path):
    with pytest.raises(UserError, match=r"one of <plain>"):
        runs_of(tiny.sweep(preset="fancy"), tmp_path)
    with pytest.raises(UserError, match=r"experiments\.train_zero_one"):
        runs_of(dataclasses.replace(tiny.sweep(), launcher="x"), tmp_path)


def inside_a_device(overrides) -> Sweep:
    return dataclasses.replace(sweeps.smoke(), overrides=overrides, inside="device")


def test_runs_inside_a_device_share_a_process_where_they_can(tmp_path):
    sweep = inside_a_device(
        product(
            choices("solver.votes", [1, 2]),
            choices("solver.rows", [0.5, 1.0]),
            choices("solver.hidden_steps", [(0.1, 0.2), (0.3, 0.05)]),
            choices("seed", [0, 1]),
        )
    )
    runs = runs_of(sweep, tmp_path / "a folder", data_dir="data")
    assert len(runs) == 16
    commands = {run.job.command for run in runs}
    assert len(commands) == 2
    for run in runs:
        job = run.job
        _, _, launcher, *words, data_dir = job.command
        assert launcher == "experiments.train_zero_one_grid"
        assert data_dir == "--data_dir=data"
        assert all(word.startswith("--run=") for word in words)
        members = train_zero_one_grid.members(
            [word.removeprefix("--run=") for word in words]
        )
        assert len(members) == 8
        member = members[tmp_path / "a folder" / job.name]
        assert to_json(member) == run.config
        # The first one's.
        first = next(other for other in runs if other.job.command == job.command)
        assert job.log == f"{tmp_path}/a folder/logs/{first.job.name}.log"
        assert job.run_dir == f"{tmp_path}/a folder/{job.name}"


@pytest.mark.parametrize(("noise", "processes"), [(0.0, 1), (0.1, 3)])
def test_noise_is_of_the_seed_and_so_is_the_data(noise, processes, tmp_path):
    sweep = inside_a_device(
        product(
            [{"data.noise": noise}],
            choices("solver.rows", [0.5, 1.0]),
            choices("seed", range(3)),
        )
    )
    assert len({run.job.command for run in runs_of(sweep, tmp_path)}) == processes


def test_what_cannot_be_inside_a_device_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"tiny_launcher cannot.*experiments\.train_z"):
        runs_of(dataclasses.replace(tiny.sweep(), inside="device"), tmp_path)
    with pytest.raises(UserError, match="inside='gpu' is not one of: process, device"):
        runs_of(dataclasses.replace(tiny.sweep(), inside="gpu"), tmp_path)


def test_a_directory_of_another_sweep_is_not_taken(tmp_path):
    there = tmp_path / "seed=0"
    there.mkdir()
    settings = {"size": 1.0, "name": "plain", "seed": 0}
    sweep = tiny.sweep(choices("seed", [0, 1]))
    (there / "config.json").write_text(json.dumps(settings))
    runs_of(sweep, tmp_path)
    (there / "config.json").write_text(json.dumps({**settings, "name": "fancy"}))
    with pytest.raises(UserError, match="name is 'fancy' there, 'plain' here"):
        runs_of(sweep, tmp_path)


def test_damaged_settings_are_named_with_a_remedy(tmp_path):
    sweep = tiny.sweep()
    path = tmp_path / runs_of(sweep, tmp_path)[0].job.name / "config.json"
    path.parent.mkdir()
    path.write_text("")
    with pytest.raises(DamagedError, match=r"config\.json is damaged .*: choose"):
        runs_of(sweep, tmp_path)
