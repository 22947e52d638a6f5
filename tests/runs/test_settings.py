"""Settings that were stored before their classes had a type in JSON are read."""

import json

import pytest

from experiments.configs import network, zero_one
from zeroone_jax import coordinate_descent, runs, training
from zeroone_jax.training import objectives

# As `experiments.train_network` wrote them, when there were no ensembles yet.
NETWORK = """
{
  "data": {"name": "mnist", "classes": [], "count": 0, "noise": 0.0},
  "network": "lenet_valid",
  "dtype": "float32",
  "objective": {
    "name": "Sense", "epsilon": 0.3, "step_size": 0.075, "steps": 10,
    "confidence": 0.5, "norm": "linf", "warm_up": 1, "natural_weight": 0.0,
    "ignored": "start"
  },
  "training": {
    "epochs": 4, "batch_size": 128,
    "optimizer": {
      "learning_rate": 0.05, "milestones": [3.2], "decay": 0.1, "momentum": 0.9,
      "nesterov": false, "weight_decay": 0.0, "decoupled": false, "decay_all": true
    },
    "augment": false, "average": 0.0, "accumulate": 1, "segment": 100
  },
  "evaluation": {
    "plan": "standard", "epsilon": 0.3, "images": 10000, "suite_images": 1000
  },
  "seed": 0
}
"""
# As `experiments.train_zero_one` wrote them.
ZERO_ONE = """
{
  "data": {"name": "cifar10", "classes": [0, 1], "noise": 0.0},
  "solver": {
    "votes": 8, "hidden": 20, "iterations": 1000, "rows": 0.75, "search": "screened",
    "features": 307, "candidates": 8, "hidden_steps": [0.17, 0.08],
    "output_step": 0.2, "output_candidates": 8, "window": 0, "bins": 2048,
    "loss": "zero_one", "objective": "schedule", "balanced_share": 0.2,
    "weights": "real", "acceptance": "not_worse", "pocket_every": 1, "tries": 1,
    "start": "gaussian", "centred_start": true, "hidden_values": "01",
    "adversarial_step": 0.0
  },
  "seed": 3
}
"""
OLD = {
    "network": (
        NETWORK,
        network.Experiment(
            objective=objectives.sense(epsilon=0.3, step_size=0.075, warm_up=1),
            training=training.Config(
                epochs=4,
                optimizer=training.Sgd(learning_rate=0.05, milestones=(3.2,)),
            ),
            evaluation=network.Evaluation(plan="standard"),
        ),
    ),
    "zero_one": (
        ZERO_ONE,
        zero_one.Experiment(solver=coordinate_descent.Config(), seed=3),
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_old_settings_are_read(name):
    text, expected = OLD[name]
    assert runs.from_json(json.loads(text), type(expected)) == expected


@pytest.mark.parametrize("name", OLD)
def test_an_old_run_goes_on_under_the_same_settings_only(name, tmp_path):
    text, experiment = OLD[name]
    (tmp_path / "config.json").write_text(text)
    settings = runs.to_json(experiment)
    with runs.RunDirectory(tmp_path, settings, resume=True, revision="abc"):
        pass
    with pytest.raises(runs.RunError, match=r"seed is \d there, 9 here$"):
        runs.RunDirectory(
            tmp_path, {**settings, "seed": 9}, resume=True, revision="abc"
        )


def test_settings_that_cannot_be_read_differ():
    settings = runs.to_json(training.Sgd())
    old = {"learning_rate": 0.1, "temperature": 3}
    told = runs.differences(old, settings)
    assert "temperature is 3 there, None here" in told
    assert runs.differences({"inside": settings}, {"inside": settings}) == []
    old = {name: value for name, value in settings.items() if name != "type"}
    assert runs.differences({"inside": old}, {"inside": settings}) == []
