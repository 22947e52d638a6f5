"""From a name to what a trainer eats: load, add noise, draw batches, augment.

Everything but `load` is a pure function. Arrays stay on the host and are indexed by
a permutation; augmentation runs inside the caller's jit.
"""

import os
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.data import npz
from zeroone_jax.data.catalog import CATALOG
from zeroone_jax.data.prepare import read
from zeroone_jax.data.split import Split, class_labels, select
from zeroone_jax.types import Array, Key


def load(
    name: str | os.PathLike[str],
    split: str,
    classes: Sequence[int | str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Split:
    """Loads a split of a data set, preparing it first if needed.

    Args:
        name: one of `available()`; or the TFDS name of an image-classification set
            prepared in `data_dir` (`set`, `set/config`, `set:1.0.0`); or the path of
            an `.npz` file (see `zeroone_jax.data.npz`).
        split: `train`, `test`, or whichever else a prepared set has.
        classes: at least two different labels or class names: only their images
            are kept, and class i of the tuple becomes label i. None keeps all.
        data_dir: the folder of all TFDS data sets; None is the environment's
            TFDS_DATA_DIR, or else `~/tensorflow_datasets`.

    Returns:
        The images in the data set's original order, with their original indices
        (the order of other prepared sets: see `zeroone_jax.data.tfds_reader`).

    Raises:
        ValueError: unknown data set, split or class; a class twice, fewer than two,
            or one without images; arrays of the wrong dtype or shape.
        FileNotFoundError: there is no such `.npz` file.
        NoSourceError: no source gave the data set.
        DamagedError: records of a prepared set cannot be read.
    """
    origin = str(name)
    if classes is not None and origin in CATALOG:
        # Said before anything is fetched.
        class_labels(classes, CATALOG[origin].class_names, origin)
    if origin.endswith(".npz"):
        whole = npz.read(pathlib.Path(name).expanduser(), split)
    else:
        whole = read(origin, split, data_dir)
    return whole if classes is None else select(whole, classes, f"{origin} {split}")


def check_features(x: Array | np.ndarray, y: Array | np.ndarray) -> None:
    """Raises if features and labels are not what trainers expect.

    Values are looked at outside jit only, where they are known.

    Args:
        x: floats [n, ...] in [0, 1].
        y: integers [n].

    Raises:
        ValueError: anything else; the message says what was found.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"features must be floats in [0, 1], not {x.dtype}")
    if not jnp.issubdtype(y.dtype, jnp.integer):
        raise ValueError(f"labels must be integers, not {y.dtype}")
    if x.ndim < 2 or y.shape != x.shape[:1]:
        raise ValueError(
            "features must be [n, ...] and labels [n], not "
            f"{list(x.shape)} and {list(y.shape)}"
        )
    if isinstance(x, jax.core.Tracer) or x.size == 0:
        return
    lowest, highest = float(x.min()), float(x.max())
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(f"features must be in [0, 1], not {lowest}..{highest}")


def add_gaussian_noise(
    key: Key, x: Array | np.ndarray, y: Array | np.ndarray, sigma: float | Array
) -> tuple[Array, Array]:
    """Doubles the training rows with a noisy copy of each.

    The noise is drawn once: `x' = concat(x, clip(x + sigma * N(0, 1), 0, 1))`.

    Args:
        key: a random key.
        x: floats [n, ...] in [0, 1].
        y: integers [n].
        sigma: standard deviation of the noise, on the [0, 1] pixel scale.

    Returns:
        x' [2n, ...] of x's dtype, its first half x itself, and y' [2n].

    Raises:
        ValueError: features outside [0, 1] or NaN, labels that are not integers,
            wrong shapes, or a negative sigma.

    Example:
        >>> x, y = jnp.array([[0.25, 0.5]]), jnp.array([1])
        >>> noisy, labels = add_gaussian_noise(jax.random.key(0), x, y, sigma=0.1)
        >>> noisy.shape, labels.tolist()
        ((2, 2), [1, 1])
    """
    check_features(x, y)
    if not isinstance(sigma, jax.core.Tracer) and not sigma >= 0:
        raise ValueError(f"sigma must not be negative, not {sigma}")
    clean = jnp.asarray(x)
    noise = jax.random.normal(key, clean.shape, clean.dtype)
    noisy = jnp.clip(clean + sigma * noise, 0, 1)
    return jnp.concatenate([clean, noisy]), jnp.concatenate([y, y])


def epoch_batches(key: Key, epoch: int, n: int, batch_size: int) -> list[np.ndarray]:
    """Draws an epoch's batches: row numbers that index arrays on the host.

    A pure function of key and epoch, so that a resumed run draws the same batches.
    The n rows are permuted and cut; where `batch_size` does not divide n, the last
    batch holds the remainder and is smaller. Every row comes exactly once.

    Args:
        key: a random key, the same for all epochs.
        epoch: the epoch's number, from 0.
        n: the number of rows.
        batch_size: rows a batch.

    Returns:
        ceil(n / batch_size) arrays, i32 [batch_size] each but perhaps the last.

    Raises:
        ValueError: n or batch_size below 1, or a negative epoch.

    Example:
        >>> batches = epoch_batches(jax.random.key(0), epoch=3, n=5, batch_size=2)
        >>> [len(batch) for batch in batches]
        [2, 2, 1]
    """
    limits = {"n": (n, 1), "batch_size": (batch_size, 1), "epoch": (epoch, 0)}
    for name, (number, lowest) in limits.items():
        if number < lowest:
            raise ValueError(f"{name} must be at least {lowest}, not {number}")
    order = jax.random.permutation(
        jax.random.fold_in(key, epoch), jnp.arange(n, dtype=jnp.int32)
    )
    return np.split(np.asarray(order), range(batch_size, n, batch_size))


def augment(key: Key, images: Array, padding: int = 4, flip: bool = True) -> Array:
    """Shifts and flips each image at random.

    Each image is padded by reflection, cropped back to its size at a uniform
    position, and flipped left to right with probability 1/2 if asked. Image i draws
    from `fold_in(key, i)`, whatever the size of the batch. For use inside jit.

    Args:
        key: a random key, new for every batch.
        images: [n, h, w, c] of any dtype.
        padding: pixels added on each side, below h and w.
        flip: whether images are flipped, too.

    Returns:
        Images of the same shape and dtype.

    Raises:
        ValueError: images of another rank, or a padding that is negative or not
            below h and w.
    """
    if images.ndim != 4:
        raise ValueError(f"images must be [n, h, w, c], not {list(images.shape)}")
    n, height, width, _ = images.shape
    if not 0 <= padding < min(height, width):
        raise ValueError(
            f"padding must be in 0..{min(height, width) - 1} for images of "
            f"{height} x {width}, not {padding}"
        )
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(n))
    return jax.vmap(_augment_one, in_axes=(0, 0, None, None))(
        keys, images, padding, flip
    )


def _augment_one(key: Key, image: Array, padding: int, flip: bool) -> Array:
    crop_key, flip_key = jax.random.split(key)
    border = ((padding, padding), (padding, padding), (0, 0))
    padded = jnp.pad(image, border, mode="reflect")
    row, column = jax.random.randint(crop_key, (2,), 0, 2 * padding + 1)
    crop = jax.lax.dynamic_slice(padded, (row, column, 0), image.shape)
    if not flip:
        return crop
    return jnp.where(jax.random.bernoulli(flip_key), crop[:, ::-1], crop)
