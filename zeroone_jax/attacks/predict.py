"""Labels of many images by any model, a chunk at a time."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from zeroone_jax import devices as device_mesh
from zeroone_jax import losses
from zeroone_jax.attacks.paid import model_of, only
from zeroone_jax.attacks.run import beside
from zeroone_jax.types import Array, LabelFn, LogitsFn


def predict(
    fn: LogitsFn | LabelFn, x: Array, chunk: int = 256, room: int | None = None
) -> Array:
    """Labels images by the model as it is now.

    Args:
        fn: of logits or of labels.
        x: float [n, ...], n at least 1.
        chunk: how many images are in hand at a time.
        room: how many images to compile for, at least n; None for n.

    Returns:
        i32 [n]; -1 where a model of logits has no label (`losses.labels`).
    """
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
