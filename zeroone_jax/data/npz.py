"""A user's own images: an `.npz` file of numpy arrays.

It holds `images` u8 [n, h, w, c] and `labels` integers [n] for the split `train`;
optionally `test_images` and `test_labels` for `test`, and `class_names` [k]. Without
names, classes are called by their numbers, 0 to the largest label of both splits,
which is below 65,536.
"""

import pathlib

import numpy as np

from zeroone_jax import files
from zeroone_jax.data.split import Split, check_split

_ARRAYS = {
    "train": ("images", "labels"),
    "test": ("test_images", "test_labels"),
}
# More than any data set of images has; each of them gets a name.
_MOST_CLASSES = 65_536


def read(path: pathlib.Path, split: str) -> Split:
    """Reads a split, `train` or `test`, of a user's file, in the file's order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or lacks arrays of the split, or an array
            has the wrong dtype, shape or values.
    """
    if split not in _ARRAYS:
        raise ValueError(f"{path} has no split {split!r}: it has {', '.join(_ARRAYS)}")
    image_name, label_name = _ARRAYS[split]
    others = {images for images, _ in _ARRAYS.values()} - {image_name}
    arrays = files.read_npz(path, skip=others)
    missing = [name for name in (image_name, label_name) if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} has no array {' and no array '.join(missing)} for split "
            f"{split!r}: it has {', '.join(arrays) or 'none'}"
        )
    images, labels = arrays[image_name], arrays[label_name]
    class_names = _class_names(arrays, path)
    indices = np.arange(len(np.atleast_1d(labels)), dtype=np.int32)
    whole = Split(images, labels, indices, class_names)
    check_split(whole, str(path))
    return whole._replace(labels=labels.astype(np.int32))


def _class_names(arrays: dict[str, np.ndarray], path: pathlib.Path) -> tuple[str, ...]:
    if "class_names" in arrays:
        return tuple(str(name) for name in np.atleast_1d(arrays["class_names"]))
    largest = 0
    for _, name in _ARRAYS.values():
        labels = arrays.get(name, np.empty(0, np.int32))
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"{path}: {name} must be integers 0..k-1, not {labels.dtype}: give "
                "the names of the classes as class_names, and their positions in it "
                "as labels"
            )
        largest = max(largest, int(labels.max(initial=0)))
    if largest >= _MOST_CLASSES:
        raise ValueError(
            f"{path}: labels go up to {largest}, but without class_names must be below "
            f"{_MOST_CLASSES}: number the classes from 0"
        )
    return tuple(str(label) for label in range(largest + 1))
