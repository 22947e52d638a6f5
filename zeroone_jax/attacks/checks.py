"""Refuses what an attack cannot work with, before any work is done.

Shapes and types are checked always, values where they are known: inside a caller's own
`jax.jit` there are none, and only the shapes are looked at.
"""

from collections.abc import Callable
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import losses, tracing
from zeroone_jax.attacks import perturbation
from zeroone_jax.attacks.settings import Number
from zeroone_jax.types import Array, Key


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
    if not _is_array(x, jnp.floating):
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
    if not _is_array(y, jnp.integer):
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
    low, high = int(y.min()), int(y.max())
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


def logits_function(
    function: Callable[[Array], Any], x: Array | jax.ShapeDtypeStruct, attack: str
) -> int:
    """Checks a `LogitsFn` by its output's shape, without running it.

    Returns:
        The number of classes.

    Raises:
        TypeError: the function gives labels, or no float array.
        ValueError: its output has a wrong shape.
    """
    out = _output(function, x)
    if jnp.issubdtype(out.dtype, jnp.integer):
        raise TypeError(
            f"{attack} needs gradients of logits, but the function given returns "
            f"labels ({out.dtype}{list(out.shape)}): give it a function that returns "
            "logits, or take an attack that needs labels only, such as hop_skip_jump"
        )
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise TypeError(f"the function returns {out.dtype}, but must return logits")
    if not out.shape or out.shape[0] != x.shape[0]:
        raise ValueError(
            f"the function returns shape {out.shape} for {x.shape[0]} images, but must "
            "return [n, classes], or [n] or [n, 1] for two classes"
        )
    return jax.eval_shape(losses.as_logits, out).shape[1]


def label_function(
    function: Callable[[Array], Any], x: Array | jax.ShapeDtypeStruct, attack: str
) -> None:
    """Checks a `LabelFn` by its output's shape, without running it.

    Raises:
        TypeError: the function returns logits, or no integer array.
        ValueError: its output has a wrong shape.
    """
    out = _output(function, x)
    if not jnp.issubdtype(out.dtype, jnp.integer):
        raise TypeError(
            f"{attack} asks for labels, but the function given returns "
            f"{out.dtype}{list(out.shape)}: wrap logits as "
            "attacks.as_label_fn(logits_fn)"
        )
    if out.shape != (x.shape[0],):
        raise ValueError(
            f"the function returns labels of shape {out.shape} for {x.shape[0]} "
            f"images, but must return [{x.shape[0]}]"
        )


def unlabelled(missing: Array) -> str:
    """Tells of images for which a model has no label.

    Args:
        missing: bool [n], which ones.

    Returns:
        A sentence; empty if there are none.

    Raises:
        ValueError: all are.
    """
    count, total = int(jnp.sum(missing)), len(missing)
    if count == 0:
        return ""
    found = f"the model's logits are NaN or infinite at {count} of {total} images"
    if count == total:
        raise ValueError(f"{found}: look at its weights and at how images are scaled")
    return f"{found}, which count neither as right nor as broken"


def adversarial_start(wrong: Array) -> None:
    """Checks that starting points are adversaries already.

    Args:
        wrong: bool [n], which ones are not.

    Raises:
        ValueError: some are not.
    """
    indices = np.flatnonzero(np.asarray(wrong)).tolist()
    if indices:
        shown = ", ".join(map(str, indices[:10])) + (" …" if indices[10:] else "")
        raise ValueError(
            f"{len(indices)} starting points are no adversaries: those of images "
            f"{shown}. Give points that the model labels as the attack wants, or none"
        )


def number(
    name: str, value: Number, allowed: str, holds: Callable[[np.ndarray], Any]
) -> None:
    """Checks a real number, or an array of them, where it is known.

    Args:
        name: of the setting.
        value: what was given.
        allowed: what is, for the message, as in "above 0".
        holds: whether numbers are allowed; NaN and infinity never are.

    Raises:
        ValueError: it is not.
    """
    if not is_known(value):
        return
    known = np.asarray(value)
    if not np.all(np.isfinite(known) & holds(known)):
        raise ValueError(f"{name} is {value}, but must be {allowed}")


def positive(**numbers: Number) -> None:
    """Checks that settings are positive and finite.

    In an array 0 is allowed, of an image or a pixel that stays as it is.

    Raises:
        ValueError: one is not.
    """
    for name, value in numbers.items():
        number(name, value, "above 0", lambda v: v >= 0 if v.ndim else v > 0)


def not_negative(**numbers: Number) -> None:
    """Checks that settings are at least 0 and finite.

    Raises:
        ValueError: one is not.
    """
    for name, value in numbers.items():
        number(name, value, "at least 0", lambda v: v >= 0)


def radius(epsilon: Number, x: Array, norm: perturbation.Norm) -> Array:
    """Checks the shape of a radius, and gives it the images' rank and type.

    Args:
        epsilon: float [], one for all images; [n], one each; in Linf also one for each
            pixel, of the rank of x and broadcasting to it.
        x: float [n, ...], the images.
        norm: of the ball.

    Returns:
        float [], or of the rank of x with n rows; rounded down where it is known.

    Raises:
        ValueError: the shape is another.
    """
    shape = jnp.shape(epsilon)
    if not shape:
        return perturbation.radius(epsilon, x[:1]).reshape(())
    fits = len(shape) == x.ndim and all(
        own in (1, size) for own, size in zip(shape, x.shape, strict=True)
    )
    one_each = shape == x.shape[:1]
    if not one_each and not fits:
        raise ValueError(
            f"epsilon has shape {shape}, but must be one number, one for each of the "
            f"{len(x)} images, or one for each pixel, broadcasting to {x.shape}"
        )
    if norm != "linf" and any(size > 1 for size in shape[1:]):
        raise ValueError(
            f"epsilon has shape {shape}, but a ball of {norm} has one radius an image"
        )
    value = perturbation.radius(epsilon, x)
    return jnp.broadcast_to(value, (len(x), *value.shape[1:]))


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


def norm(value: Any, allowed: tuple[Any, ...] = perturbation.NORMS) -> None:
    """Checks the name of a norm.

    Raises:
        ValueError: the attack does not know it.
    """
    one_of("norm", value, allowed)


def _is_array(value: Any, kind: Any) -> TypeGuard[Array]:
    return isinstance(value, jax.Array | np.ndarray) and jnp.issubdtype(
        value.dtype, kind
    )


def _in_box(x: Array) -> bool:
    """Whether all pixels are in [0,1]; told without copying them to the host."""
    return bool(jnp.all((x >= 0) & (x <= 1)))


def _output(
    function: Callable[[Array], Any], x: Array | jax.ShapeDtypeStruct
) -> jax.ShapeDtypeStruct:
    if isinstance(function, tracing.Captured):
        out = function.output
    elif callable(function):
        out = jax.eval_shape(function, jax.ShapeDtypeStruct(x.shape, x.dtype))
    else:
        raise TypeError(f"the model is {function!r}, but must be a function of images")
    if not isinstance(out, jax.ShapeDtypeStruct):
        raise TypeError(
            f"the function returns {jax.tree.structure(out)}, but must return one array"
        )
    return out
