"""Images on disk are those in memory, in the same order, and train the same network."""

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.data import test_tfds_reader as written
from zeroone_jax import data, models, training
from zeroone_jax.training import objectives

KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The set `pets`, whose ids tell another order than the stored one."""
    folder = tmp_path_factory.mktemp("data")
    features = {
        "image": written.IMAGE,
        "label": written.LABEL,
        "id": tfds.features.Text(),
    }
    ids = [f"train_{row}" for row in range(written.COUNT)]
    written.prepare(folder, features, written.pets(id=ids))
    return folder


def test_same_as_in_memory(folder):
    opened = data.open_split("pets", "train", folder)
    loaded = data.load("pets", "train", data_dir=folder)
    assert isinstance(opened.images, data.OnDisk)
    assert opened.images.shape == loaded.images.shape
    assert len(opened.images) == written.COUNT
    np.testing.assert_array_equal(np.asarray(opened.images), loaded.images)
    np.testing.assert_array_equal(np.asarray(opened.images), written.IMAGES)
    for name in ("labels", "indices", "class_names"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(loaded, name))
    some = opened.take(np.array([7, 2])).images[1:]
    assert isinstance(some, data.OnDisk)
    np.testing.assert_array_equal(np.asarray(some), loaded.images[[2]])


def test_refusals(folder, tmp_path):
    with pytest.raises(ValueError, match="no split 'test': it has train"):
        data.open_split("pets", "test", folder)
    directory = written.prepare(
        tmp_path, {"image": written.IMAGE, "label": written.LABEL}, written.pets()
    )
    written.as_tfrecord(directory)
    with pytest.raises(ValueError, match="only array_record is read while training"):
        data.open_split("pets", "train", tmp_path)


def test_images_of_another_shape_are_named():
    small, large = np.zeros((2, 2, 1), np.uint8), np.zeros((3, 2, 1), np.uint8)
    examples = [{"image": small}, {"image": large}]
    images = data.OnDisk(examples, "image", np.arange(2), (2, 2, 1))
    with pytest.raises(ValueError, match=r"image 1 has shape \(3, 2, 1\)"):
        np.asarray(images)


class Counted(list):
    """Examples that count how many were read."""

    read = 0

    def __getitem__(self, place):
        self.read += 1
        return super().__getitem__(place)


def test_no_more_is_read_ahead_than_asked_for():
    pytest.importorskip("grain", reason="extra 'data' is not installed")
    numbers = np.arange(1000, dtype=np.uint8).reshape(-1, 1, 1, 1)
    examples = Counted([{"image": image} for image in numbers])
    images = data.OnDisk(examples, "image", np.arange(1000)[::-1], (1, 1, 1))
    rows = np.random.default_rng(0).permutation(1000).reshape(250, 2, 2)
    ahead = images.ahead(rows, most=3)
    for _, batch in zip(range(5), rows, strict=False):
        np.testing.assert_array_equal(next(ahead), numbers[::-1][batch])
    assert examples.read <= 4 * (5 + 3 + 1)


@pytest.mark.slow("trains")
def test_trains_the_same_network(folder):
    """Also where it goes on amid an epoch, and where examples are remembered."""
    pytest.importorskip("grain", reason="extra 'data' is not installed")
    split = data.load("pets", "train", data_dir=folder)
    images = data.open_split("pets", "train", folder).images
    network = models.build("mlp_sigmoid20", (5, 4, 3), classes=3)
    objective = objectives.instance_adaptive(
        epsilon=0.1, step_size=0.05, steps=2, radius_step=0.02, warm_up=0
    )
    config = training.Config(epochs=2, batch_size=4, segment=2)
    kept = {}

    def keep(state, told):
        kept[told.step] = jax.tree.map(np.asarray, state)

    def fit(images, state=None):
        return training.fit(
            KEY,
            network,
            objective,
            images,
            split.labels,
            config,
            state=state,
            on_segment=keep,
        )

    wanted = jax.tree.map(np.asarray, fit(split.images))
    assert list(kept) == [2, 3, 5, 6]
    for start in (None, kept[2]):
        found = fit(images, start)
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
