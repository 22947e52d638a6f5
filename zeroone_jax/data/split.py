"""A split of a data set on the host: what it holds, checked, and picking classes."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np


class Split(NamedTuple):
    """Images and labels on the host, in the data set's original order.

    Attributes:
        images: u8 [n, h, w, c]; may be a read-only map of a file, or an `OnDisk`.
        labels: i32 [n] in 0..k-1, positions in `class_names`.
        indices: i32 [n], each row's position in the whole split.
        class_names: the k names of the labels.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    class_names: tuple[str, ...]

    def take(self, rows: np.ndarray | slice) -> Self:
        """Picks some of the images, by their places."""
        return self._replace(
            images=self.images[rows],
            labels=self.labels[rows],
            indices=self.indices[rows],
        )


def check_split(split: Split, origin: str) -> None:
    """Raises ValueError if a split is not what `Split` promises.

    Images that are not uint8, labels that are not integers, wrong shapes, or a label
    without a class name; the message names their `origin`.
    """
    images, labels, indices, class_names = split
    if images.dtype != np.uint8:
        raise ValueError(f"{origin}: images must be uint8, not {images.dtype}")
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            f"{origin}: images must be [n, height, width, channels], none of them 0, "
            f"not {list(images.shape)}"
        )
    for name, array in (("labels", labels), ("indices", indices)):
        if not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{origin}: {name} must be integers, not {array.dtype}")
        if array.shape != images.shape[:1]:
            raise ValueError(
                f"{origin}: {name} must be [{len(images)}], one for each image, "
                f"not {list(array.shape)}"
            )
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(
            f"{origin}: labels must be in 0..{len(class_names) - 1}, "
            f"not {labels.min()}..{labels.max()}"
        )


def class_labels(
    classes: Sequence[int | str], class_names: Sequence[str], origin: str
) -> list[int]:
    """Finds the labels of the classes that a caller names.

    Args:
        classes: at least two different labels or class names.
        class_names: the data set's names.
        origin: the data set, for the message.

    Returns:
        The label of each class, in the order given.

    Raises:
        ValueError: a class unknown or twice, or fewer than two.

    Example:
        >>> class_labels(("dog", 0), ["cat", "dog"], "pets")
        [1, 0]
    """
    names = list(class_names)
    allowed = ", ".join(f"{label} ({name})" for label, name in enumerate(names))
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        raise ValueError(f"classes must be a tuple of {allowed}, not {classes!r}")
    labels = []
    for wanted in classes:
        # True is an int to Python, never a class to us.
        is_label = isinstance(wanted, int | np.integer) and not isinstance(wanted, bool)
        if is_label and 0 <= int(wanted) < len(names):
            labels.append(int(wanted))
        elif isinstance(wanted, str) and wanted in names:
            labels.append(names.index(wanted))
        else:
            raise ValueError(f"{origin} has no class {wanted!r}: it has {allowed}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"classes must differ, not {tuple(classes)}")
    if len(labels) < 2:
        raise ValueError(
            f"classes must be at least two of {allowed}, not {tuple(classes)}"
        )
    return labels


def select(split: Split, classes: Sequence[int | str], origin: str = "split") -> Split:
    """Keeps the rows of some classes and relabels them by position.

    Args:
        split: where to choose from.
        classes: at least two different labels or class names; class i of them
            becomes label i.
        origin: the data set, for messages.

    Returns:
        The chosen rows in their original order, with their original indices.

    Raises:
        ValueError: a class unknown, twice or without images, or fewer than two.
    """
    labels = class_labels(classes, split.class_names, origin)
    position = np.full(len(split.class_names), -1, np.int32)
    position[labels] = np.arange(len(labels), dtype=np.int32)
    relabelled = position[split.labels]
    (rows,) = np.nonzero(relabelled >= 0)
    counts = np.bincount(relabelled[rows], minlength=len(labels))
    for label, count in zip(labels, counts, strict=True):
        if count == 0:
            raise ValueError(
                f"{origin} has no image of class {label} ({split.class_names[label]})"
            )
    names = tuple(split.class_names[label] for label in labels)
    return split.take(rows)._replace(labels=relabelled[rows], class_names=names)


def as_features(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Flattens images to feature rows.

    Args:
        split: n images of h x w x c.

    Returns:
        x: f32 [n, h*w*c] in [0, 1], in height-width-channel order.
        y: i32 [n], the labels.

    Raises:
        ValueError: images that are not uint8, labels that are not integers, or
            wrong shapes.

    Example:
        >>> images = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
        >>> row = np.zeros(1, np.int32)
        >>> as_features(Split(images, row, row, ("red", "blue")))[0]
        array([[0. , 0.2, 1. ]], dtype=float32)
    """
    check_split(split, "split")
    rows = split.images.reshape(len(split.images), -1)
    x = np.divide(rows, np.float32(255), dtype=np.float32)
    return x, split.labels.astype(np.int32)
