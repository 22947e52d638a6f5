"""The study of 2021: smallest scale on real images, tables of made-up results."""

import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from experiments import attacked_models, reproduce
from experiments.command_line import UserError
from experiments.reproductions.paper_a import pairs, targets
from experiments.studies import attacking
from experiments.studies.attacking import ADAPTIVE, STUDY
from experiments.studies.bench import in_common
from experiments.studies.columns import numbers

MODELS = ("mlp01", "sigmoid", "binarized")

pytestmark = pytest.mark.usefixtures("defined_flags")


def launched(folder: pathlib.Path, what: str = "pairs") -> dict:
    """Launches at the smallest scale; gives the result."""
    flags.FLAGS(["reproduce"])
    with flagsaver.flagsaver(what=f"paper_a.{what}", runs_dir=str(folder)):
        reproduce.main(None)
    (result,) = (folder / "paper_a" / what / "smoke").glob("0v1-*.json")
    return json.loads(result.read_text())


@pytest.mark.slow("trains on real images")
def test_the_study_of_a_pair_goes_on_after_its_last_piece(tmp_path, monkeypatch):
    found = launched(tmp_path)
    assert found["class_names"] == ["airplane", "automobile"]
    assert len(found["indices"]) == pairs.PROTOCOLS["smoke"].images
    for model in ("mlp01", "sigmoid"):
        kept = found["pieces"][model]
        distances = {way: numbers(piece["distance"]) for way, piece in kept.items()}
        assert set(distances) == {"study", "radius adaptive"}
        assert (distances["study"] > 0).all()
        assert np.isfinite(distances["radius adaptive"]).all()
        assert (distances["study"] != distances["radius adaptive"]).all()
        assert found["accuracy"][model] > 0.55

    results = tmp_path / "paper_a" / "pairs" / "smoke"
    text = (results / "table.md").read_text()
    median = np.median(numbers(found["pieces"]["sigmoid"]["study"]["distance"]))
    assert f"{median:.3f}" in text
    assert "1.054" in text

    (run,) = tmp_path.glob("0v1-seed0-*")
    (run / "summary.json").unlink()
    (run / "sigmoid-study.npz").unlink()
    (results / "0v1-seed0.json").unlink()
    made = []
    make = attacking.attack

    def counting(piece, *arguments):
        made.append(piece.name)
        return make(piece, *arguments)

    monkeypatch.setattr(attacking, "attack", counting)
    again = launched(tmp_path)
    assert made == ["study"]
    for kept in (again, found):
        del kept["pieces"]["sigmoid"]["study"]["seconds"]
    assert again["pieces"] == found["pieces"]
    assert again["indices"] == found["indices"]


@pytest.mark.slow("trains on real images")
def test_searches_are_compared_on_the_same_images(tmp_path):
    found = launched(tmp_path, "searches")
    assert set(found["pieces"]) == {"mlp01", "mlp01-blind"}
    assert len(found["indices"]) == pairs.PROTOCOLS["smoke"].images
    for kept in found["pieces"].values():
        assert (numbers(kept[STUDY]["distance"]) > 0).all()
    assert min(found["accuracy"].values()) > 0.55


def bright(path: pathlib.Path, threshold: float) -> attacked_models.Model:
    """Stands for a trained model: what is bright is of class 1."""

    def logits_fn(x):
        return x.reshape(len(x), -1).mean(axis=1) - threshold

    source = attacked_models.Source(str(path), (0, 1))
    return attacked_models.Model(logits_fn, source, jnp.dtype(jnp.float32))


def test_images_are_those_that_all_label_rightly(two_classes):
    models = {
        "low": bright(two_classes, 0.35),
        "high": bright(two_classes, 0.45),
    }
    indices, accuracy = in_common(models, 100)
    with np.load(two_classes) as file:
        brightness = file["test_images"].reshape(20, -1).mean(axis=1) / 255
        labels = file["test_labels"]
    rights = [(brightness > threshold) == labels for threshold in (0.35, 0.45)]
    assert not np.array_equal(*rights)
    assert indices.tolist() == np.flatnonzero(np.all(rights, axis=0)).tolist()
    shares = dict(zip(("low", "high"), np.mean(rights, axis=1), strict=True))
    assert accuracy == pytest.approx(shares)
    few, _ = in_common(models, 3)
    assert few.tolist() == indices[:3].tolist()


def test_no_image_in_common_is_told(two_classes):
    models = {
        "all": bright(two_classes, 0.0),
        "none": bright(two_classes, 1.0),
    }
    with pytest.raises(UserError, match="rightly by all of all, none"):
        in_common(models, 5)


