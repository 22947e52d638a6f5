"""Models of images, asked about rows."""

from typing import Any

import flax.struct

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
