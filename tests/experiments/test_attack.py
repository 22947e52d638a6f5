import dataclasses
import inspect
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import attack as launcher
from experiments import attack_report, attack_task, command_line
from experiments.command_line import UserError
from experiments.configs import attack as configs
from tests.experiments.attacked import HOP_SKIP_JUMP, experiment
from zeroone_jax import attacks, data, runs, verification
from zeroone_jax.models import zero_one

REPOSITORY = pathlib.Path(__file__).parents[2]
DETERMINISTIC = ("adversaries.npz", "config.json", "metrics.jsonl", "results.md")


class Killed(BaseException):
    """Stands for a kill: nothing after it happens."""


@pytest.fixture(scope="module")
def settings(networks, two_classes):
    return experiment(networks, two_classes)


def fill(path, settings, resume=False):
    task = attack_task.prepare(settings)
    with runs.RunDirectory(
        path, runs.to_json(settings), resume=resume, revision="abc"
    ) as run:
        launcher.fill(settings, task, run)


@pytest.fixture(scope="module")
def finished(settings, tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("runs") / "finished"
    fill(path, settings)
    return path


def assert_same_run(path, expected):
    for name in DETERMINISTIC:
        assert (path / name).read_bytes() == (expected / name).read_bytes(), name


@pytest.mark.slow("runs a launcher")
def test_a_run_directory_holds_everything(finished):
    for name in ("adversaries.png", "curve.png"):
        with Image.open(finished / name) as image:
            image.verify()
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["images"] == summary["broken"] == 7
    assert summary["wrong_before"] == 0
    assert summary["left"] == 0
    # Images that the network labels wrongly were left out.
    assert summary["robust_accuracy"] is None
    assert summary["config"]["attack"]["type"] == "hop_skip_jump"
    assert summary["sessions"][0]["revision"] == "abc"
    curve = summary["curve"]
    # What is written is backed off from the boundary, by 1e-4 and a little more.
    assert curve["median_distance"][-1] == pytest.approx(
        summary["distance"]["median"], rel=5e-4
    )
    assert len(curve["queries"]) == len(curve["median_distance"])
    text = (finished / "results.md").read_text()
    assert "**hop_skip_jump on 7 images**" in text
    assert "| median l2 distance found" in text
    assert len((finished / "metrics.jsonl").read_text().splitlines()) == 7


@pytest.mark.slow("runs a launcher")
def test_adversaries_are_those_of_the_library(settings, finished, networks):
    with np.load(finished / "adversaries.npz") as file:
        saved = {name: file[name] for name in file.files}
    params = zero_one.load(networks)
    predict = zero_one.Vote.flat(params).labels
    test = data.load(settings.images.name, "test")
    x, y = map(jnp.asarray, data.as_features(test))
    x = x.reshape(test.images.shape)
    correct = np.flatnonzero(np.asarray(predict(x) == y))[:7]
    np.testing.assert_array_equal(saved["index"], correct)
    np.testing.assert_array_equal(saved["image"], x[correct])
    training = data.load(settings.images.name, "train")
    pool = jnp.asarray(data.as_features(training)[0]).reshape(training.images.shape)
    x, y = x[correct], y[correct]
    start = attacks.random_start(jax.random.key(0), x, y, pool, predict(pool))
    result = HOP_SKIP_JUMP(jax.random.key(0), predict, x, y, start)
    for name, array in result._asdict().items():
        np.testing.assert_array_equal(saved[name], array, err_msg=name)
    np.testing.assert_array_equal(saved["label_before"], y)
    np.testing.assert_array_equal(saved["label_after"], 1 - y)


@pytest.mark.slow("runs a launcher")
def test_a_damaged_chunk_is_made_again(settings, finished, tmp_path, caplog):
    path = tmp_path / "copy"
    shutil.copytree(finished, path)
    (path / "summary.json").unlink()
    chunk = sorted((path / "chunks").iterdir())[1]
    chunk.write_bytes(chunk.read_bytes()[:100])
    with caplog.at_level("WARNING"):
        fill(path, settings, resume=True)
    assert f"{chunk} is damaged" in caplog.text
    assert_same_run(path, finished)


@pytest.mark.slow("runs a launcher")
def test_chunks_of_another_model_are_not_joined(settings, finished, networks, tmp_path):
    path, model = tmp_path / "run", tmp_path / "networks.npz"
    shutil.copy(networks, model)
    mine = dataclasses.replace(settings, model=str(model))
    fill(path, mine)
    (path / "summary.json").unlink()
    params = zero_one.load(networks)
    # The same labels, but another network.
    doubled = dataclasses.replace(params, w1=2 * params.w1, b1=2 * params.b1)
    zero_one.save(model, doubled)
    with pytest.raises(UserError, match="are not those that this run began with"):
        fill(path, mine, resume=True)
    shutil.copy(networks, model)
    fill(path, mine, resume=True)
    assert (path / "results.md").read_bytes() == (finished / "results.md").read_bytes()


@pytest.mark.parametrize("moment", ["the second chunk", "the report", "the summary"])
@pytest.mark.slow("runs a launcher")
def test_killed_at_a_moment_it_resumes_to_the_same(
    settings, finished, tmp_path, monkeypatch, moment
):
    owner, attribute = {
        "the second chunk": (attack_report, "records"),
        "the report": (attack_report, "write"),
        "the summary": (runs.RunDirectory, "finish"),
    }[moment]
    original = getattr(owner, attribute)

    def kill(*arguments):
        if attribute == "records" and arguments[1] == 3:
            return original(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(owner, attribute, kill)
        with pytest.raises(Killed):
            fill(tmp_path, settings)
    assert not (tmp_path / "summary.json").exists()
    fill(tmp_path, settings, resume=True)
    assert_same_run(tmp_path, finished)


@pytest.mark.slow("runs a launcher")
def test_finished_chunks_are_not_attacked_again(
    settings, finished, tmp_path, monkeypatch
):
    def refuse(*_):
        raise AssertionError

    fill(tmp_path, settings)
    (tmp_path / "summary.json").unlink()
    monkeypatch.setattr(launcher, "_attacked", refuse)
    fill(tmp_path, settings, resume=True)
    assert_same_run(tmp_path, finished)


def command(settings, path, *words):
    return [
        sys.executable,
        "-m",
        "experiments.attack",
        f"--run_dir={path}",
        f"--config.model={settings.model}",
        f"--config.images.name={settings.images.name}",
        "--config.images.count=7",
        "--config.at_a_time=1",
        "--config.attack.iterations=2",
        "--config.attack.initial_directions=20",
        *words,
    ]


@pytest.mark.slow("starts processes")
def test_sigkill_resumes_to_the_same(settings, finished, tmp_path):
    with subprocess.Popen(command(settings, tmp_path), cwd=REPOSITORY) as process:
        until = time.monotonic() + 120
        while not list(tmp_path.glob("chunks/0*.npz")) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "summary.json").exists()
    with pytest.raises(runs.RunError, match="resume it"):
        fill(tmp_path, settings)
    done = subprocess.run(
        command(settings, tmp_path, "--resume"),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results.md").read_text() in done.stdout
    # One image at a time, on one device: the same adversaries.
    with (
        np.load(tmp_path / "adversaries.npz") as mine,
        np.load(finished / "adversaries.npz") as theirs,
    ):
        np.testing.assert_array_equal(mine["index"], theirs["index"])
        np.testing.assert_allclose(mine["adversary"], theirs["adversary"], atol=1e-5)


@pytest.mark.slow("runs a launcher")
def test_wrong_images_and_targets(networks, two_classes, tmp_path):
    images = configs.Images(str(two_classes), count=20, only_correct=False)
    ray_s = attacks.ray_s(max_queries=100)
    fill(tmp_path, experiment(networks, two_classes, ray_s, images=images))
    summary = json.loads((tmp_path / "summary.json").read_text())
    with np.load(tmp_path / "adversaries.npz") as file:
        wrong = file["label_before"] != file["label"]
        assert np.all(file["distance"][wrong] == 0)
    assert summary["wrong_before"] == wrong.sum()
    targeted = dataclasses.replace(HOP_SKIP_JUMP, targeted=True)
    task = attack_task.prepare(experiment(networks, two_classes, targeted))
    np.testing.assert_array_equal(task.images.goal, 1 - task.images.y)


@pytest.mark.parametrize("preset", ["exact", "certificate"])
def test_verification(networks, two_classes, tmp_path, preset):
    config = configs.PRESETS[preset]().attack
    made = experiment(networks, two_classes, config)
    fill(tmp_path, made)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["config"]["attack"]["type"] == "verification"
    assert summary["broken"] == 7
    params = zero_one.load(networks)
    with np.load(tmp_path / "adversaries.npz") as file:
        found = verification.measure(params, file["image"], file["label"], config)
        np.testing.assert_array_equal(file["lower"], found.lower)
        np.testing.assert_array_equal(file["distance"], found.upper)
        assert (file["label_after"] != file["label"]).all()
        assert (file["lower"] <= file["infimum"]).all()
        assert summary["certified"]["median"] == np.median(file["lower"])
    text = (tmp_path / "results.md").read_text()
    assert "Median distance that is certain" in text
    assert "**Share of images right within a radius**" in text
    with Image.open(tmp_path / "certified.png") as image:
        image.verify()


@pytest.mark.slow("runs a launcher")
def test_polishing_brings_what_was_found_nearer(
    networks, two_classes, finished, tmp_path
):
    fill(tmp_path, experiment(networks, two_classes, polish=True))
    with (
        np.load(finished / "adversaries.npz") as before,
        np.load(tmp_path / "adversaries.npz") as after,
    ):
        assert (after["distance"] <= before["distance"]).all()
        assert (after["distance"] < before["distance"] - 1e-3).any()
        assert (after["label_after"] != after["label"]).all()
        np.testing.assert_array_equal(after["queries"], before["queries"] + 2)


@pytest.mark.slow("runs a launcher")
def test_polishing_knows_no_l1(networks, two_classes, tmp_path):
    attack = attacks.pgd(epsilon=1.0, norm="l1", iterations=1)
    with pytest.raises(UserError, match="polish knows the norms l2 and linf"):
        fill(tmp_path, experiment(networks, two_classes, attack, polish=True))


def test_only_01_networks_are_verified(networks, two_classes, tmp_path):
    made = experiment(networks, two_classes, configs.PRESETS["exact"]().attack)
    task = attack_task.prepare(made)
    hidden = task.images._replace(model=lambda x: task.images.label_fn(x))
    task = task._replace(images=hidden)
    with (
        runs.RunDirectory(
            tmp_path, runs.to_json(made), resume=False, revision="abc"
        ) as run,
        pytest.raises(UserError, match="needs a 01 network's weights"),
    ):
        launcher.fill(made, task, run)


@pytest.mark.slow("runs a launcher")
def test_an_attack_without_slopes_says_so(networks, two_classes, tmp_path):
    for name, made, expected in [
        ("pgd", attacks.pgd(epsilon=0.1, iterations=2), 1.0),
        ("square", attacks.square(epsilon=0.1, max_queries=20), None),
    ]:
        fill(tmp_path / name, experiment(networks, two_classes, made))
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert summary["without_slope"] == expected
        text = (tmp_path / name / "results.md").read_text()
        assert ("no slope at 100%" in text) == (expected is not None)
        assert not (tmp_path / name / "curve.png").exists()


@pytest.mark.slow("runs a launcher")
def test_suites(networks, two_classes, tmp_path):
    settings = experiment(
        networks, two_classes, configs.PRESETS["suite_decision"]().attack, at_a_time=5
    )
    made = dataclasses.replace(settings.attack, max_queries=60)
    assert made.build() == attacks.suite.decision(max_queries=60)
    fill(tmp_path, dataclasses.replace(settings, attack=made))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["broken"] == 7
    names = ["hop_skip_jump_adaptive", "hop_skip_jump", "boundary"]
    assert list(summary["strongest"]) == names
    assert sum(summary["strongest"].values()) == 7
    assert summary["warnings"] == []
    text = (tmp_path / "results.md").read_text()
    assert "**suite_decision on 7 images**" in text
    assert "the strongest" in text
    standard = configs.PRESETS["suite_standard"]().attack
    assert standard.build() == attacks.suite.standard("linf", 8 / 255)


@pytest.mark.slow("runs a launcher")
def test_a_bench_that_finds_nothing_says_so(networks, two_classes, tmp_path):
    bench = configs.Bench("l0_pixels", 40)
    fill(tmp_path, experiment(networks, two_classes, bench, at_a_time=7))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["broken"] == 0
    assert summary["without_slope"] == 1
    text = (tmp_path / "results.md").read_text()
    assert "**attack_bench on 7 images**" in text
    assert "No optimality: no attack broke an image" in text
    assert "no slope at 100%" in text


def test_chunks_of_a_suite_join():
    chunks = [
        {
            "index": np.arange(2),
            "stages": np.array(["a"]),
            "warnings": np.array(words, dtype=str),
        }
        for words in (["x"], [], ["y", "x"])
    ]
    together = attack_report.joined(chunks)
    assert together["index"].tolist() == [0, 1] * 3
    assert together["stages"].tolist() == ["a"]
    assert together["warnings"].tolist() == ["x", "y"]


def test_every_attack_has_a_preset():
    names = {
        name
        for name in attacks.__all__
        if isinstance(getattr(attacks, name), type)
        and issubclass(getattr(attacks, name), attacks.Attack)
    } - {"Attack"}
    suites = {
        f"suite_{name}"
        for name in attacks.suite.__all__
        if inspect.isfunction(getattr(attacks.suite, name))
    }
    assert names | suites | {"fgsm"} <= set(configs.PRESETS)
    assert next(iter(configs.PRESETS)) == "hop_skip_jump"
    for name, preset in configs.PRESETS.items():
        assert isinstance(
            preset().attack,
            attacks.Attack | configs.Suite | configs.Bench | verification.Config,
        ), name
        assert preset.__doc__.strip(), name
        stored = json.loads(json.dumps(runs.to_json(preset())))
        assert runs.from_json(stored) == preset()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset=hopskipjump"], "one of <hop_skip_jump|"),
        (["--config.attack.radios=1"], "Did you mean"),
        (["--config.attack.radius=wide"], "8/255), adaptive"),
        (["--config.attack.norm=l1"], "norm is 'l1', but must be one of 'l2', 'linf'"),
        (["--config.images.count=0"], "images.count is 0"),
        (["--preset=attack_bench", "--config.attack.cap=9"], "cap is 9"),
    ],
)
def test_mistakes_in_settings(words, message):
    with pytest.raises(UserError, match=re.escape(message)):
        command_line.parse_settings(configs.PRESETS, words)
