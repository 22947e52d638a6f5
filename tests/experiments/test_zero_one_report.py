import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import zero_one_report
from zeroone_jax import coordinate_descent, data, runs
from zeroone_jax.evaluation.accuracy import Accuracy
from zeroone_jax.models import zero_one

X = jnp.array([[0.0, 0.2], [0.3, 0.5], [0.7, 0.5], [1.0, 0.9]])
Y = jnp.array([0, 0, 1, 1])
IMAGES = data.Split(
    np.zeros((4, 1, 2, 1), np.uint8),
    np.array([0, 0, 1, 1], np.int32),
    np.arange(4, dtype=np.int32),
    ("airplane", "automobile"),
)


def test_records_fall_on_whole_steps_wherever_a_segment_begins():
    def history(length: int) -> coordinate_descent.Info:
        moved = np.arange(length)[:, None] % 2 == np.zeros((1, 2), int)
        ones = np.ones((length, 2), np.int32)
        accuracy = np.linspace(0, 1, 2 * length, dtype=np.float32).reshape(length, 2)
        return coordinate_descent.Info(accuracy, moved, ~moved, ones, 2 * ones)

    assert [x["step"] for x in zero_one_report.records(60, history(60))] == [25, 50, 60]
    (only,) = zero_one_report.records(70, history(10))
    assert only == {
        "step": 70,
        "pocket_accuracy": [round(18 / 19, 6), 1.0],
        "accepted_hidden": 0.5,
        "accepted_output": 0.5,
        "threshold_moves": 1.0,
        "weight_moves": 2.0,
    }


@pytest.mark.parametrize(("bias", "warned"), [(-0.5, False), (-1e-7, True)])
def test_networks_that_hang_on_rounding_are_named(tmp_path, bias, warned):
    params = zero_one.linear(jnp.array([[1.0, 0.0]]), jnp.array([-0.5]))
    params = params.replace(b2=jnp.array([bias]))
    splits = {"train": (X, Y), "test": (X[:2], Y[:2])}
    path = pathlib.Path(tmp_path / "run")
    with runs.RunDirectory(path, {}, resume=False, revision="abc") as run:
        run.append_metrics(
            [
                {
                    "step": 25,
                    "pocket_accuracy": [1.0],
                    "accepted_hidden": 0.5,
                    "accepted_output": 0.5,
                }
            ]
        )
        zero_one_report.write(run, params, splits, IMAGES, seconds=1.0)
    summary = json.loads((path / "summary.json").read_text())
    assert summary["accuracy"]["train"] == {"votes": [1.0], "majority": 1.0}
    assert summary["margins"]["train"]["hidden"] == pytest.approx(0.2)
    assert summary["margins"]["test"]["output"] == pytest.approx(-bias)
    assert ("float64" in (path / "accuracy.md").read_text()) == warned


def test_many_votes_are_given_as_their_range():
    few = Accuracy(np.array([0.5, 0.7]), 0.8)
    assert zero_one_report.accuracy_rows([few, few]) == [
        ["vote 1", 0.5, 0.5],
        ["vote 2", 0.7, 0.7],
        ["mean of votes", 0.6, 0.6],
        ["majority", 0.8, 0.8],
    ]
    many = Accuracy(np.linspace(0, 1, 17), 0.9)
    assert zero_one_report.accuracy_rows([many]) == [
        ["lowest vote", 0.0],
        ["highest vote", 1.0],
        ["mean of votes", 0.5],
        ["majority", 0.9],
    ]


def test_one_against_all_draws_a_network_of_each_class(tmp_path):
    params = zero_one.linear(jnp.ones((2, 5, 2)), jnp.zeros((2, 5)))
    zero_one_report.draw_hidden_units(params, IMAGES, tmp_path / "units.png")
    with Image.open(tmp_path / "units.png") as image:
        image.verify()
