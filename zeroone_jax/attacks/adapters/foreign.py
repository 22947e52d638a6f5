"""A classifier that is not JAX's, attacked as if it were.

The attack stays one jitted function; at each query it calls back into Python. It asks
about those images only whose labels it needs, and counts each of them.
"""

import threading
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.buffer_callback import buffer_callback
from jax.typing import DTypeLike

from zeroone_jax import checks
from zeroone_jax.attacks.paid import PaidLabelFn
from zeroone_jax.types import Array

_LAYOUTS = ("images", "flat", "channels_first")


def foreign(
    label_fn: Callable[[np.ndarray], Any],
    *,
    batch_size: int = 1024,
    layout: Literal["images", "flat", "channels_first"] = "images",
    dtype: DTypeLike | None = None,
) -> PaidLabelFn:
    """Makes a `LabelFn` of a function of NumPy arrays, such as sklearn's `predict`.

    What comes back can be jitted, vmapped and sharded; a vmapped batch of batches is
    given to `label_fn` as one. It is called by one thread at a time and must not use
    JAX, whose CPU threads may all be waiting for its answer.

    The first call (for each shape of images) asks about one grey image, so that a
    function that does not fit is refused before an attack begins. That one is in no
    attack's `queries`. All others are: an attack by labels, or a suite of such attacks,
    asks `label_fn` about exactly as many images as its `queries` add up to. This holds
    only if the attack is given the returned function itself. A function around it would
    be asked about every image of a chunk at every query, so put what is to be done to
    images first into `label_fn`.

    Args:
        label_fn: images [n, ...], a NumPy array of its own that it may keep and change,
            to integer labels [n], from 0.
        batch_size: the most images that it is given at a time.
        layout: how it wants images that attacks hold as [n, h, w, c] or in any other
            shape: "images" as they are, "flat" as [n, d], "channels_first" as
            [n, c, h, w].
        dtype: the type it wants; None for the attack's.

    Returns:
        A `LabelFn`: images float [n, ...] to labels i32 [n].

    Raises:
        TypeError: `label_fn` is not callable. From the function returned: it gave
            floats, such as logits, or something else that is no label.
        ValueError: `batch_size` or `layout` is not allowed. From the function
            returned: the labels' shape is not [n], or a label is negative.
        jax.errors.JaxRuntimeError: from an attack, with `label_fn`'s own error in the
            message, where that came up only later.
    """
    if not callable(label_fn):
        raise TypeError(f"label_fn is {label_fn!r}, but must be a function of images")
    checks.counts(batch_size=batch_size)
    checks.one_of("layout", layout, _LAYOUTS)
    lock = threading.Lock()
    probed = set()

    def ask(images: np.ndarray) -> np.ndarray:
        """Labels i32 [n] of images [n, ...], a batch at a time."""
        if layout == "flat":
            images = images.reshape(len(images), -1)
        elif layout == "channels_first":
            images = np.moveaxis(images, -1, 1)
        labels = np.empty(len(images), np.int32)
        for first in range(0, len(images), batch_size):
            rows = slice(first, first + batch_size)
            batch = np.array(images[rows], dtype or images.dtype, order="C")
            with lock:
                answer = np.asarray(label_fn(batch))
            labels[rows] = _checked(answer, len(batch))
        return labels

    def labels(x: Array, asked: Array) -> Array:
        shape = x.shape[1:]
        if (shape, x.dtype) not in probed:
            ask(np.full((1, *shape), 0.5, x.dtype))
            probed.add((shape, x.dtype))

        def host(images: Any, asked: Any) -> np.ndarray:
            asked = np.asarray(asked)
            labels = np.zeros(asked.shape, np.int32)
            if asked.any():
                labels[asked] = ask(np.asarray(images)[asked])
            return labels

        def into_buffer(_: Any, out: Any, images: Any, asked: Any) -> None:
            np.asarray(out)[...] = host(images, asked)

        answer = jax.ShapeDtypeStruct(x.shape[:1], jnp.int32)
        # On the processor `pure_callback` copies images on the very threads that wait
        # for it: with one core, 3 MB of them are enough for a deadlock (jax 0.10.2).
        return jax.lax.platform_dependent(
            x,
            asked,
            cpu=buffer_callback(into_buffer, answer, vmap_method="broadcast_all"),
            default=lambda x, asked: jax.pure_callback(
                host, answer, x, asked, vmap_method="broadcast_all"
            ),
        )

    return PaidLabelFn(labels)


def _checked(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns the labels, if that is what they are."""
    if not np.issubdtype(labels.dtype, np.integer):
        hint = (
            ": take the argmax of logits"
            if np.issubdtype(labels.dtype, np.floating)
            else ""
        )
        raise TypeError(
            f"label_fn returned {labels.dtype}{list(labels.shape)} for {count} images, "
            f"but must return integer labels [{count}]{hint}"
        )
    if labels.shape != (count,):
        raise ValueError(
            f"label_fn returned labels of shape {list(labels.shape)} for {count} "
            f"images, but must return [{count}]"
        )
    if labels.min() < 0:
        raise ValueError(
            f"label_fn returned the label {labels.min()}, but labels count from 0"
        )
    return labels
