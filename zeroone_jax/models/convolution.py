"""Convolutions, as XLA computes them fastest on each platform.

On processors XLA has a fast convolution for one arrangement only: images [n, height,
width, channels], kernels [rows, columns, inputs, outputs] that are not reversed. It
brings others to it, among them both gradients, but not inside loops, where attacks
and training live. `arranged` writes the gradients in that arrangement: the same numbers
and time outside of loops, and inside (jax 0.10.2, two cores) the gradient in the
images 2 to 30 times, that in the kernel 7 to 90 times as fast. The gradient of
ResNet-20 in 128 CIFAR-10 images inside a loop takes 0.35 s instead of 2.9 s.
`convolve` does all this for any network, a user's own as well.

With few channels even that is slow. A row of a small image is a short vector, and
convolving rows is one product with a banded matrix: in LeNet's first layer the gradient
in the images is 2 to 3 times as fast again.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.types import Array

# Larger bands are mostly zeros and leave the cache; with more outputs the convolution
# itself is fast.
_LARGEST_BAND = 2**17
_MOST_OUTPUTS = 16

_LAYOUT = ("NHWC", "HWIO", "NHWC")

Pair: TypeAlias = tuple[int, int]


class Slide(NamedTuple):
    """How the window of a convolution moves over images.

    Attributes:
        strides: of rows, of columns.
        padding: ((top, bottom), (left, right)).
        precision: as for `jax.lax.conv_general_dilated`.
    """

    strides: Pair
    padding: tuple[Pair, Pair]
    precision: jax.lax.PrecisionLike = None


def convolve(
    x: Array,
    kernel: Array,
    strides: Any = (1, 1),
    padding: Any = "SAME",
    *,
    dimension_numbers: Any = _LAYOUT,
    precision: jax.lax.PrecisionLike = None,
    **settings: Any,
) -> Array:
    """Does what `jax.lax.conv_general_dilated` does, fast inside loops as well.

    Use it in a network of your own that is attacked or trained on a CPU. Attacks and
    training run inside loops, where XLA's own convolution is slow on a CPU, above all
    with channels first. On other devices this is XLA's own. In flax write
    `nn.Conv(..., conv_general_dilated=convolve)`. On a CPU it has no forward-mode
    derivatives.

    Args:
        x: float [n, height, width, inputs].
        kernel: float [rows, columns, inputs, outputs].
        strides: of rows, of columns.
        padding: ((top, bottom), (left, right)), or "SAME" or "VALID".
        dimension_numbers: as flax gives them; no other arrangement is allowed.
        precision: as for `jax.lax.conv_general_dilated`, also of the gradients.
        **settings: its other settings, such as dilation and groups. Where they ask for
            more than plain convolution, all is left to XLA.

    Returns:
        float [n, height', width', outputs].

    Raises:
        ValueError: `dimension_numbers` says that channels are elsewhere.

    Example:
        Of images and kernels with channels first, as torch has them. Bring a network's
        kernels there once, and its images at its entrance:

        >>> x, kernel = jnp.ones((2, 3, 8, 9)), jnp.ones((4, 3, 5, 5))
        >>> x, kernel = x.transpose(0, 2, 3, 1), kernel.transpose(2, 3, 1, 0)
        >>> convolve(x, kernel, strides=(2, 2), padding=((2, 2), (2, 2))).shape
        (2, 4, 5, 4)
    """
    layout = jax.lax.conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
    if layout != jax.lax.conv_dimension_numbers(x.shape, kernel.shape, _LAYOUT):
        raise ValueError(
            f"dimension_numbers is {dimension_numbers}, but must be {_LAYOUT}: "
            "transpose images to [n, height, width, inputs] and the kernel to "
            "[rows, columns, inputs, outputs]"
        )

    def by_xla(x: Array, kernel: Array) -> Array:
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            strides,
            padding,
            dimension_numbers=layout,
            precision=precision,
            **settings,
        )

    def unused(setting: Any) -> bool:
        """Whether a setting asks for nothing: None, 1, or ones."""
        return setting is None or bool(np.all(np.asarray(setting) == 1))

    if not all(map(unused, settings.values())):
        return by_xla(x, kernel)

    rows, _, inputs, outputs = kernel.shape
    steps = tuple(strides)
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(
            x.shape[1:3], kernel.shape[:2], strides, padding
        )
    (top, bottom), (left, right) = padding
    edges = ((top, bottom), (left, right))
    few = (
        outputs <= _MOST_OUTPUTS
        and rows * x.shape[2] ** 2 * inputs * outputs <= _LARGEST_BAND
    )

    def on_processors(x: Array, kernel: Array) -> Array:
        if few and steps == (1, 1):
            return banded(x, kernel, edges, precision)
        return arranged(x, kernel, Slide(steps, edges, precision))

    return jax.lax.platform_dependent(x, kernel, cpu=on_processors, default=by_xla)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def arranged(x: Array, kernel: Array, slide: Slide) -> Array:
    """Does what `convolve` does, with derivatives that are fast also inside loops."""
    return _by_xla(x, kernel, slide.padding, slide.precision, strides=slide.strides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _in_images(gradient: Array, kernel: Array, size: Pair, slide: Slide) -> Array:
    """The gradient in images of a height and width, from that in the outputs."""
    edges = [
        (window - 1 - before, pixels - _span(gradient, axis, slide) + before)
        for axis, (window, pixels, (before, _)) in enumerate(
            zip(kernel.shape[:2], size, slide.padding, strict=True)
        )
    ]
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return _by_xla(gradient, turned, edges, slide.precision, lhs_dilation=slide.strides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _in_kernel(x: Array, gradient: Array, windows: Pair, slide: Slide) -> Array:
    """The gradient in a kernel of so many rows and columns, from that in the outputs.

    Inputs take the place of images, images that of channels.
    """
    edges = [
        (before, window - 1 + _span(gradient, axis, slide) - pixels - before)
        for axis, (window, pixels, (before, _)) in enumerate(
            zip(windows, x.shape[1:3], slide.padding, strict=True)
        )
    ]
    x, gradient = x.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3)
    found = _by_xla(x, gradient, edges, slide.precision, rhs_dilation=slide.strides)
    return found.transpose(1, 2, 0, 3)


def _span(gradient: Array, axis: int, slide: Slide) -> int:
    """What strided outputs span: the last pixels may be in no window."""
    return (gradient.shape[axis + 1] - 1) * slide.strides[axis] + 1


def _by_xla(
    x: Array,
    kernel: Array,
    padding: Sequence[Pair],
    precision: jax.lax.PrecisionLike,
    strides: Pair = (1, 1),
    **dilation: Any,
) -> Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        dimension_numbers=_LAYOUT,
        precision=precision,
        **dilation,
    )


# The three are linear in both of their arrays, and adjoint to one another: with
# y = arranged(x, k), <y, g> = <x, _in_images(g, k)> = <k, _in_kernel(x, g)>. So
# derivatives of every order, such as GradAlign's, are made of the same three.


def _of_arranged(
    slide: Slide, kept: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
    x, kernel = kept
    return (
        _in_images(gradient, kernel, x.shape[1:3], slide),
        _in_kernel(x, gradient, kernel.shape[:2], slide),
    )


def _of_images(
    size: Pair, slide: Slide, kept: tuple[Array, Array], x: Array
) -> tuple[Array, Array]:
    del size
    gradient, kernel = kept
    return (
        arranged(x, kernel, slide),
        _in_kernel(x, gradient, kernel.shape[:2], slide),
    )


def _of_kernel(
    windows: Pair, slide: Slide, kept: tuple[Array, Array], kernel: Array
) -> tuple[Array, Array]:
    del windows
    x, gradient = kept
    return (
        _in_images(gradient, kernel, x.shape[1:3], slide),
        arranged(x, kernel, slide),
    )


def _keeping(product: Callable[..., Array]) -> Callable[..., Any]:
    """What goes forward where derivatives are wanted: both arrays are kept."""
    return lambda a, b, *settings: (product(a, b, *settings), (a, b))


arranged.defvjp(_keeping(arranged), _of_arranged)
_in_images.defvjp(_keeping(_in_images), _of_images)
_in_kernel.defvjp(_keeping(_in_kernel), _of_kernel)


def banded(
    x: Array,
    kernel: Array,
    padding: tuple[Pair, Pair],
    precision: jax.lax.PrecisionLike = None,
) -> Array:
    """Does what `convolve` does, without strides, by one matrix product."""
    count, height, width, inputs = x.shape
    rows, columns, _, outputs = kernel.shape
    (top, bottom), (left, right) = padding
    high = height + top + bottom - rows + 1
    wide = width + left + right - columns + 1
    # Input column a meets output column b in column a - b + left of the kernel.
    column = jnp.arange(width)[:, None] - jnp.arange(wide)[None, :] + left
    inside = (column >= 0) & (column < columns)
    band = jnp.where(
        inside[None, :, :, None, None], kernel[:, jnp.clip(column, 0, columns - 1)], 0
    )
    matrix = band.transpose(0, 1, 3, 2, 4).reshape(
        rows * width * inputs, wide * outputs
    )
    flat = jnp.pad(x, ((0, 0), (top, bottom), (0, 0), (0, 0)))
    flat = flat.reshape(count, height + top + bottom, width * inputs)
    stacked = jnp.concatenate([flat[:, row : row + high] for row in range(rows)], 2)
    out = jnp.matmul(stacked.reshape(count * high, -1), matrix, precision=precision)
    return out.reshape(count, high, wide, outputs)
