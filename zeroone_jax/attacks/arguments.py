"""Refuses what an attack cannot work with: models, radii, starts."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import losses, tracing
from zeroone_jax.attacks import perturbation
from zeroone_jax.types import Array, Number


def model(
    function: Callable[[Array], Any],
    x: Array | jax.ShapeDtypeStruct,
    needs: Literal["logits", "labels"],
    attack: str,
) -> int | None:
    """Checks a model by its output's shape, without running it.

    Returns:
        The number of classes; None of a function of labels, which does not tell.

    Raises:
        TypeError: the function returns something else than the attack needs.
        ValueError: its output has a wrong shape.
    """
    if not callable(function):
        raise TypeError(f"the model is {function!r}, but must be a function of images")
    if isinstance(function, tracing.Captured):
        out = function.program.output
    else:
        out = jax.eval_shape(function, jax.ShapeDtypeStruct(x.shape, x.dtype))
    if not isinstance(out, jax.ShapeDtypeStruct):
        raise TypeError(
            f"the function returns {jax.tree.structure(out)}, but must return one array"
        )
    returned = f"{out.dtype}{list(out.shape)}"
    are_labels = jnp.issubdtype(out.dtype, jnp.integer)
    if needs == "labels":
        if not are_labels:
            raise TypeError(
                f"{attack} asks for labels, but the function given returns {returned}: "
                "wrap logits as attacks.as_label_fn(logits_fn)"
            )
        if out.shape != x.shape[:1]:
            raise ValueError(
                f"the function returns labels of shape {out.shape} for {x.shape[0]} "
                f"images, but must return [{x.shape[0]}]"
            )
        return None
    if are_labels:
        raise TypeError(
            f"{attack} needs gradients of logits, but the function given returns "
            f"labels ({returned}): give it a function that returns logits, or take an "
            "attack that needs labels only, such as hop_skip_jump"
        )
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise TypeError(f"the function returns {out.dtype}, but must return logits")
    if not out.shape or out.shape[0] != x.shape[0]:
        raise ValueError(
            f"the function returns shape {out.shape} for {x.shape[0]} images, but must "
            "return [n, classes], or [n] or [n, 1] for two classes"
        )
    return jax.eval_shape(losses.as_logits, out).shape[1]


def some_labelled(missing: ArrayLike) -> None:
    """Checks that a model has a label for some images.

    Args:
        missing: bool [n], for which ones it has none.

    Raises:
        ValueError: all are missing.
    """
    count = jnp.size(missing)
    if bool(jnp.all(missing)):
        raise ValueError(
            f"the model's logits are NaN or infinite at {count} of {count} images: "
            "look at its weights and at how images are scaled"
        )


def unlabelled(missing: ArrayLike, images: ArrayLike) -> str:
    """Tells where a model has no label.

    Args:
        missing: bool [n], whether it has none for an image, or for the point that an
            attack on it came to.
        images: bool [n], whether it has none for the image itself.

    Returns:
        A sentence; empty if it has one everywhere.
    """
    total, count = jnp.size(images), int(jnp.sum(images))
    points = int(jnp.sum(jnp.asarray(missing) & ~jnp.asarray(images)))
    found = []
    if count:
        found.append(
            f"at {count} of {total} images, which count neither as right nor as broken"
        )
    if points:
        found.append(
            f"where the attack on {points} of {total} images ended, which count "
            "as not broken"
        )
    if not found:
        return ""
    return "the model's logits are NaN or infinite " + ", and ".join(found)


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


def one_each(name: str, number: Number, x: Array) -> Array:
    """Checks the shape of a number that is one for each image.

    Args:
        name: what to call it in messages.
        number: float [n], or [n, 1, ...] or [1, 1, ...] of the rank of x.
        x: float [n, ...], the images.

    Returns:
        float [n, 1, ...].

    Raises:
        ValueError: the shape is another.
    """
    shape, ones = jnp.shape(number), (1,) * (x.ndim - 1)
    if shape not in (x.shape[:1], (len(x), *ones), (1, *ones)):
        raise ValueError(
            f"{name} has shape {shape}, but must be one number, or one for each of the "
            f"{len(x)} images"
        )
    rows = jnp.asarray(number, x.dtype).reshape(-1, *ones)
    return jnp.broadcast_to(rows, (len(x), *ones))


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
        return perturbation.rounded_down(epsilon, x.dtype)
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
