"""Sets outside the catalog, as other TFDS users prepare them."""

import contextlib
import io
import struct

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import registered

from zeroone_jax import data
from zeroone_jax.data import tfds_reader

COUNT = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 5, 4, 3), np.uint8)
LABELS = np.arange(COUNT) % 3
IMAGE = tfds.features.Image(shape=(None, None, 3))
LABEL = tfds.features.ClassLabel(names=["cat", "dog", "frog"])


def png(image):
    picture = io.BytesIO()
    Image.fromarray(image).save(picture, "PNG")
    picture.seek(0)
    return picture


def prepare(folder, features, examples, supervised_keys=None):
    """Writes the set `pets`, keyed by the running index, as TFDS itself would."""
    with registered.skip_registration():

        class Pets(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.2.3")
            name = "pets"

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=supervised_keys,
                )

            def _split_generators(self, dl_manager):
                return {"train": self._generate_examples()}

            def _generate_examples(self):
                yield from enumerate(examples)

    builder = Pets(data_dir=folder, file_format="array_record")
    tfds.display_progress_bar(False)
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    return folder / "pets" / "1.2.3"


def pets(**more):
    """Examples of an image, a label and more features, a list of values each."""
    return [
        {"image": png(image), "label": int(label)}
        | {name: values[row] for name, values in more.items()}
        for row, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True))
    ]


def as_tfrecord(directory):
    """Rewrites a directory in TFDS's default format."""
    from array_record.python import array_record_module

    (path,) = directory.glob("*.array_record*")
    reader = array_record_module.ArrayRecordReader(str(path))
    records = reader.read_all()
    reader.close()
    path.unlink()
    framed = b"".join(
        struct.pack("<QI", len(record), 0) + record + bytes(4) for record in records
    )
    name = path.name.replace("array_record", "tfrecord")
    (directory / name).write_bytes(framed)
    info = directory / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    return directory / name


def assert_same_rows(split):
    found = {
        image.tobytes(): label
        for image, label in zip(split.images, split.labels, strict=True)
    }
    wanted = zip(IMAGES, LABELS, strict=True)
    assert found == {image.tobytes(): label for image, label in wanted}
    assert split.class_names == ("cat", "dog", "frog")
    assert split.indices.tolist() == list(range(COUNT))


def test_any_prepared_set(tmp_path):
    prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets())
    assert_same_rows(data.load("pets", "train", data_dir=tmp_path))
    assert_same_rows(data.load("pets:1.2.3", "train", data_dir=tmp_path))
    chosen = data.load("pets", "train", classes=("frog", "cat"), data_dir=tmp_path)
    assert chosen.class_names == ("frog", "cat")
    assert len(chosen.labels) == 8


def test_ids_give_the_original_order(tmp_path):
    features = {"image": IMAGE, "label": LABEL, "id": tfds.features.Text()}
    ids = [f"train_{row}" for row in range(COUNT)]
    prepare(tmp_path, features, pets(id=ids))
    split = data.load("pets", "train", data_dir=tmp_path)
    np.testing.assert_array_equal(split.images, IMAGES)
    np.testing.assert_array_equal(split.labels, LABELS)


@pytest.mark.parametrize("ids", [["a"] * COUNT, list("bcdefghijkl5"), ["7"] * COUNT])
def test_other_ids_leave_the_stored_order(tmp_path, ids):
    features = {"image": IMAGE, "label": LABEL, "id": tfds.features.Text()}
    prepare(tmp_path, features, pets(id=ids))
    source = tfds.builder_from_directory(tmp_path / "pets/1.2.3").as_data_source(
        "train"
    )
    stored = np.stack([example["image"] for example in source])
    split = data.load("pets", "train", data_dir=tmp_path)
    np.testing.assert_array_equal(split.images, stored)


