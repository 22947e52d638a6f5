import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from experiments.sweeps import process
from experiments.sweeps.process import State


def job_of(folder: pathlib.Path, code: str) -> process.Job:
    return process.job(
        "one", [sys.executable, "-c", code], folder / "one", folder / "logs/one.log"
    )


def wait_for(path: pathlib.Path) -> str:
    for _ in range(500):
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.02)
    raise AssertionError(f"{path} does not come")


def is_alive(pid: int) -> bool:
    path = pathlib.Path(f"/proc/{pid}/stat")
    return path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow("starts processes")
def test_a_run_leaves_a_log_and_a_record(tmp_path):
    job = job_of(tmp_path, "import sys; print('hello'); sys.exit('no luck')")
    assert process.state(job, is_live=True) is State.WAITING
    assert process.execute(job) == 1
    assert process.state(job, is_live=False) is State.FAILED
    assert process.record(job)["exit"] == 1
    assert process.record(job)["seconds"] > 0
    text = pathlib.Path(job.log).read_text()
    assert "-c" in text.splitlines()[0]
    assert {"hello", "no luck"} < set(text.splitlines())
    assert process.last_line(job) in ("hello", "no luck")


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("torn", [b"", b'{"host": "', b"\x93", b"3"])
def test_a_torn_record_tells_nothing(tmp_path, torn):
    job = job_of(tmp_path, "import sys; sys.exit('no luck')")
    assert process.execute(job) == 1
    pathlib.Path(job.log).with_suffix(".json").write_bytes(torn)
    assert process.record(job) == {}
    # As it is not known to have failed, it goes on.
    pathlib.Path(job.run_dir).mkdir()
    (pathlib.Path(job.run_dir) / "config.json").write_text("{}")
    assert process.state(job, is_live=False) is State.INTERRUPTED
    process.lose(job, "the node burnt")
    assert process.state(job, is_live=False) is State.FAILED


@pytest.mark.slow("starts processes")
def test_states(tmp_path):
    job = job_of(tmp_path, "")
    run_dir = pathlib.Path(job.run_dir)
    assert process.state(job, is_live=False) is State.WAITING
    run_dir.mkdir()
    (run_dir / "config.json").write_text("{}")
    assert process.state(job, is_live=False) is State.INTERRUPTED
    assert process.state(job, is_live=True) is State.WAITING
    # An end without a summary is none.
    assert process.execute(job) == 0
    assert process.state(job, is_live=False) is State.FAILED
    process.forget(job)
    assert process.state(job, is_live=False) is State.INTERRUPTED
    process.lose(job, "the node burnt")
    assert process.state(job, is_live=False) is State.FAILED
    assert process.record(job) == {"exit": None, "reason": "the node burnt"}
    (run_dir / "summary.json").write_text("{}")
    assert process.state(job, is_live=False) is State.FINISHED


@pytest.mark.slow("starts processes")
def test_settings_of_jax_go_with_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_EXAMPLE", "5")
    job = job_of(tmp_path, "import os; print(os.environ['JAX_EXAMPLE'])")
    monkeypatch.delenv("JAX_EXAMPLE")
    assert process.execute(job) == 0
    assert process.last_line(job) == "5"


@pytest.mark.slow("starts processes")
def test_a_stopped_run_is_interrupted_not_failed(tmp_path):
    job = job_of(
        tmp_path,
        f"import os, time; open('{tmp_path}/pid', 'w').write(str(os.getpid())); "
        "time.sleep(60)",
    )
    with pytest.raises(process.StoppedError):
        process.execute(job, stopped=(tmp_path / "pid").exists)
    assert process.state(job, is_live=False) is State.INTERRUPTED
    assert not is_alive(int(wait_for(tmp_path / "pid")))


@pytest.mark.slow("starts processes")
@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_a_run_does_not_outlive_who_waits_for_it(tmp_path):
    code = (
        "import os, time; "
        f"open('{tmp_path}/pid', 'w').write(str(os.getpid())); time.sleep(60)"
    )
    waiting = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from experiments.sweeps import process\n"
            f"process.execute(process.Job{tuple(job_of(tmp_path, code))!r})",
        ]
    )
    child = int(wait_for(tmp_path / "pid"))
    assert is_alive(child)
    os.kill(waiting.pid, signal.SIGKILL)
    waiting.wait()
    for _ in range(250):
        if not is_alive(child):
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the run goes on alone")
