import json
import os
import pathlib
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import runs

CONFIG = {"solver": {"votes": 8, "steps": (0.1, 0.2)}, "seed": 0}


def state_at(step: int) -> dict[str, jax.Array]:
    return {"step": jnp.int32(step), "weights": jnp.full((3, 2), step, jnp.float32)}


def opened(
    path: pathlib.Path, config: dict = CONFIG, resume: bool = False
) -> runs.RunDirectory:
    return runs.RunDirectory(path, config, resume=resume, revision="abc")


def measure(run: runs.RunDirectory, *steps: int) -> None:
    for step in steps:
        run.append_metrics([{"step": step, "accuracy": step / 7}])
        run.save(step, state_at(step))


def test_a_new_run_records_settings_and_session(tmp_path):
    with opened(tmp_path / "new") as run:
        assert run.restore(state_at(0)) is None
        assert run.summary() is None
        (session,) = run.sessions()
    assert session["revision"] == "abc"
    assert session["jax"] == jax.__version__
    assert session["from_step"] == 0
    written = json.loads((tmp_path / "new" / "config.json").read_text())
    assert written == {"solver": {"votes": 8, "steps": [0.1, 0.2]}, "seed": 0}


def test_restore_gives_the_last_state(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10, 20, 30)
    with opened(tmp_path, resume=True) as run:
        restored = run.restore(state_at(0))
        assert run.sessions()[-1]["from_step"] == 30
    assert int(restored["step"]) == 30
    np.testing.assert_array_equal(restored["weights"], state_at(30)["weights"])


def test_two_checkpoints_are_kept(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10, 20, 30)
    kept = sorted(entry.name for entry in (tmp_path / "checkpoints").iterdir())
    assert kept == ["20", "30"]


def test_saving_a_step_again_changes_nothing(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10)
        run.save(10, state_at(11))
        assert int(run.restore(state_at(0))["step"]) == 10


def test_a_state_saved_on_many_devices_is_restored_on_one(tmp_path):
    mesh = jax.make_mesh((4,), ("votes",), (jax.sharding.AxisType.Auto,))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("votes"))
    weights = jnp.arange(8.0)
    with opened(tmp_path) as run:
        run.save(1, {"weights": jax.device_put(weights, spread)})
        restored = run.restore({"weights": weights})["weights"]
    np.testing.assert_array_equal(restored, weights)
    assert restored.sharding == weights.sharding


def test_metrics_after_the_checkpoint_are_cut(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10, 20)
        whole = (tmp_path / "metrics.jsonl").read_bytes()
        run.append_metrics([{"step": 25}, {"step": 30}])
    with opened(tmp_path, resume=True) as run:
        run.restore(state_at(0))
        assert [record["step"] for record in run.metrics()] == [10, 20]
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole


@pytest.mark.parametrize("torn", ['{"step": 30, "accu', '{"step": 30}', "{"])
def test_a_torn_line_is_cut(tmp_path, torn):
    with opened(tmp_path) as run:
        measure(run, 10)
        whole = (tmp_path / "metrics.jsonl").read_bytes()
    with (tmp_path / "metrics.jsonl").open("a") as metrics:
        metrics.write(torn)
    with opened(tmp_path, resume=True) as run:
        run.restore(state_at(0))
        assert (tmp_path / "metrics.jsonl").read_bytes() == whole
        measure(run, 20)
        assert [record["step"] for record in run.metrics()] == [10, 20]


def test_without_a_checkpoint_all_metrics_are_cut(tmp_path):
    with opened(tmp_path) as run:
        run.append_metrics([{"step": 10}])
    with opened(tmp_path, resume=True) as run:
        assert run.restore(state_at(0)) is None
        assert run.metrics() == []


def test_an_unfinished_checkpoint_is_ignored(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10)
    (tmp_path / "checkpoints" / "20.orbax-checkpoint-tmp").mkdir()
    with opened(tmp_path, resume=True) as run:
        assert int(run.restore(state_at(0))["step"]) == 10
        measure(run, 20)
        assert int(run.restore(state_at(0))["step"]) == 20


def test_other_settings_are_refused_by_name(tmp_path):
    with opened(tmp_path):
        pass
    other = {"solver": {"votes": 9, "steps": (0.1, 0.2), "window": 3}, "seed": 0}
    with pytest.raises(runs.RunError) as refused:
        opened(tmp_path, other, resume=True)
    assert "solver.votes is 8 there, 9 here" in str(refused.value)
    assert "solver.window is None there, 3 here" in str(refused.value)
    assert "seed" not in str(refused.value)
    # The refusal leaves nothing locked.
    opened(tmp_path, resume=True).close()


def test_a_run_is_not_overwritten(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10)
    with pytest.raises(runs.RunError, match="holds a run already"):
        opened(tmp_path)


def test_a_run_that_never_measured_may_start_differently(tmp_path):
    with opened(tmp_path):
        pass
    with opened(tmp_path, {"seed": 1}):
        pass
    assert json.loads((tmp_path / "config.json").read_text()) == {"seed": 1}


@pytest.mark.parametrize("resume", [False, True])
def test_a_strange_directory_is_refused(tmp_path, resume):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(runs.RunError, match=r"no run directory but holds thesis\.tex"):
        opened(tmp_path, resume=resume)
    assert not (tmp_path / "config.json").exists()


@pytest.mark.slow("starts processes")
def test_one_process_at_a_time(tmp_path):
    # The other process dies without cleaning up; its lock must die with it.
    program = (
        "import pathlib, signal\n"
        "from zeroone_jax import runs\n"
        f"run = runs.RunDirectory(pathlib.Path({str(tmp_path)!r}), {{}}, "
        "resume=False, revision='abc')\n"
        "print('open', flush=True)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "open\n"
            with pytest.raises(runs.RunError, match="another process"):
                opened(tmp_path, {}, resume=True)
        finally:
            os.kill(other.pid, signal.SIGKILL)
    opened(tmp_path, {}, resume=True).close()


def test_the_summary_comes_last(tmp_path):
    with opened(tmp_path) as run:
        run.finish({"accuracy": 0.5})
        assert run.summary() == {"accuracy": 0.5}


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / "table.md"
    path.write_text("old")

    def fail_halfway() -> None:
        with runs.replacing(path) as partial:
            partial.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert path.read_text() == "old"
    with runs.replacing(path) as partial:
        assert partial.suffix == path.suffix
        partial.write_text("new")
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.md"]


def test_git_revision_is_the_commit_and_whether_it_is_dirty(tmp_path):
    code = tmp_path / "code.py"
    code.write_text("1")

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert runs.git_revision(code) == "unknown"
    git("init")
    assert runs.git_revision(code) == "unknown"
    git("add", "code.py")
    git("commit", "-m", "first", "--no-verify")
    commit = git("rev-parse", "HEAD")
    assert runs.git_revision(code) == commit
    code.write_text("2")
    assert runs.git_revision(code) == f"{commit}-dirty"
