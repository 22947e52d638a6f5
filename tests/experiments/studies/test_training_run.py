"""Settings of runs that train."""

import dataclasses
import json

import pytest

from experiments.configs import network, zero_one
from experiments.studies.training_run import TrainingRun, as_json
from zeroone_jax.training import objectives

EXPERIMENTS = [
    zero_one.Experiment(seed=3),
    network.Experiment(seed=3),
    network.Experiment(objective=objectives.sense(confidence=0.7), seed=3),
]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_settings_are_those_of_the_experiment(experiment):
    run = TrainingRun("a", experiment)
    kept = json.loads(json.dumps(as_json(experiment)))
    assert run.name == "a-seed3"
    assert run.is_same(kept)
    other = TrainingRun("a", dataclasses.replace(experiment, seed=4))
    assert not other.is_same(kept)
    assert other.directory != run.directory


def test_results_may_be_older_than_a_setting_but_not_differ_in_one():
    run = TrainingRun("a", EXPERIMENTS[2])
    kept = json.loads(json.dumps(run.settings()))
    older = {name: value for name, value in kept.items() if name != "members"}
    assert run.is_same(older)
    assert not run.is_same({**older, "network": "another"})
    del kept["data"]["noise"]
    assert run.is_same(kept)
    ensemble = TrainingRun("a", dataclasses.replace(EXPERIMENTS[2], members=2))
    assert not ensemble.is_same(older)


def test_objectives_are_told_apart_by_name():
    names = {as_json(experiment)["objective"]["name"] for experiment in EXPERIMENTS[1:]}
    assert len(names) == 2
