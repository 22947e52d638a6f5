"""Images as rows [n, d]: models asked about them, numbers that are one a pixel."""

import functools
from typing import Any

import flax.struct
import jax.numpy as jnp

from zeroone_jax.attacks import run
from zeroone_jax.types import Array


@flax.struct.dataclass
class Unflattened:
    """A model that takes rows and gives them their images' shape.

    Attributes:
        model: of images float [n, *shape].
        shape: an image's.
    """

    model: Any
    shape: tuple[int, ...] = flax.struct.field(pytree_node=False)

    def __call__(self, rows: Array) -> Array:
        """What the model says of rows float [n, d]."""
        return self.model(rows.reshape(len(rows), *self.shape))


def of(numbers: Array, shape: tuple[int, ...]) -> Array:
    """Gives numbers the layout of rows.

    Args:
        numbers: [n, ...], one for each image or pixel, broadcasting to images.
        shape: of the images, [n, ...].

    Returns:
        [n, 1] where there is one an image, otherwise [n, d].
    """
    if numbers.size != len(numbers):
        numbers = jnp.broadcast_to(numbers, shape)
    return numbers.reshape(len(numbers), -1)


def laid_out(
    attack: Any, model: Any, x: Array, start: Array | None
) -> tuple[Any, Any, Array, Array | None]:
    """Gives an attack rows in the place of images.

    Args:
        attack: as `Attack.settled` made it.
        model: of images.
        x: float [n, ...].
        start: of x's shape.

    Returns:
        The attack, the model, images and starts, all of rows [n, d].
    """
    attack = run.of_images(attack, functools.partial(of, shape=x.shape))
    flat = x.reshape(len(x), -1)
    start = None if start is None else start.reshape(flat.shape)
    return attack, Unflattened(model, x.shape[1:]), flat, start
