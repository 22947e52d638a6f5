"""What runs of trained models are told apart by, and keep of their work."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import attacked_models
from experiments.reproductions.paper_a import targets
from experiments.run_directory import opened_at
from experiments.studies import bench as benches
from experiments.studies.columns import at, table
from experiments.studies.study import Place, Study, complete, stored
from experiments.studies.target import Foreign, Target


@dataclasses.dataclass(frozen=True)
class Protocol:
    images: int = 3


@dataclasses.dataclass(frozen=True)
class Bright(Foreign):
    """What is brighter than a threshold is of class 1."""

    path: str
    threshold: float

    def settings(self):
        return {"threshold": self.threshold}

    def missing(self):
        return "" if self.threshold < 1 else "too bright"

    def model(self):
        def logits_fn(x):
            return x.reshape(len(x), -1).mean(axis=1) - self.threshold

        source = attacked_models.Source(self.path, (0, 1))
        return attacked_models.Model(logits_fn, source, jnp.dtype(jnp.float32))


MODELS = [targets.described(name, 0.0, "smoke") for name in ("mlp01", "sigmoid")]


def test_settings_name_the_models_and_what_else_decides():
    first, second = (target.settings() for target in MODELS)
    (plain, _) = benches.each(MODELS, lambda bench, protocol: {})
    assert (plain.name, plain.settings()) == ("mlp01-seed0", first)
    (shifted, _) = benches.each(MODELS, lambda bench, protocol: {}, Protocol(), x=1)
    expected = {"model": first, "protocol": {"images": 3}, "x": 1}
    assert shifted.settings() == expected
    both = benches.ModelRun("both", tuple(MODELS), lambda bench, protocol: {})
    assert both.settings() == {"models": {"mlp01": first, "sigmoid": second}}
    assert len({run.directory for run in (plain, shifted, both)}) == 3


def test_pieces_are_made_once_and_their_time_adds_up(tmp_path, capsys):
    made = []

    def piece():
        made.append(1)
        return {"x": np.arange(3.0)}

    place = Place(tmp_path, tmp_path)
    for _ in range(2):
        with opened_at(tmp_path / "run", {}, resume=True) as run:
            bench = benches.Bench("work", {}, run, place, training=5.0)
            bench.expect(2)
            found = [bench.kept(name, piece, lambda x: "so far") for name in "ab"]
        total = sum(float(one["seconds"]) for one in found)
        assert bench.seconds == pytest.approx(total)
    assert len(made) == 2
    np.testing.assert_array_equal(found[0]["x"], [0, 1, 2])
    text = capsys.readouterr().err
    assert "measuring work: 1/2" in text
    assert "b so far" in text


def test_a_study_of_models_is_one_record(two_classes, tmp_path, caplog):
    """All that it takes to add one: models, a protocol, a measurement, columns."""
    measured = []

    def measure(bench, protocol):
        def darkest():
            measured.append(bench.name)
            images = bench.subject.test(slice(protocol.images))
            return {"darkest": np.asarray(images.x).mean(axis=(1, 2, 3)).min()}

        found = bench.kept("darkest", darkest)
        right = bench.subject.right("test").mean()
        return {"darkest": float(found["darkest"]), "right": float(right)}

    def tables(rows):
        cells = {"model": at("method"), "right": at("right"), "dark": at("darkest")}
        return [table("Brightness", rows, cells)]

    thresholds = {"low": 0.35, "high": 0.45, "absent": 1.0}
    models = [
        Target(name, 0.0, Bright(str(two_classes), threshold))
        for name, threshold in thresholds.items()
    ]
    brightness = Study(
        runs=lambda scale: benches.each(models, measure, Protocol(images=4)),
        tables={"table.md": tables},
    )
    place = Place(tmp_path / "runs", tmp_path)
    for _ in range(2):
        complete(brightness.runs("smoke"), tmp_path, place)
    assert measured == ["low", "high"]
    assert "absent-seed0 is left out: too bright" in caplog.text
    results = stored(tmp_path, brightness.runs("smoke"))
    text = brightness.report(results, tmp_path, place.runs)
    with np.load(two_classes) as file:
        bright = file["test_images"].reshape(20, -1).mean(axis=1) / 255
        labels = file["test_labels"]
    for name in ("low", "high"):
        right = np.mean((bright > thresholds[name]) == labels)
        line = f"| {name:5} | {right:.4f} | {bright[:4].min():.4f} |"
        assert line in text
        (found,) = results[name]
        assert found["seconds"] >= 0
        model = {"threshold": thresholds[name]}
        assert found["config"] == {"model": model, "protocol": {"images": 4}}
