"""Images that stay on disk, and are read ahead of the trainer that asks for them.

For sets that do not fit into memory. Their order is that of a set in memory, and a
trainer asks for the same rows, so that it finds the same network.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from zeroone_jax.data import tfds_reader
from zeroone_jax.data.catalog import CATALOG
from zeroone_jax.data.prepare import Path, prepare
from zeroone_jax.data.split import Split
from zeroone_jax.data.tfds_directory import file_format
from zeroone_jax.extras import imported

# Decoding images lets other threads go on.
_THREADS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class OnDisk:
    """Images u8 [n, h, w, c] of a TFDS directory, read when they are asked for.

    Indexed by a slice or by row numbers [m] they give others that are not read yet;
    `np.asarray` reads them.

    Attributes:
        source: the examples as they are stored, each a dictionary.
        key: of the image in an example.
        stored: int [n], where each image is stored.
        image_shape: height, width, channels.
    """

    source: Any
    key: str
    stored: np.ndarray
    image_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all images."""
        return (len(self.stored), *self.image_shape)

    @property
    def ndim(self) -> int:
        """Four axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Images are of eight bits."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: Any) -> Self:
        return dataclasses.replace(self, stored=self.stored[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy  # There is nothing that could be shared.
        images = np.empty(self.shape, np.uint8)
        for place, record in enumerate(self.stored.tolist()):
            image = self.source[record][self.key]
            if image.shape != self.image_shape:
                raise ValueError(
                    f"image {place} has shape {image.shape}, but the first one "
                    f"{self.image_shape}"
                )
            images[place] = image
        return images if dtype is None else images.astype(dtype)

    def ahead(self, batches: np.ndarray, most: int) -> Iterator[np.ndarray]:
        """Reads batches in order, by threads that are ahead of whoever takes them.

        Args:
            batches: int [b, ...], the rows of each.
            most: batches that are held ahead.

        Returns:
            Gives u8 [..., h, w, c] for each batch.

        Raises:
            ImportError: grain is not installed.
        """
        grain = imported("grain", "grain", "data")

        def read(rows: np.ndarray) -> np.ndarray:
            images = np.asarray(self[rows.reshape(-1)])
            return images.reshape(*rows.shape, *self.image_shape)

        options = grain.ReadOptions(
            num_threads=min(_THREADS, most), prefetch_buffer_size=most
        )
        pipeline = grain.MapDataset.source(list(batches)).map(read)
        return iter(pipeline.to_iter_dataset(options))

    def segments(
        self, batches: np.ndarray, segment: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Reads segments of so many batches, while earlier ones are trained on.

        Args:
            batches: int [b, ..., batch], the rows of each.
            segment: batches a segment; the last may have fewer.

        Yields:
            Images u8 [segment * batch, h, w, c], zeros behind the last batch, and i32
            [segment, ..., batch], where those of each batch lie in them.
        """
        size = batches[0].size
        places = np.arange(segment * size, dtype=np.int32)
        ahead = self.ahead(batches, segment)
        for _ in range(0, len(batches), segment):
            images = np.zeros((len(places), *self.image_shape), np.uint8)
            for place, batch in enumerate(itertools.islice(ahead, segment)):
                images[place * size :][:size] = batch.reshape(-1, *self.image_shape)
            yield images, places.reshape(segment, *batches.shape[1:])


def open_split(name: str, split: str, data_dir: Path | None = None) -> Split:
    """Opens a split of a TFDS directory in the format array_record.

    Labels are read, for which every record is passed through once; images are not.

    Args:
        name: as for `data.load`, but no `.npz` file.
        split: as for `data.load`.
        data_dir: as for `data.load`.

    Returns:
        The split in its original order, its images an `OnDisk`.

    Raises:
        ValueError: unknown data set or split, or another format.
        DamagedError: metadata cannot be read.
    """
    directory = prepare(name, data_dir)
    if file_format(directory) != "array_record":
        raise ValueError(
            f"{directory} holds {file_format(directory)} files, and only array_record "
            "is read while training: prepare it again with "
            "`tfds build --file_format=array_record`"
        )
    tfds = imported("tensorflow_datasets", "tensorflow-datasets", "data")
    builder = tfds_reader.opened(directory)
    if split not in builder.info.splits:
        raise ValueError(
            f"{name} has no split {split!r}: it has {', '.join(builder.info.splits)}"
        )
    image_key, label_key = tfds_reader.keys(builder.info, directory)
    undecoded = {image_key: tfds.decode.SkipDecoding()}
    labels, ids = [], []
    for example in builder.as_data_source(split, decoders=undecoded):
        labels.append(example[label_key])
        ids.append({"id": example.get("id", b"")})
    dataset = CATALOG.get(name.partition(":")[0])
    if dataset is None:
        class_names = tfds_reader.names_of_classes(
            builder.info.features, label_key, directory
        )
        order = tfds_reader.order_by_id(ids)
    else:
        class_names = dataset.class_names
        order = tfds_reader.order_by_key(split, len(labels))
    source = builder.as_data_source(split)
    images: Any = OnDisk(source, image_key, order, source[0][image_key].shape)
    rows = np.arange(len(labels), dtype=np.int32)
    return Split(images, np.array(labels, np.int32)[order], rows, class_names)
