"""Refuses what cannot be worked with, before any work is done.

Shapes and types are checked always, values where they are known: inside a caller's own
`jax.jit` there are none, and only the shapes are looked at.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax.types import Array, Key, Number

_ARRAYS = (jax.Array, np.ndarray)


def images(name: str, x: ArrayLike, shape: tuple[int, ...] | None = None) -> Array:
    """Checks images.

    Args:
        name: what to call them in messages.
        x: what should be float [n, ...] in [0,1].
        shape: the shape it must have, if that is known.

    Returns:
        x as a JAX array.

    Raises:
        TypeError: x is not a float array.
        ValueError: its shape is wrong, or a value is NaN or outside [0,1].
    """
    if not isinstance(x, _ARRAYS) or not jnp.issubdtype(x.dtype, jnp.floating):
        kind = getattr(x, "dtype", type(x).__name__)
        raise TypeError(f"{name} is {kind}, but must be a float array in [0,1]")
    if x.dtype.itemsize < 4:
        # Neither the ball nor a step can be written in so few digits.
        raise TypeError(
            f"{name} is {x.dtype}, but must be float32 or float64: give "
            f"{name}.astype(jnp.float32); the model may compute in {x.dtype}"
        )
    x = jnp.asarray(x)
    if shape is not None and x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, but x has {shape}")
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"{name} has shape {x.shape}, but must be [n, ...], n >= 1")
    # Told without copying them to the host.
    if isinstance(x, jax.core.Tracer) or _in_box(x):
        return x
    host = np.asarray(x)
    wrong = np.argwhere(~((host >= 0) & (host <= 1)))
    at = tuple(wrong[0].tolist())
    raise ValueError(
        f"{name} must be in [0,1], but {name}[{', '.join(map(str, at))}] is "
        f"{host[at]} ({len(wrong)} such values)"
    )


def labels(y: ArrayLike, count: int, classes: int | None, name: str = "y") -> Array:
    """Checks labels, or target classes.

    Args:
        y: what should be int [count].
        count: the number of images.
        classes: how many classes the model knows, if that is known.
        name: what to call them in messages.

    Returns:
        y as a JAX array.

    Raises:
        TypeError: y is not an integer array.
        ValueError: its shape is wrong, or a label is not in 0..classes-1.
    """
    if not isinstance(y, _ARRAYS) or not jnp.issubdtype(y.dtype, jnp.integer):
        kind = getattr(y, "dtype", type(y).__name__)
        raise TypeError(f"{name} is {kind}, but must be an integer array of labels")
    y = jnp.asarray(y)
    if y.shape != (count,):
        one = "; give a single image as x[None], its label as y[None]"
        raise ValueError(
            f"{name} has shape {y.shape}, but there are {count} images"
            + ("" if y.ndim == 1 and len(y) > 1 else one)
        )
    if isinstance(y, jax.core.Tracer):
        return y
    low, high = map(int, _range(y))
    if low < 0 or (classes is not None and high >= classes):
        limit = "0.." + ("" if classes is None else str(classes - 1))
        wrong = low if low < 0 else high
        raise ValueError(f"{name} holds {wrong}, but must be in {limit}")
    return y


def key(key: Key) -> None:
    """Checks that a key is one, and only one.

    Raises:
        TypeError: the key is not a typed random key of shape [].
    """
    if not isinstance(key, jax.Array) or not jnp.issubdtype(
        key.dtype, jax.dtypes.prng_key
    ):
        raise TypeError(f"key is {key!r}, but must be made by jax.random.key")
    if key.shape:
        raise TypeError(f"key has shape {key.shape}, but one key must be given")


def within(interval: str, **numbers: Number | None) -> None:
    """Checks that settings, where they are given and known, lie in an interval.

    Args:
        interval: as in "(0,1]"; a bracket belongs to it, a parenthesis does not.
        **numbers: the settings; arrays in all their numbers.

    Raises:
        TypeError: one is a list or a tuple.
        ValueError: one does not, or is not a number.

    Example:
        >>> within("(0,1]", share=1.0)
        >>> within("[0,1)", share=1.0)
        Traceback (most recent call last):
        ...
        ValueError: share is 1.0, but must be in [0,1)
    """
    low, high = map(float, interval[1:-1].split(","))

    def inside(known: np.ndarray) -> Any:
        above = known >= low if interval[0] == "[" else known > low
        return above & (known <= high if interval[-1] == "]" else known < high)

    _refuse_unless(inside, f"be in {interval}", numbers)


def positive(**numbers: Number | None) -> None:
    """Checks that settings are positive and finite, where they are given and known.

    In an array 0 is allowed, of an image or a pixel that stays as it is.

    Raises:
        TypeError: one is a list or a tuple.
        ValueError: one is not.
    """
    _refuse_unless(
        lambda known: np.isfinite(known) & (known >= 0 if known.ndim else known > 0),
        "be above 0",
        numbers,
    )


def radius(norm: str, epsilon: Number | None) -> None:
    """Checks a ball's radius on the [0,1] pixel scale, where it is given and known.

    Raises:
        TypeError: one is a list or a tuple.
        ValueError: it is not above 0 and finite, or in Linf it is above 1, as where a
            radius in levels of 255 was not divided.
    """
    positive(epsilon=epsilon)
    in_box(norm, epsilon)


def in_box(norm: str, epsilon: Number | None) -> None:
    """Checks that a radius in Linf, where it is given and known, is at most 1.

    Raises:
        ValueError: it is not, as where a radius in levels of 255 was not divided.
    """
    if norm == "linf":
        _refuse_unless(
            lambda known: known <= 1,
            "be at most 1 in linf: pixels are in [0,1], and eight levels are 8/255",
            {"epsilon": epsilon},
        )


def not_negative(**numbers: Number | None) -> None:
    """Checks that settings are 0 or more and finite, where they are given and known.

    Raises:
        TypeError: one is a list or a tuple.
        ValueError: one is not.
    """
    _refuse_unless(
        lambda known: np.isfinite(known) & (known >= 0), "not be negative", numbers
    )


def counts(**numbers: int) -> None:
    """Checks that settings are whole numbers of at least 1.

    Raises:
        ValueError: one is not.
    """
    for name, number in numbers.items():
        if not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(
                f"{name} is {number!r}, but must be a whole number of at least 1"
            )


def one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Checks that a setting is one of a few.

    Raises:
        ValueError: it is not.
    """
    if value not in allowed:
        choices = ", ".join(map(repr, allowed))
        raise ValueError(f"{name} is {value!r}, but must be one of {choices}")


