import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from experiments import sweep
from experiments.command_line import UserError
from experiments.sweeps import engines, process, report
from experiments.sweeps.definition import runs_of
from experiments.sweeps.language import choices, product
from experiments.sweeps.process import State
from tests.experiments.sweeps import tiny

REPOSITORY = pathlib.Path(__file__).parents[2]

# What stands for `python -m experiments.sweep`, with sweeps of the tests beside others.
SCRIPT = """
import signal
from experiments import command_line, sweep
from experiments.sweeps import presets as sweeps
from experiments.sweeps import definition
from experiments.sweeps.language import choices, product
from tests.experiments.sweeps import tiny

# Tests that were themselves started in the background ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
launcher = definition.Launcher({"plain": tiny.plain})
definition.LAUNCHERS["tiny_launcher"] = launcher
sweeps.SWEEPS["tiny"] = tiny.sweep
command_line.run(sweep.main, sweep.define_flags)
"""


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    tiny.install(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    path = tmp_path / "tiny"
    path.mkdir()
    return path


def run(
    folder: pathlib.Path, retry_failed: bool = False, engine=None, overrides=None
) -> list[State]:
    """Does what the launcher does but for its flags."""
    made = tiny.sweep(overrides)
    listed = runs_of(made, folder)
    jobs = [each.job for each in listed]
    todo = sweep.to_do(jobs, retry_failed)
    if todo:
        sweep.conduct("tiny", jobs, todo, engine or engines.Local(workers=3))
    report.write("tiny", made, listed, folder)
    return [process.state(job, is_live=False) for job in jobs]


def attempts(folder: pathlib.Path) -> list[int]:
    return [
        len((folder / f"size={size},seed={seed}" / "attempts").read_text())
        for size in (0.5, 2.0)
        for seed in range(3)
    ]


@pytest.mark.slow("starts processes")
def test_finished_runs_are_skipped_and_failed_ones_retried_on_request(folder, capfd):
    (folder / "broken").touch()
    finished, failed = State.FINISHED, State.FAILED
    assert run(folder) == [finished, failed, finished] * 2
    errors = capfd.readouterr().err
    assert "6/6 over" in errors
    log = folder / "logs" / "size=0.5,seed=1.log"
    assert f"failed after 0 s: exit status 1, {log}" in errors
    assert "no luck" in log.read_text()

    assert run(folder) == [finished, failed, finished] * 2
    assert attempts(folder) == [1] * 6
    (folder / "broken").unlink()
    assert run(folder, retry_failed=True) == [finished] * 6
    assert attempts(folder) == [1, 2, 1, 1, 2, 1]
    # The log tells of both.
    assert log.read_text().count("trying") == 2
    rows = json.loads((folder / "table.json").read_text())["rows"]
    assert [row["result (m)"] for row in rows] == [6.0, 21.0]
    assert [row["n"] for row in rows] == [3, 3]


@pytest.mark.slow("starts processes")
def test_the_command_line(folder, tmp_path):
    """Dry, then with failures."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, script, "--sweep=tiny", f"--runs_dir={tmp_path}", *words],
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{tmp_path}"},
            capture_output=True,
            text=True,
            check=False,
        )

    dry = call("--dry_run", "--launcher=ray")
    assert dry.returncode == 0, dry.stderr
    assert len(dry.stdout.splitlines()) == 6
    assert "-m tiny_launcher --preset=plain --config.size=0.5" in dry.stdout
    assert list(folder.iterdir()) == []

    (folder / "broken").touch()
    done = call("--workers=2")
    assert done.returncode == 1
    assert "| 2    | 21.0000 ± 1.0000" in done.stdout
    assert "2 of 6 runs failed" in done.stderr
    assert f"exit status 1, {folder}/logs/size=2.0,seed=1.log" in done.stderr
    assert "--retry_failed does them again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_has_one_sweep_at_a_time(folder):
    with (
        sweep.locked(folder),
        pytest.raises(UserError, match="another process is running this sweep"),
        sweep.locked(folder),
    ):
        pass
    with sweep.locked(folder):
        pass


@pytest.mark.slow("starts processes")
def test_ctrl_c_kills_the_runs_and_leaves_all_resumable(folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    (folder / "slow").touch()
    running = subprocess.Popen(
        [sys.executable, script, "--sweep=tiny", f"--runs_dir={tmp_path}"],
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{tmp_path}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(folder.glob("*/attempts")):
        assert running.poll() is None
        time.sleep(0.05)
    began = list(folder.glob("*/attempts"))
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "Stopped. The same command again goes on." in errors
    assert "Traceback" not in errors
    jobs = [each.job for each in runs_of(tiny.sweep(), folder)]
    states = {process.state(job, is_live=False) for job in jobs}
    assert states <= {State.INTERRUPTED, State.WAITING}
    (folder / "slow").unlink()
    # Were the runs still there, they would finish now.
    time.sleep(0.3)
    assert not list(folder.glob("*/summary.json"))
    assert run(folder) == [State.FINISHED] * 6
    assert began[0].read_text() == "xx"


def test_an_engine_that_gives_up_a_run_says_why(folder):
    class Lost(engines.Engine):
        def start(self, jobs):
            return [self] * len(jobs)

        def stop(self):
            pass

        def done(self):
            return True

        def exception(self):
            return ConnectionError("the node burnt")

    assert run(folder, engine=Lost()) == [State.FAILED] * 6
    job = runs_of(tiny.sweep(), folder)[0].job
    assert "ConnectionError: the node burnt" in process.record(job)["reason"]


def test_a_missing_extra_is_named(folder, monkeypatch):
    needs = engines.Needs(cpus=1, gpus=0)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(engines.EngineError, match=r"pip install 'zeroone_jax\[ray\]'"):
        engines.Ray(None, needs)
    with pytest.raises(
        engines.EngineError, match=r"pip install 'zeroone_jax\[slurm\]'"
    ):
        engines.Slurm(folder, needs, workers=1, hours=1, partition=None)


@pytest.mark.slow("starts Ray")
def test_a_cluster_that_does_not_answer_is_named_at_once():
    needs = engines.Needs(cpus=1, gpus=0)
    # Nobody listens on the port that was just given back.
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(engines.EngineError, match=f"nobody answers at 127.*{port}"):
        engines.Ray(f"127.0.0.1:{port}", needs)
    with pytest.raises(engines.EngineError, match="there is not like HOST:PORT"):
        engines.Ray("there", needs)


def test_an_engine_that_cannot_start_is_the_users_error(folder):
    class Full(engines.Engine):
        def start(self, jobs):
            raise engines.EngineError("no node has 9 cores")

        def stop(self):
            pass

    with pytest.raises(UserError, match="9 cores"):
        run(folder, engine=Full())


@pytest.mark.slow("starts processes")
def test_submitit(folder):
    """Slurm's launcher, by submitit's stand-in for Slurm."""
    (folder / "broken").touch()
    slurm = engines.Slurm(
        folder / "logs" / "slurm",
        engines.Needs(cpus=1, gpus=0),
        workers=2,
        hours=1,
        partition="any",
        cluster="local",
    )
    two = product([{"size": 2.0}], choices("seed", range(2)))
    states = run(folder, engine=slurm, overrides=two)
    assert states == [State.FINISHED, State.FAILED]
    assert len(list(folder.glob("*/attempts"))) == 2


def test_without_slurm_there_is_no_slurm(folder, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(engines.EngineError, match="srun"):
        engines.Slurm(folder, engines.Needs(1, 0), workers=1, hours=1, partition=None)


@pytest.mark.slow("starts processes")
def test_a_preempted_run_is_submitted_again(folder):
    job = runs_of(tiny.sweep(), folder)[0].job
    again = engines.Requeued().checkpoint(job)
    assert again.result() == 0
    assert process.state(job, is_live=False) is State.FINISHED
