import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from experiments import demo
from experiments.configs import network, zero_one
from experiments.reproductions.paper_a import cnn, targets
from experiments.studies import substitutes
from experiments.studies.study import Place
from experiments.studies.target import Target
from zeroone_jax import attacks, coordinate_descent, training

SMALL = coordinate_descent.Config(
    votes=2, hidden=2, iterations=30, features=10, candidates=2, bins=64
)
PROTOCOL = substitutes.Protocol(
    attacks.Substitute(
        epsilons=(0.0625, 0.125), hidden=(5,), rounds=2, epochs=2, limit=20
    ),
    seeds=1,
    asked=10,
    attacked=10,
)


@pytest.mark.slow("trains networks")
def test_the_demo_attacks_three_models(two_classes, tmp_path):
    solver = zero_one.Experiment(
        data=zero_one.Data(str(two_classes), (0, 1)), solver=SMALL
    )
    sigmoid = network.Experiment(
        data=network.Data(str(two_classes), (0, 1)),
        network="mlp_sigmoid20",
        training=training.Config(
            epochs=9, batch_size=10, optimizer=training.Adam(learning_rate=0.01)
        ),
        members=2,
    )
    binarized = dataclasses.replace(sigmoid, network="binarized20", combine="votes")
    models = [
        Target("mlp01", 0.0, solver),
        Target("sigmoid", 0.0, sigmoid),
        Target("binarized", 0.0, binarized),
    ]
    place = Place(tmp_path / "models", tmp_path / "out")
    protocol = cnn.Protocol(images=2, iterations=1, law="signs", substitute=PROTOCOL)
    text = demo.demonstrate(models, place, protocol)
    written = (place.results / "table.md").read_text(encoding="utf-8")
    assert written == text + "\n"
    found = json.loads((place.results / "demo.json").read_text())
    rows = {row["8 votes"]: row for row in found["rows"]}
    assert list(rows) == ["mlp01", "sigmoid", "binarized"]
    for row in rows.values():
        assert row["nearest of all"] <= min(row["HopSkipJump"], row["its radius tuned"])
        assert 0.5 < row["test"] <= 1
        assert 0 <= row["substitute 0.125"] <= 1
    assert rows["mlp01"]["authors: HopSkipJump"] == "1.159"
    with Image.open(place.results / "distances.png") as image:
        assert np.asarray(image).std() > 1


def test_the_demo_has_the_models_of_the_abstract():
    names = [target.label for target in targets.compared(sigmoid=60, binarized=20)]
    assert names == ["mlp01", "sigmoid", "binarized"]
    sigmoid = targets.compared(sigmoid=60, binarized=20)[1].trained
    assert sigmoid.training.epochs == 60
    assert sigmoid.members == 8
