"""The challenge and the tables by labels, on three linear votes and small images."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from experiments import attacked_models, reproduce
from experiments.reproductions.paper_a import challenge, challenge_report, labels
from experiments.studies.columns import numbers
from experiments.studies.study import Row
from experiments.studies.target import Foreign, Target

pytestmark = pytest.mark.usefixtures("defined_flags")


@dataclasses.dataclass(frozen=True)
class Votes(Foreign):
    """The votes of the tests' networks, on the tests' images."""

    networks: pathlib.Path
    images: pathlib.Path

    def settings(self) -> dict:
        return {"trained": "by hand"}

    def missing(self) -> str:
        return ""

    def model(self) -> attacked_models.Model:
        model = attacked_models.load(str(self.networks), double=False)
        source = attacked_models.Source(str(self.images), (0, 1))
        return dataclasses.replace(model, source=source)


@pytest.fixture(autouse=True)
def votes(networks, two_classes, monkeypatch):
    target = Target("votes", 0.0, Votes(networks, two_classes))
    for module in (challenge, labels):
        monkeypatch.setattr(module, "described", lambda *arguments: target)


def launched(folder: pathlib.Path, what: str) -> pathlib.Path:
    flags.FLAGS(["reproduce"])
    with flagsaver.flagsaver(what=what, runs_dir=str(folder)):
        reproduce.main(None)
    return folder.joinpath(*what.split("."), "smoke")


def read(results: pathlib.Path, name: str) -> Row:
    return json.loads((results / f"{name}-seed0.json").read_text())


@pytest.mark.slow("two attacks by labels")
def test_adversaries_are_kept_on_the_grid(networks, two_classes, tmp_path, monkeypatch):
    monkeypatch.setattr(challenge_report, "EPSILONS", (4, 8, 64))
    results = launched(tmp_path, "paper_a.challenge")
    inside, outside = (read(results, run) for run in (challenge.INSIDE, "labels-only"))
    assert max(found["queries"] for found in outside["found"].values()) <= 100
    with np.load(two_classes) as data, np.load(networks) as weights:
        x = data["test_images"].reshape(20, -1).astype(int)
        y = data["test_labels"]
        planes = weights["w1"].reshape(3, -1), weights["b1"].reshape(3)
    with np.load(results / "adversaries.npz") as kept:
        ways = {
            "crossed": inside["found"]["verification"],
            **outside["found"],
        }
        assert set(kept) == {f"{way}_{n}" for way in ways for n in ("index", "moves")}
        for way, found in ways.items():
            index, moves = kept[f"{way}_index"], kept[f"{way}_moves"].astype(int)
            there = x[index] + moves
            assert there.min() >= 0
            assert there.max() <= 255
            for_one = (there / 255 @ planes[0].T + planes[1] > 0).sum(axis=1) >= 2
            assert (for_one != y[index]).all()
            sizes = [size for size in found["levels"] if size is not None]
            assert np.abs(moves).max(axis=1).tolist() == sizes
    # Nobody is nearer than what is proved.
    l2, bound = map(numbers, (inside["found"]["verification"]["l2"], inside["bound"]))
    near = np.isfinite(l2)
    assert near.any()
    assert (l2[near] >= bound[near] - 1e-5).all()
    assert "| weights known: verification" in (results / "table.md").read_text()


def test_attacks_by_labels_stand_beside_what_is_proved(tmp_path):
    results = launched(tmp_path, "paper_a.labels")
    cgba, exact = (read(results, f"votes-{name}") for name in ("cgba", "exact"))
    distance = np.array(cgba["distance"], float)
    assert distance.shape == (2, 2)
    assert (np.diff(distance, axis=1) <= 0).all()
    assert (distance >= np.array(exact["lower"])[:, None] - 1e-5).all()
    assert cgba["queries"] <= 100
    text = (results / "table.md").read_text()
    ratio = np.median(distance[:, 1] / np.array(exact["lower"]))
    assert f"{np.median(distance[:, 0]):.4f}" in text
    assert f"{ratio:.2f}" in text