def single(name: str, value: Number, dtype: jnp.dtype) -> Array:
    """Checks that a setting is a single number, and gives it the images' type.

    Raises:
        ValueError: it is not.
    """
    if jnp.shape(value):
        raise ValueError(f"{name} has shape {jnp.shape(value)}, but must be one number")
    return jnp.asarray(value, dtype)


def is_known(value: Any) -> bool:
    """Whether a value is there and can be looked at: it is not traced."""
    return value is not None and not isinstance(value, jax.core.Tracer)


# A program each, since every operation outside of one is compiled alone.
@jax.jit
def _in_box(x: Array) -> Array:
    return jnp.all((x >= 0) & (x <= 1))


@jax.jit
def _range(y: Array) -> tuple[Array, Array]:
    return y.min(), y.max()


def _refuse_unless(
    holds: Callable[[np.ndarray], Any], wanted: str, numbers: dict[str, Number | None]
) -> None:
    """Refuses numbers that are known and of which something does not hold."""
    for name, value in numbers.items():
        if isinstance(value, list | tuple):
            raise TypeError(
                f"{name} is a {type(value).__name__}, but must be a number or an array"
            )
        if is_known(value) and not np.all(holds(np.asarray(value))):
            raise ValueError(f"{name} is {value}, but must {wanted}")
