"""A JAX model as foolbox sees it."""

from typing import Any

import jax

from zeroone_jax import losses
from zeroone_jax.extras import imported
from zeroone_jax.types import Array, LogitsFn


def foolbox_model(logits_fn: LogitsFn) -> Any:
    """Makes a foolbox model.

    foolbox adds whole numbers to floats and arrays of different ranks: where strict
    promotion is on, run it under `jax.numpy_dtype_promotion("standard")` and
    `jax.numpy_rank_promotion("allow")`.

    Args:
        logits_fn: images [n, ...] in [0,1] to logits [n, k]; single numbers [n] or
            [n, 1] become two logits.

    Returns:
        A `foolbox.models.JAXModel` with bounds (0, 1), channels last, whose forward
        pass is jitted.

    Raises:
        ImportError: foolbox is not installed.
    """
    models = imported("foolbox.models", "foolbox", "peers")

    def two_or_more(x: Array) -> Array:
        return losses.as_logits(logits_fn(x))

    return models.JAXModel(
        jax.jit(two_or_more), bounds=(0, 1), data_format="channels_last"
    )
