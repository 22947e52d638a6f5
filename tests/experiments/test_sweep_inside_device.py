"""A sweep inside a device, killed on the way, beside the same runs one by one."""

import dataclasses
import json
import pathlib
import time

import pytest

from experiments import sweep
from experiments.sweeps import engines, process, report
from experiments.sweeps import presets as sweeps
from experiments.sweeps.definition import Sweep, runs_of
from experiments.sweeps.language import choices, product
from experiments.sweeps.process import State
from tests.experiments.sweeps import small

REPOSITORY = pathlib.Path(__file__).parents[2]

pytestmark = [pytest.mark.computes, pytest.mark.slow("starts processes")]


def made(images: pathlib.Path, inside: str, rows=(0.5, 1.0)) -> Sweep:
    settings = {
        "data.name": str(images),
        "solver.votes": 2,
        "solver.hidden": 2,
        "solver.iterations": 1400,
        "solver.features": 10,
        "solver.candidates": 2,
        "solver.bins": 64,
    }
    overrides = product(
        [settings], choices("solver.rows", rows), choices("seed", range(2))
    )
    return dataclasses.replace(sweeps.smoke(), overrides=overrides, inside=inside)


def states(jobs: list[process.Job]) -> list[State]:
    return [process.state(job, is_live=False) for job in jobs]


def test_killed_and_resumed_its_table_is_that_of_separate_runs(
    two_classes, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    together = made(two_classes, "device")
    listed = runs_of(together, tmp_path)
    jobs = [run.job for run in listed]
    assert len(jobs) == 4
    assert len(sweep._commands(jobs)) == 1

    engine = engines.Local(workers=1)
    (task,) = engine.start(jobs[:1])
    # The last run's first checkpoint.
    while not list((tmp_path / jobs[3].name).glob("checkpoints/200")):
        assert not task.done()
        time.sleep(0.02)
    engine.stop()
    assert states(jobs) == [State.INTERRUPTED] * 4

    sweep.conduct("small", jobs, jobs, engines.Local(workers=1))
    assert states(jobs) == [State.FINISHED] * 4
    assert "4/4 over" in capfd.readouterr().err
    log = pathlib.Path(jobs[0].log)
    assert list(log.parent.glob("*.log")) == [log]
    assert log.read_text().count("--run=") == 8
    last = json.loads(
        (tmp_path / jobs[3].name / "sessions.jsonl").read_text().splitlines()[-1]
    )
    assert last["from_step"] > 0
    assert all(line.startswith("# finished") for line in sweep._commands(jobs))
    assert sweep.to_do(jobs, retry_failed=True) == []

    alone = runs_of(made(two_classes, "process"), tmp_path / "alone")
    small.train_here(alone)
    report.write("small", together, listed, tmp_path)
    report.write("small", together, alone, tmp_path / "alone")
    for name in ("table.json", "table.md"):
        mine = (tmp_path / name).read_bytes()
        assert mine == (tmp_path / "alone" / name).read_bytes()


def test_a_process_that_fails_fails_all_its_runs(two_classes, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    listed = runs_of(made(two_classes, "device", rows=(0.001, 1.0)), tmp_path)
    jobs = [run.job for run in listed]
    sweep.conduct("small", jobs, jobs, engines.Local(workers=1))
    assert states(jobs) == [State.FAILED] * 4
    assert "rows=0.001 leaves no row" in pathlib.Path(jobs[0].log).read_text()
    assert sweep.to_do(jobs, retry_failed=False) == []
    assert sweep.to_do(jobs, retry_failed=True) == jobs
