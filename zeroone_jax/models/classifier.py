"""What a trained model is to whoever attacks, evaluates or draws it.

A callable that owns its arrays: a pytree, so that jit takes it as an argument and
another set of weights compiles nothing. It equals itself only, because arrays have no
single equality; so `jax.jit(classifier)` works too, with the weights as constants. Any
other function of images can be attacked as well; a classifier knows more, and can be
asked.
"""

import abc
import math

from zeroone_jax import losses
from zeroone_jax.types import Array


class Classifier(abc.ABC):
    """Images to logits. Subclasses are registered as pytrees."""

    @property
    @abc.abstractmethod
    def image_shape(self) -> tuple[int, ...]:
        """Height, width and channels of the images; `(d,)` where only d is known."""

    @abc.abstractmethod
    def logits(self, x: Array) -> Array:
        """Logits float [n, classes], or [n] of two, of images `[n, *image_shape]`."""

    def __call__(self, x: Array) -> Array:
        """Computes logits.

        Args:
            x: float [n, height, width, channels], or flat [n, d] in that order.

        Returns:
            float [n, classes], or [n] of two classes: above 0 for class 1.

        Raises:
            ValueError: the images have another shape.
        """
        return self.logits(self.shaped(x))

    def labels(self, x: Array) -> Array:
        """Labels i32 [n] of images, as for a call."""
        return losses.labels(self(x))

    def shaped(self, x: Array) -> Array:
        """Gives images, flat or not, the shape `[n, *image_shape]`.

        Raises:
            ValueError: the images are of another size.
        """
        shape = self.image_shape
        size = math.prod(shape)
        given = x.shape[1:]
        if given == shape:
            return x
        if math.prod(given) == size and 1 in (len(given), len(shape)):
            return x.reshape(len(x), *shape)
        raise ValueError(
            f"x has shape {x.shape}, but must be [n, "
            f"{', '.join(map(str, shape))}], or flat [n, {size}]"
        )
