"""The list for an accelerator: all of it, tiny, and where it goes on."""

import json
import time

import pytest

from benchmarks.accelerator import __main__ as command
from benchmarks.accelerator import size, work


def only_result(path):
    (of_hardware,) = json.loads(path.read_text()).values()
    return of_hardware


def measured(tmp_path, seconds):
    arguments = size.SMOKE, "none", tmp_path, tmp_path / "out.json", seconds
    return command.measure(list(work.MEASUREMENTS), *arguments)


def test_goes_on_where_the_time_was_up(tmp_path, monkeypatch):
    """What is done is not done again; what was stopped is, and its time counts on."""
    seen = []

    def slow(setting):
        seen.append(dict(setting.known))
        time.sleep(60 if len(seen) == 1 else 0)
        return {"figure": 2}

    one = {"first": lambda _: {"figure": 1}, "second": slow}
    monkeypatch.setattr(work, "MEASUREMENTS", one)
    assert not measured(tmp_path, seconds=0.3)
    stopped = only_result(tmp_path / "out.json")
    assert stopped["first"]["figure"] == 1
    assert not stopped["second"]["done"]
    monkeypatch.setitem(one, "first", None)
    assert measured(tmp_path, seconds=30)
    ended = only_result(tmp_path / "out.json")
    assert ended["first"] == stopped["first"]
    assert ended["second"]["done"]
    assert ended["second"]["figure"] == 2
    assert ended["second"]["seconds_in_all"] >= 0.2
    assert {"date", "device", "jax", "revision"} <= ended["second"].keys()
    assert seen[1]["first"]["figure"] == 1


def test_a_failure_does_not_end_the_list(tmp_path, monkeypatch):
    def fail(setting):
        raise ValueError("no data")

    one = {"first": fail, "second": lambda _: {"figure": 2}}
    monkeypatch.setattr(work, "MEASUREMENTS", one)
    assert not measured(tmp_path, seconds=30)
    found = only_result(tmp_path / "out.json")
    assert found["first"]["error"] == "ValueError: no data"
    assert found["second"]["figure"] == 2


def test_unknown_names(capsys):
    with pytest.raises(SystemExit):
        command.main(["matmul", "nothing"])
    assert "nothing: not one of matmul, " in capsys.readouterr().err


@pytest.mark.slow("times what it compiles")
def test_rates(tmp_path):
    rates = ["matmul", "wide_update", "descent", "hop_skip_jump"]
    command.main(["--smoke", *rates, f"--folder={tmp_path}", f"--out={tmp_path}/a"])
    found = only_result(tmp_path / "a")
    assert list(found) == rates
    assert all(one["done"] for one in found.values())
    share = found["wide_update"]["tflop_per_second"]
    share /= found["matmul"]["tflop_per_second"]
    assert found["wide_update"]["share_of_matmul"] == pytest.approx(share)
    assert found["hop_skip_jump"]["queries"] > found["hop_skip_jump"]["images"] > 0


def test_trainings_are_those_of_the_launcher(tmp_path, monkeypatch):
    """It fills a run directory, which is not filled again once it is finished."""
    filled = []

    def fill(experiment, run):
        filled.append(experiment)
        run.finish({"accuracy": {"test": 0.5}, "rows": []})

    monkeypatch.setattr(work.train_network, "fill", fill)
    setting = size.Setting(size.SMOKE, "images.npz", tmp_path, {})
    first, again = (work.MEASUREMENTS["train_sense"](setting) for _ in range(2))
    assert first == again == {"network": "mlp_sigmoid20", "epochs": 2, "test": 0.5}
    (experiment,) = filled
    assert type(experiment.objective).__name__ == "Sense"
    assert experiment.dtype == "bfloat16"
