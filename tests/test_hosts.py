"""Two processes with four devices each, against this process alone with its eight."""

import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from zeroone_jax import hosts

_HERE = pathlib.Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("host_worker", _HERE / "host_worker.py")
host_worker = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(host_worker)


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def started(*arguments, **variables):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=_HERE.parent,
        env={**os.environ, "PYTHONPATH": str(_HERE.parent), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def two_processes(folder, task):
    port = free_port()
    # The second two need not compile what the first did.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    both = [
        started(_HERE / "host_worker.py", port, process, folder, task, **cache)
        for process in (0, 1)
    ]
    texts = [process.communicate(timeout=300)[1] for process in both]
    return [process.returncode for process in both], texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes left that trained, and were then killed."""
    folder = tmp_path_factory.mktemp("hosts")
    codes, texts = two_processes(folder, "whole")
    assert codes == [-signal.SIGKILL] * 2, texts
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return host_worker.descend(tmp_path_factory.mktemp("alone") / "whole")


def arrays(path):
    with np.load(path) as file:
        return list(file.values())


def assert_equal(kept, tree):
    for ours, theirs in zip(kept, jax.tree.leaves(tree), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow("starts processes")
def test_coordinate_descent_is_the_same_to_the_bit(folder, alone):
    assert_equal(arrays(folder / "descent.npz"), alone)


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("count", [1, 2, 8])
def test_training_is_the_same_to_rounding(folder, count):
    here = jax.tree.leaves(host_worker.train(jax.devices()[:count]))
    for ours, theirs in zip(arrays(folder / "trained.npz"), here, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow("starts processes")
def test_the_first_process_writes_alone(folder):
    run = folder / "whole"
    lines = (run / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    assert steps == [{"step": 200}, {"step": 220}]
    assert len((run / "sessions.jsonl").read_text().splitlines()) == 1
    assert json.loads((run / "summary.json").read_text()) == {"iteration": 220}


@pytest.mark.slow("starts processes")
def test_all_are_told_of_a_directory_that_cannot_be_opened(folder):
    told = {(folder / f"refused-{process}").read_text() for process in (0, 1)}
    assert len(told) == 1
    assert "seed is 7 there, 8 here" in told.pop()


@pytest.mark.slow("starts processes")
def test_killed_on_two_hosts_it_resumes_on_one(folder, alone):
    killed = folder / "killed"
    assert not (killed / "summary.json").exists()
    assert_equal(jax.tree.leaves(host_worker.descend(killed, resume=True)), alone)


class StoppedError(Exception):
    pass


@pytest.mark.slow("starts processes")
def test_stopped_on_one_host_it_resumes_on_two(folder, alone):
    def stop(step):
        raise StoppedError

    with pytest.raises(StoppedError):
        host_worker.descend(folder / "alone", on_saved=stop)
    codes, texts = two_processes(folder, "resume")
    assert codes == [0, 0], texts
    assert_equal(arrays(folder / "resumed.npz"), alone)
    sessions = (folder / "alone" / "sessions.jsonl").read_text().splitlines()
    assert [json.loads(line)["from_step"] for line in sessions] == [0, 200]


@pytest.mark.slow("starts processes")
def test_processes_that_do_not_come_are_named():
    script = (
        "from zeroone_jax import hosts; "
        f"hosts.connect('localhost:{free_port()}', 2, 1, seconds=1)"
    )
    process = started("-c", script)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Not all 2 processes of the run met at localhost:" in told
    assert "within the time-out of 1 s" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("node1:1", None, 0), "must all be given"),
        (("node1:1", 2, 2), "process 2 of 2: they count from 0"),
        ((None, None, None), "no run of many processes can be joined"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, message, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    with pytest.raises(hosts.HostsError, match=message):
        hosts.connect(*arguments)


def test_more_processes_than_devices(monkeypatch):
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **__: None)
    monkeypatch.setattr(jax, "process_count", lambda: 9)
    with pytest.raises(hosts.HostsError, match="9 processes share 8 devices"):
        hosts.connect("node1:1", 9, 0)
