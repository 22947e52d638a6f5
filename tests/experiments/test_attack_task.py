import dataclasses
import json

import numpy as np
import pytest

from experiments import attack_task
from experiments.command_line import UserError
from experiments.configs import attack as configs
from tests.experiments.attacked import experiment
from zeroone_jax import data
from zeroone_jax.models import zero_one


@pytest.fixture(scope="module")
def settings(networks, two_classes):
    return experiment(networks, two_classes)


def test_images_are_chosen_as_asked(settings):
    name = settings.images.name
    by_index = configs.Images(name, indices=(5, 2), only_correct=False)
    task = attack_task.prepare(dataclasses.replace(settings, images=by_index))
    assert task.split.indices.tolist() == [5, 2]
    everything = configs.Images(name, count=100, only_correct=False)
    task = attack_task.prepare(dataclasses.replace(settings, images=everything))
    assert len(task.images.x) == 20


def test_a_run_directory_as_model(settings, networks, two_classes, tmp_path):
    params = zero_one.load(networks)
    zero_one.save(tmp_path / "networks.npz", params)
    trained = {"data": {"name": str(two_classes), "classes": [0, 1]}}
    (tmp_path / "config.json").write_text(json.dumps(trained))
    task = attack_task.prepare(
        dataclasses.replace(
            settings, model=str(tmp_path), images=configs.Images(count=7)
        )
    )
    np.testing.assert_array_equal(task.images.x, attack_task.prepare(settings).images.x)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "nowhere"}, r"no model at nowhere.*train_zero_one.*\.npz"),
        ({"model": "nowhere.npz"}, r"nowhere\.npz"),
        ({"images": {"name": "nothing"}}, "nothing"),
        ({"images": {"indices": (3, 20)}}, r"\(3, 20\), but there are 20"),
        ({"images": {"name": "cifar10"}}, "48"),
    ],
)
def test_what_cannot_be_had_is_named(settings, changes, message, monkeypatch):
    def small(*_, **__):
        return data.Split(
            np.zeros((4, 5, 5, 3), np.uint8),
            np.zeros(4, np.int32),
            np.arange(4, dtype=np.int32),
            ("a", "b"),
        )

    if changes.get("images") == {"name": "cifar10"}:
        monkeypatch.setattr(data, "load", small)
    if "images" in changes:
        images = dataclasses.replace(settings.images, **changes["images"])
        changes = {"images": images}
    with pytest.raises(UserError, match=message):
        attack_task.prepare(dataclasses.replace(settings, **changes))


@pytest.mark.parametrize(("every_class", "ahead"), [(False, 1), (True, 0)])
def test_targeted_suites_are_given_targets_or_labels(settings, every_class, ahead):
    preset = configs.PRESETS["suite_targeted"]().attack
    suite = dataclasses.replace(preset, every_class=every_class)
    task = attack_task.prepare(dataclasses.replace(settings, attack=suite))
    labels = np.asarray(task.split.labels)
    np.testing.assert_array_equal(task.images.goal, (labels + ahead) % 2)
