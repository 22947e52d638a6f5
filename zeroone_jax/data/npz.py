"""A user's own images: an `.npz` file of numpy arrays.

It holds `images` u8 [n, h, w, c] and `labels` integers [n] for the split `train`;
optionally `test_images` and `test_labels` for `test`, and `class_names` [k]. Without
names, classes are called by their numbers, 0 to the largest label of both splits.
"""

import pathlib
import zipfile
import zlib

import numpy as np

from zeroone_jax.data.split import Split, check_split

_ARRAYS = {
    "train": ("images", "labels"),
    "test": ("test_images", "test_labels"),
}


def read(path: pathlib.Path, split: str) -> Split:
    """Reads a split of a user's file.

    Args:
        path: the file.
        split: `train` or `test`.

    Returns:
        The whole split, in the file's order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or lacks arrays of the split, or an array
            has the wrong dtype or shape.
    """
    if split not in _ARRAYS:
        raise ValueError(f"{path} has no split {split!r}: it has {', '.join(_ARRAYS)}")
    image_name, label_name = _ARRAYS[split]
    arrays = _read_arrays(path, image_name)
    missing = [name for name in (image_name, label_name) if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} has no array {' and no array '.join(missing)} for split "
            f"{split!r}: it has {', '.join(arrays) or 'none'}"
        )
    images, labels = arrays[image_name], arrays[label_name]
    class_names = _class_names(arrays)
    indices = np.arange(len(np.atleast_1d(labels)), dtype=np.int32)
    whole = Split(images, labels, indices, class_names)
    check_split(whole, str(path))
    return whole._replace(labels=labels.astype(np.int32))


def _read_arrays(path: pathlib.Path, image_name: str) -> dict[str, np.ndarray]:
    """Reads every array but the other split's images."""
    wanted = {image_name, "labels", "test_labels", "class_names"}
    try:
        with np.load(path, allow_pickle=False) as content:
            return {
                name: content[name] if name in wanted else np.empty(0)
                for name in content.files
            }
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no readable .npz file: {error}") from error


def _class_names(arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    if "class_names" in arrays:
        return tuple(str(name) for name in np.atleast_1d(arrays["class_names"]))
    labels = [arrays[name] for _, name in _ARRAYS.values() if name in arrays]
    largest = max(int(array.max(initial=0)) for array in labels)
    return tuple(str(label) for label in range(largest + 1))
