"""Networks that `train_network` leaves, attacked by the launcher."""

import dataclasses
import json

import numpy as np
import pytest

from experiments import attack as launcher
from experiments import attack_task, attacked_models, train_network
from experiments.command_line import UserError
from experiments.configs import attack as configs
from experiments.configs.network import Data, Evaluation, Experiment
from zeroone_jax import attacks, data, runs, training
from zeroone_jax.models import network as networks

pytestmark = pytest.mark.slow("trains a network")

KINDS = {
    "pgd": attacks.pgd(epsilon=0.1, iterations=5),
    "square": attacks.square(epsilon=0.1, max_queries=20),
    "hop_skip_jump": attacks.hop_skip_jump(iterations=2, initial_directions=20),
    "suite_standard": configs.PRESETS["suite_standard"]().attack,
}


@pytest.fixture(scope="module")
def trained(three_classes, tmp_path_factory):
    """A run directory of `train_network`."""
    path = tmp_path_factory.mktemp("runs") / "network"
    experiment = Experiment(
        data=Data(str(three_classes), classes=(2, 0, 1)),
        network="mlp_relu200",
        training=training.Config(epochs=20, batch_size=20),
        evaluation=Evaluation(plan="quick", epsilon=0.1, images=20),
    )
    settings = runs.to_json(experiment)
    with runs.RunDirectory(path, settings, resume=False, revision="abc") as run:
        train_network.fill(experiment, run)
    return path


def prepared(trained, attack, **changes):
    images = configs.Images(count=4, only_correct=True)
    experiment = configs.Experiment(attack=attack, model=str(trained), images=images)
    experiment = dataclasses.replace(experiment, **changes)
    return experiment, attack_task.prepare(experiment)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_network_is_attacked(trained, tmp_path, kind):
    experiment, task = prepared(trained, KINDS[kind])
    with runs.RunDirectory(
        tmp_path, runs.to_json(experiment), resume=False, revision="abc"
    ) as run:
        launcher.fill(experiment, task, run)
    assert task.images.x.shape[1:] == (4, 4, 3)
    with np.load(tmp_path / "adversaries.npz") as file:
        adversary, success = file["adversary"], file["success"]
        before, after, label = file["label_before"], file["label_after"], file["label"]
    np.testing.assert_array_equal(before, label)
    assert success.any()
    np.testing.assert_array_equal(success, after != label)
    split = data.load(
        json.loads((trained / "config.json").read_text())["data"]["name"],
        "test",
        classes=(2, 0, 1),
    )
    network = train_network.build(Experiment(network="mlp_relu200"), split)
    variables = networks.load(trained / "network.npz", network)
    x = adversary.reshape(-1, 4, 4, 3)
    np.testing.assert_array_equal(
        np.asarray(network.apply(variables, x)).argmax(1), after
    )


def test_it_is_attacked_on_what_it_was_trained_on(trained, three_classes):
    model = attacked_models.load(str(trained), double=False)
    assert model.source == attacked_models.Source(str(three_classes), (2, 0, 1))


@pytest.mark.parametrize("torn", ["", '{"data": {"na', "[1]", "{}"])
def test_damaged_settings_are_told(trained, tmp_path, torn):
    (tmp_path / "network.npz").write_bytes((trained / "network.npz").read_bytes())
    (tmp_path / "config.json").write_text(torn)
    with pytest.raises(UserError, match=r"no model: .*config\.json") as caught:
        attacked_models.load(str(tmp_path), double=False)
    assert "\n" not in str(caught.value)


def test_a_damaged_network_is_told(trained, tmp_path):
    (tmp_path / "config.json").write_bytes((trained / "config.json").read_bytes())
    whole = (trained / "network.npz").read_bytes()
    (tmp_path / "network.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"network\.npz is damaged.*--resume"):
        attacked_models.load(str(tmp_path), double=False)
    with np.load(trained / "network.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays.pop(next(iter(arrays)))
    np.savez(tmp_path / "network.npz", **arrays)
    with pytest.raises(UserError, match="another network's variables"):
        attacked_models.load(str(tmp_path), double=False)
