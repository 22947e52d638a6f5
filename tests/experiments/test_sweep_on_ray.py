"""Six real runs on a real cluster, beside the same runs in one process."""

import pathlib
import subprocess
import sys

import pytest

from experiments.sweeps import process, report
from experiments.sweeps.definition import runs_of
from experiments.sweeps.process import State
from tests.experiments.sweeps import small

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.mark.computes
@pytest.mark.slow("starts Ray")
def test_a_lost_node_costs_no_run(two_classes, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    folder = tmp_path / "ray"
    done = subprocess.run(
        [sys.executable, "-m", "tests.experiments.sweeps.on_ray", two_classes, folder],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A node was killed." in done.stdout
    smoke = small.smoke(str(two_classes))
    jobs = [run.job for run in runs_of(smoke, folder)]
    assert len(jobs) == 6
    assert {process.state(job, is_live=False) for job in jobs} == {State.FINISHED}
    begins = [pathlib.Path(job.log).read_text().count("--run_dir=") for job in jobs]
    assert sorted(begins) == [1] * 5 + [2]

    listed = runs_of(smoke, tmp_path / "local")
    small.train_here(listed)
    report.write("smoke", smoke, listed, tmp_path / "local")
    for name in ("table.json", "table.md"):
        mine = (folder / name).read_bytes()
        assert mine == (tmp_path / "local" / name).read_bytes()
