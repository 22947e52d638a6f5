"""01 networks beside convolutional ones: the smallest scale, and made-up results."""

import json

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from experiments import reproduce
from experiments.reproductions.paper_a import cnn, targets
from experiments.studies import attacking, substitutes

pytestmark = pytest.mark.usefixtures("defined_flags")


@pytest.mark.computes
@pytest.mark.slow("trains on real images")
def test_the_smallest_scale_goes_on_where_it_was(tmp_path, monkeypatch):
    def launched():
        flags.FLAGS(["reproduce"])
        with flagsaver.flagsaver(what="paper_a.cnn", runs_dir=str(tmp_path)):
            reproduce.main(None)
        results = tmp_path / "paper_a" / "cnn" / "smoke"
        return results, json.loads((results / "noise-0.0-seed0.json").read_text())

    results, found = launched()
    assert set(found["pieces"]) == {"mlp01", "lenet"}
    by_labels = {attacking.STUDY, attacking.ADAPTIVE}
    by_weights = {"mlp01": {"polished"}, "lenet": {"fab", "deep_fool"}}
    for row in attacking.by_model([found]):
        label = row["method"]
        assert set(row["pieces"]) == by_labels | by_weights[label]
        nearest = attacking.distances(row, *by_weights[label])
        assert (nearest > 0).all()
        assert (nearest < attacking.distances(row, *by_labels)).all()
        assert found["accuracy"][label] > 0.55
        shares = [record["adversarial_accuracy"] for record in found["records"][label]]
        assert np.shape(shares) == (2, 1, 2)
    text = (results / "table.md").read_text()
    assert "(polished)" in text
    assert (results / "distances.png").exists()

    (run,) = tmp_path.glob("noise-0.0-seed0-*")
    (run / "summary.json").unlink()
    (run / "lenet-substitute-1.npz").unlink()
    (results / "noise-0.0-seed0.json").unlink()
    made = []
    record = {name: np.array(v) for name, v in found["records"]["lenet"][1].items()}
    monkeypatch.setattr(
        substitutes, "attacked", lambda seed, *_: made.append(seed) or record
    )
    _, again = launched()
    assert made == [1]
    assert again["pieces"] == found["pieces"]
    assert again["records"] == found["records"]


def made_up(noise: float) -> dict:
    """A result of the laptop's settings; each model's numbers are its own."""
    (run,) = (
        run for run in cnn.comparison_runs("laptop") if run.method == f"noise-{noise}"
    )
    labels = [target.label for target in run.targets]
    pieces = {}
    for place, label in enumerate(labels, 1):
        last = "polished" if label.startswith("mlp01") else "fab"
        distances = {attacking.STUDY: 8.0, attacking.ADAPTIVE: 4.0, last: 2.0}
        pieces[label] = {
            piece: {"distance": [place * size, place * size, None]}
            for piece, size in distances.items()
        }
        # The image that the last attack lost is nearest by another one.
        pieces[label][attacking.STUDY]["distance"][2] = place / 4
    return {
        "config": run.settings(),
        "indices": [3, 4, 5],
        "accuracy": dict.fromkeys(labels, 0.875),
        "pieces": pieces,
        "records": {
            label: [
                {"adversarial_accuracy": [[0.9, 0.8], [0.5 + seed, 0.25]]}
                for seed in (0.0, 0.2)
            ]
            for label in labels
        },
    }


def test_the_table_has_every_model_with_and_without_noise(tmp_path):
    results = {f"noise-{noise}": [made_up(noise)] for noise in (0.0, 0.1)}
    text = cnn.CNN.report(results, tmp_path, tmp_path)
    rows = [line.strip("| ").split("|") for line in text.splitlines()[4:]]
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert len(cells) == 10
    assert cells["mlp01"] == [
        "8",
        "0.8750",
        "0.600 ± 0.100",
        "0.250 ± 0.000",
        "-",
        "8.0000",
        "4.0000",
        "2.0000 (polished)",
        "2.0000",
    ]
    assert cells["mlp01-blind"][4] == ".58 at .0625, .40 at .125"
    assert cells["lenet"][0] == "1"
    assert cells["lenet"][-2:] == ["8.0000 (fab)", "8.0000"]
    assert cells["simple_net-noise-0.1"][4] == "-"
    models = attacking.by_model([made_up(0.0) | {"method": "noise-0.0"}])
    sigmoid = next(row for row in models if row["method"] == "sigmoid")
    nearest = attacking.distances(sigmoid, *sigmoid["pieces"])
    assert nearest.tolist() == [6.0, 6.0, 0.75]
    with Image.open(tmp_path / "distances.png") as image:
        assert np.asarray(image).std() > 1


def test_models_are_those_of_the_other_tables():
    """What is trained for them need not be trained again."""
    known = {target.directory for target in targets.targets("laptop")}
    for run in cnn.comparison_runs("laptop"):
        own = {target.name: target.directory for target in run.targets}
        assert own.pop("simple_net") not in known
        assert known.issuperset(own.values())