def made_up(medians: dict[str, dict[str, float]]) -> dict:
    """A pair's result whose images have medians by attack and model."""
    models = medians[STUDY]
    return {
        "config": {"models": {model: {} for model in models}},
        "class_names": ["cat", "dog"],
        "indices": [0, 4, 5],
        "accuracy": dict.fromkeys(models, 0.75),
        "pieces": {
            model: {
                way: {"distance": [0.01, medians[way][model], None]} for way in medians
            }
            for model in models
        },
    }


def test_tables_count_on_how_many_pairs_a_model_is_the_largest(tmp_path):
    study = [(3.0, 2.0, 1.0), (2.0, 2.5, 1.0), (4.0, 1.5, 2.5)]
    adaptive = [(0.5, 2.0, 1.0), (0.25, 2.5, 0.5), (0.75, 1.5, 2.0)]
    results = {
        name: [
            made_up(
                {
                    STUDY: dict(zip(MODELS, first, strict=True)),
                    ADAPTIVE: dict(zip(MODELS, second, strict=True)),
                }
            )
        ]
        for name, first, second in zip(
            ("0v1", "0v2", "3v5"), study, adaptive, strict=True
        )
    }
    text = pairs.PAIRS.report(results, tmp_path, tmp_path)
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines()}
    cells = [cell.strip() for cell in rows["mlp01"].strip("|").split("|")]
    assert cells == [
        "mlp01",
        "0.7500",
        "3.000 ± 0.577",
        "2 of 3",
        "0.500 ± 0.144",
        "0 of 3",
        "1.055, largest on 23 of 45",
        "3.000",
        "1.159",
        "0.500",
    ]
    assert "| 2 of 3 |" not in rows["binarized"].replace(" ", "  ")
    assert rows["sigmoid"].count("of 3") == 2
    every = (tmp_path / "pairs.md").read_text(encoding="utf-8").splitlines()
    assert len(every) == 4 + len(results)
    last = [cell.strip() for cell in every[-1].strip("|").split("|")]
    assert last == [
        "3v5, cat / dog",
        *["0.750"] * 3,
        *("4.000", "1.500", "2.500", "mlp01"),
        *("0.750", "1.500", "2.000", "binarized"),
    ]
    with Image.open(tmp_path / "pairs.png") as image:
        assert np.asarray(image).std() > 1


def test_without_the_first_pair_its_columns_are_missing(tmp_path):
    ways = {way: dict.fromkeys(MODELS, 1.0) for way in (STUDY, ADAPTIVE)}
    text = pairs.PAIRS.report({"3v5": [made_up(ways)]}, tmp_path, tmp_path)
    assert "0v1" not in text
    assert "1.000 |" in text


def test_searches_have_a_table_of_their_own(tmp_path):
    searches = {
        STUDY: {"mlp01": 1.5, "mlp01-blind": 1.25},
        ADAPTIVE: {"mlp01": 0.5, "mlp01-blind": 0.75},
    }
    results = {"3v5-searches": [made_up(searches)]}
    text = pairs.SEARCHES_ON_PAIRS.report(results, tmp_path, tmp_path)
    assert "Both searches on 1 pairs (3v5)" in text
    rows = [line.strip("| ").split("|") for line in text.splitlines()[-2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["mlp01", "0.7500", "1.500", "1 of 1", "0.500", "0 of 1"],
        ["mlp01-blind", "0.7500", "1.250", "0 of 1", "0.750", "1 of 1"],
    ]
    assert (tmp_path / "table.md").read_text().strip() == text


@pytest.mark.parametrize(
    ("listed", "count", "models"),
    [
        (pairs.pair_runs, 45, MODELS),
        (pairs.search_runs, 5, ("mlp01", "mlp01-blind")),
    ],
)
def test_all_pairs_are_trained_each_on_its_own_classes(listed, count, models):
    runs = listed("laptop")
    assert len({run.directory for run in runs}) == len(runs) == count
    for run in runs:
        assert tuple(target.label for target in run.targets) == models
        classes = {target.trained.data.classes for target in run.targets}
        assert classes == {tuple(map(int, run.method.partition("-")[0].split("v")))}
    first, second = (run.targets[0].directory for run in runs[:2])
    assert first == targets.described("mlp01", 0.0, "laptop").directory
    assert first != second


def test_searches_are_compared_on_every_class_once_and_at_each_scale():
    pairs_of = {
        scale: [run.method[:3] for run in pairs.search_runs(scale)]
        for scale in ("smoke", "laptop", "paper")
    }
    assert sorted("".join(pairs_of["laptop"]).replace("v", "")) == list("0123456789")
    assert pairs_of["smoke"] == ["0v1"]
    assert len(pairs_of["paper"]) == 45
    (run,) = pairs.search_runs("smoke")
    assert {target.trained.solver.iterations for target in run.targets} == {12}


def test_networks_of_the_authors_have_no_other_classes():
    with pytest.raises(ValueError, match="authors is of classes 0 and 1 only"):
        targets.described("authors", 0.0, "laptop").of((3, 5))
