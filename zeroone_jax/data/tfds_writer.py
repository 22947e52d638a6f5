"""Writes a standard TFDS directory without TensorFlow."""

import contextlib
import io
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zeroone_jax.data.catalog import Dataset
from zeroone_jax.data.progress import Progress
from zeroone_jax.extras import imported


def write(
    dataset: Dataset,
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
    data_dir: pathlib.Path,
    progress: Progress,
) -> pathlib.Path:
    """Writes a TFDS directory through the builder that TFDS registers.

    Examples carry PNG bytes, which TFDS stores as they are; arrays it would encode
    with TensorFlow.

    Args:
        dataset: what is written.
        splits: split name to images u8 [n, h, w, c] and labels i32 [n].
        data_dir: where to create `<name>/<version>/`, which is returned.
        progress: told how many examples are encoded.
    """
    package = "tensorflow-datasets"
    tfds = imported("tensorflow_datasets", package, "data")
    registered = imported("tensorflow_datasets.core.registered", package, "data")

    registered_class: Any = tfds.builder_cls(dataset.name)

    def split_generators(builder: Any, dl_manager: Any) -> Any:
        del dl_manager  # Sources are ours.
        features = builder.info.features
        if tuple(features["label"].names) != dataset.class_names:
            features["label"].names = dataset.class_names
        return {
            split: _examples(split, *arrays, "id" in features, progress)
            for split, arrays in splits.items()
        }

    # The same name and module, so that the directory says what TFDS's own would.
    with registered.skip_registration():
        builder_class = type(
            registered_class.__name__,
            (registered_class,),
            {
                "__module__": registered_class.__module__,
                "_split_generators": split_generators,
            },
        )
    builder = builder_class(
        data_dir=data_dir, version=dataset.version, file_format="array_record"
    )
    # TFDS's bars know no totals, and standard output belongs to the caller.
    tfds.display_progress_bar(False)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_dir=data_dir / "downloads")
    finally:
        tfds.display_progress_bar(True)
    return pathlib.Path(builder.data_path)


def _examples(
    split: str,
    images: np.ndarray,
    labels: np.ndarray,
    with_id: bool,
    progress: Progress,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields TFDS's keys and examples: the key is the running index."""
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        example: dict[str, Any] = {"image": _png(image), "label": int(label)}
        if with_id:
            example["id"] = f"{split}_{index:05d}"
        yield index, example
        progress(f"encoding {split}", index + 1, len(images))


def _png(image: np.ndarray) -> io.BytesIO:
    library = imported("PIL.Image", "pillow", "data")
    picture = io.BytesIO()
    one_channel = image.shape[-1] == 1
    pixels = image[..., 0] if one_channel else image
    library.fromarray(pixels).save(picture, "PNG")
    picture.seek(0)
    return picture
