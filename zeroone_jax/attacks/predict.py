"""Labels by any model: as a function, and of many images, a chunk at a time."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zeroone_jax import devices as device_mesh
from zeroone_jax import losses
from zeroone_jax.attacks.paid import model_of, only
from zeroone_jax.attacks.run import beside
from zeroone_jax.models.classifier import Classifier
from zeroone_jax.types import Array, LabelFn, LogitsFn


def predict(
    fn: LogitsFn | LabelFn, x: ArrayLike, chunk: int = 256, room: int | None = None
) -> Array:
    """Labels images by the model as it is now.

    Args:
        fn: of logits or of labels.
        x: float [n, ...], n at least 1, of JAX or NumPy.
        chunk: how many images are in hand at a time.
        room: how many images to compile for, at least n; None for n.

    Returns:
        i32 [n]; -1 where a model of logits has no label (`losses.labels`).
    """
    x = jnp.asarray(x)
    count = len(x)
    chunk = min(chunk, room or count)
    filled = device_mesh.filled(device_mesh.filled(x, room or count), chunk)
    model = beside(model_of(fn, filled, sloped=False), x)
    real = jnp.arange(len(filled)) < count
    return _predict(model, filled, real, chunk)[:count]


@functools.partial(jax.jit, static_argnames="chunk")
def _predict(model: Any, x: Array, real: Array, chunk: int) -> Array:
    def of_chunk(part: tuple[Array, Array]) -> Array:
        images, asked = part
        outputs = only(model, asked)(images)
        if jnp.issubdtype(outputs.dtype, jnp.integer):
            return outputs.astype(jnp.int32)
        return losses.labels(outputs)

    chunks = jax.tree.map(lambda a: a.reshape(-1, chunk, *a.shape[1:]), (x, real))
    return jax.lax.map(of_chunk, chunks).reshape(-1)


def as_label_fn(logits_fn: LogitsFn) -> LabelFn:
    """Makes a function of labels from one of logits.

    Args:
        logits_fn: images to float [n, k], or [n] or [n, 1] for two classes.

    Returns:
        Images to labels i32 [n]; -1 where the logits are not finite (`losses.labels`).
        Of a `models.Classifier` its own `labels`.
    """
    if isinstance(logits_fn, Classifier):
        return logits_fn.labels
    return functools.partial(_labels, logits_fn)


def _labels(logits_fn: LogitsFn, x: Array) -> Array:
    return losses.labels(logits_fn(x))
