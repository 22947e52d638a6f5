import json
import os
import pathlib
import shutil
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
        assert [entry.name for entry in (tmp_path / "checkpoints").iterdir()] == ["10"]
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


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


def cut_in_half(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def largest_file(folder: pathlib.Path) -> pathlib.Path:
    found = (path for path in folder.rglob("*") if path.is_file())
    return max(found, key=lambda path: path.stat().st_size)


DAMAGE = {
    "gone": shutil.rmtree,
    "without its folder": lambda step: shutil.rmtree(step / "default"),
    "empty": lambda step: (step / "default" / "_METADATA").write_bytes(b""),
    "cut": lambda step: cut_in_half(largest_file(step)),
    # Orbax restores other numbers from this one, and says nothing.
    "flipped": lambda step: flip_a_bit(largest_file(step)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_leaves_the_one_before(tmp_path, caplog, damage):
    numbers = np.random.default_rng(0).normal(size=(40, 500)).astype(np.float32)
    states = {step: {"weights": jnp.asarray(numbers + step)} for step in (10, 20)}
    with opened(tmp_path) as run:
        for step, state in states.items():
            run.append_metrics([{"step": step}])
            run.save(step, state)
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    DAMAGE[damage](tmp_path / "checkpoints" / "20")
    with caplog.at_level("WARNING"), opened(tmp_path, resume=True) as run:
        restored = run.restore(states[10])
        assert [record["step"] for record in run.metrics()] == [10]
        assert run.sessions()[-1]["from_step"] == 10
        np.testing.assert_array_equal(restored["weights"], states[10]["weights"])
        assert f"checkpoint {tmp_path}/checkpoints/20 is" in logged(caplog)
        assert "the run goes on from step 10" in logged(caplog)
        # And so it does.
        run.append_metrics([{"step": 20}])
        run.save(20, states[20])
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole
    caplog.clear()
    with caplog.at_level("WARNING"), opened(tmp_path, resume=True) as run:
        restored = run.restore(states[10])
    np.testing.assert_array_equal(restored["weights"], states[20]["weights"])
    assert not logged(caplog)


def test_without_a_whole_checkpoint_the_user_decides(tmp_path, caplog):
    with opened(tmp_path) as run:
        measure(run, 10, 20)
    folder = tmp_path / "checkpoints"
    for step in ("10", "20"):
        cut_in_half(folder / step / "default" / "_METADATA")
    message = "none is whole.*remove this folder, and the run begins anew"
    with pytest.raises(runs.RunError, match=message):
        opened(tmp_path, resume=True)
    assert sorted(entry.name for entry in folder.iterdir()) == ["10", "20"]
    shutil.rmtree(folder)
    with caplog.at_level("WARNING"), opened(tmp_path, resume=True) as run:
        assert run.restore(state_at(0)) is None
        assert run.metrics() == []
    assert "the run goes on from the beginning" in logged(caplog)


def test_checkpoints_without_checksums_are_taken_as_whole(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10, 20)
    (tmp_path / "checksums.json").unlink()
    with opened(tmp_path, resume=True) as run:
        assert int(run.restore(state_at(0))["step"]) == 20
    cut_in_half(tmp_path / "checkpoints" / "20" / "default" / "_METADATA")
    message = r"checkpoints/20 cannot be read \(.*\): .*, or remove this checkpoint"
    with (
        opened(tmp_path, resume=True) as run,
        pytest.raises(runs.RunError, match=message),
    ):
        run.restore(state_at(0))


def test_a_finished_run_needs_no_checkpoint(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10)
        run.finish({"accuracy": 0.5})
    cut_in_half(tmp_path / "checkpoints" / "10" / "default" / "_METADATA")
    with opened(tmp_path, resume=True) as run:
        assert run.summary() == {"accuracy": 0.5}


TORN = {"empty": b"", "cut": b'{"see', "garbage": b"\x93\0\n", "a list": b"[1]\n"}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("config.json", "choose another directory, or copy the file from a run"),
        ("summary.json", "remove it and resume the run"),
    ],
)
def test_torn_files_are_named_with_a_remedy(tmp_path, name, remedy, torn):
    with opened(tmp_path) as run:
        measure(run, 10)
        run.finish({"accuracy": 0.5})
    (tmp_path / name).write_bytes(torn)

    def finished() -> None:
        with opened(tmp_path, resume=True) as run:
            run.summary()

    with pytest.raises(runs.RunError) as refused:
        finished()
    told = str(refused.value)
    assert told.startswith(f"{tmp_path / name} is damaged (")
    assert remedy in told
    assert "\n" not in told


def test_missing_settings_are_named_with_a_remedy(tmp_path):
    with opened(tmp_path) as run:
        measure(run, 10)
    (tmp_path / "config.json").unlink()
    with pytest.raises(runs.RunError, match=r"config\.json is damaged \(it is missing"):
        opened(tmp_path, resume=True)


@pytest.mark.parametrize("name", ["metrics.jsonl", "sessions.jsonl"])
@pytest.mark.parametrize("line", [b"garbage", b"\x93\0", b"", b"3"])
def test_a_garbage_line_is_named_with_a_remedy(tmp_path, name, line):
    with opened(tmp_path) as run:
        measure(run, 10)
    path = tmp_path / name
    path.write_bytes(path.read_bytes() + line + b"\n")

    def resumed() -> None:
        with opened(tmp_path, resume=True) as run:
            run.restore(state_at(0))

    message = rf"{name} is damaged \(line 2: .*\): remove that line to go on"
    with pytest.raises(runs.RunError, match=message):
        resumed()
    # Nothing is locked, and what is told helps.
    path.write_bytes(path.read_bytes().replace(line + b"\n", b""))
    resumed()


def test_lost_measurements_are_said(tmp_path, caplog):
    with opened(tmp_path) as run:
        measure(run, 10, 20)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level("WARNING"), opened(tmp_path, resume=True) as run:
        assert int(run.restore(state_at(0))["step"]) == 20
    assert "metrics.jsonl ends at step 10, but the checkpoint" in logged(caplog)