def test_supervised_keys_choose_among_several_labels(tmp_path):
    features = {
        "image": IMAGE,
        "label": LABEL,
        "coarse": tfds.features.ClassLabel(names=["furry", "slimy"]),
    }
    examples = pets(coarse=[int(label == 2) for label in LABELS])
    prepare(tmp_path / "fine", features, examples, ("image", "label"))
    assert_same_rows(data.load("pets", "train", data_dir=tmp_path / "fine"))
    prepare(tmp_path / "open", features, pets(coarse=[0] * COUNT))
    with pytest.raises(ValueError, match=r"labels \['coarse', 'label'\]"):
        data.load("pets", "train", data_dir=tmp_path / "open")


def test_images_of_several_shapes_are_refused(tmp_path):
    examples = pets()
    examples[3]["image"] = png(IMAGES[3, :3])
    prepare(tmp_path, {"image": IMAGE, "label": LABEL}, examples)
    with pytest.raises(ValueError, match=r"differ in shape: .*\(3, 4, 3\)"):
        data.load("pets", "train", data_dir=tmp_path)


def test_an_unknown_split_is_refused(tmp_path):
    prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets())
    with pytest.raises(ValueError, match="pets has no split 'test': it has train"):
        data.load("pets", "test", data_dir=tmp_path)


def test_an_unknown_set_lists_the_prepared_ones(tmp_path):
    prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets())
    with pytest.raises(ValueError, match=r"'pet'.*cifar10.*\(pets\)"):
        data.load("pet", "train", data_dir=tmp_path)


def test_tfrecords_of_a_stock_preparation(tmp_path):
    as_tfrecord(prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets()))
    assert_same_rows(data.load("pets", "train", data_dir=tmp_path))


@pytest.mark.parametrize("keep", [8, 50, -2])
def test_tfrecords_that_break_off(tmp_path, keep):
    directory = prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets())
    path = as_tfrecord(directory)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(data.DamagedError, match="pets"):
        data.load("pets", "train", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("torn", [None, "", '{"name": "pe', "[1]"])
def test_damaged_metadata_is_named_with_a_remedy(tmp_path, name, torn):
    path = prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets()) / name
    path.unlink() if torn is None else path.write_text(torn)
    with pytest.raises(data.DamagedError) as caught:
        data.load("pets", "train", data_dir=tmp_path)
    told = str(caught.value)
    assert told.startswith(f"{path} is damaged (")
    assert told.endswith("prepare the data set again with TFDS (`tfds build`)")
    assert "\n" not in told


def test_metadata_of_another_kind(tmp_path):
    directory = prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets())
    (directory / "features.json").write_text('{"pythonClassName": "nothing"}')
    with pytest.raises(data.DamagedError, match=r"pets/1\.2\.3 is damaged"):
        data.load("pets", "train", data_dir=tmp_path)


@pytest.mark.parametrize(
    "torn", [b"", b"cat\ndog\n", b"cat\ndog\nfr", b"cat\n\xffog\nfrog\n"]
)
def test_torn_class_names_are_said(tmp_path, torn):
    # TFDS alone gives other names back, or numbers, and says nothing.
    directory = prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets())
    (directory / "label.labels.txt").write_bytes(torn)
    with pytest.raises(data.DamagedError, match=r"label\.labels\.txt is damaged"):
        data.load("pets", "train", data_dir=tmp_path)


def test_classes_without_names_are_numbers(tmp_path):
    label = tfds.features.ClassLabel(num_classes=3)
    prepare(tmp_path, {"image": IMAGE, "label": label}, pets())
    split = data.load("pets", "train", data_dir=tmp_path)
    assert split.class_names == ("0", "1", "2")


def test_other_formats_say_what_to_do(tmp_path):
    directory = prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets())
    info = directory / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"riegeli"'))
    with pytest.raises(ValueError, match=r"riegeli files.*tfds build"):
        data.load("pets", "train", data_dir=tmp_path)


def test_order_by_key_is_how_tfds_stores(tmp_path):
    directory = prepare(tmp_path, {"image": IMAGE, "label": LABEL}, pets())
    split = tfds_reader.read("pets", directory, "train")
    order = tfds_reader.order_by_key("train", COUNT)
    np.testing.assert_array_equal(split.images[order], IMAGES)
