"""The parameters of 01 networks: their layout, their start, what makes them valid."""

import math
from typing import Final

import flax.struct
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from zeroone_jax.types import Array, Key

HIDDEN_VALUES: Final = ("01", "pm")
"""The known conventions for what a hidden unit passes on, see `Params`."""


@flax.struct.dataclass
class Params:
    """Networks with one hidden layer of sign units, one network a vote.

    One network says class 1 where `H.w2 + b2 > 0`, so an exact 0 means class 0, and
    its hidden values H follow one of two conventions (docs/papers.md, A1):

    - `"01"`: 1 where `w1.x + b1 > 0`, else 0, as the authors' programs of 2020;
    - `"pm"`: 1/sqrt(h) where `w1.x + b1 >= 0`, else -1/sqrt(h), as those of 2021.

    Two classes need `[votes, ...]`. One-vs-all for more has a leading class axis on
    every array, `[classes, votes, ...]`. A linear network is a single unit whose
    value is passed on, see `linear`. All arrays share one dtype, float32 or (under
    `jax_enable_x64`) float64, and it is the dtype that everything is computed in.

    Attributes:
        w1: float [votes, h, d], the hidden units' weights.
        b1: float [votes, h], their biases: a unit's threshold is `-b1`.
        w2: float [votes, h], the output units' weights.
        b2: float [votes], the output units' biases.
        hidden_values: "01" or "pm"; static, so not an array of the pytree.
    """

    w1: Array
    b1: Array
    w2: Array
    b2: Array
    hidden_values: str = flax.struct.field(pytree_node=False, default="01")


def check(params: Params) -> None:
    """Checks what can be known before the numbers are: also under `jit`.

    Raises:
        ValueError: if `hidden_values` is unknown, or an array's shape or dtype does
            not fit; the message says which.
    """
    if params.hidden_values not in HIDDEN_VALUES:
        raise ValueError(
            f"hidden_values is {params.hidden_values!r}, not one of {HIDDEN_VALUES}"
        )
    shape, dtype = params.w1.shape, params.w1.dtype
    if len(shape) not in (3, 4):
        raise ValueError(
            f"w1 has shape {shape}: neither [votes, h, d] nor [classes, votes, h, d]"
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"w1 is {dtype}, not floating point")
    for name, expected in (("b1", shape[:-1]), ("w2", shape[:-1]), ("b2", shape[:-2])):
        array = getattr(params, name)
        if array.shape != expected:
            raise ValueError(
                f"{name} has shape {array.shape}, but w1 of shape {shape} "
                f"needs {expected}"
            )
        if array.dtype != dtype:
            raise ValueError(f"{name} is {array.dtype}, but w1 is {dtype}")


def check_rows(params: Params, x: ArrayLike) -> Array:
    """Checks the networks, and that they can take x; gives it as an array [n, d].

    Raises:
        ValueError: x is not float [n, d] in the params' dtype, or images [n, ...] of d
            numbers each, or the networks are not valid.
    """
    check(params)
    x = jnp.asarray(x)
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}, but must be [n, features]")
    features, found = params.w1.shape[-1], math.prod(x.shape[1:])
    if found != features:
        raise ValueError(f"x has {found} features but the network takes {features}")
    if x.dtype != params.w1.dtype:
        raise ValueError(
            f"x is {x.dtype} but the network computes in {params.w1.dtype}: "
            "cast x, or the network by astype"
        )
    return x.reshape(len(x), features)


def init(
    key: Key,
    features: int,
    hidden: int = 20,
    votes: int = 1,
    classes: int = 2,
    hidden_values: str = "01",
) -> Params:
    """Draws the networks that training starts from.

    Every unit's weights are standard normal, divided by their L2 norm, and every
    threshold is 0 (docs/papers.md, A2). A vote's numbers depend on the key, its
    class and its index, not on how many votes there are.

    Args:
        key: a random key.
        features: d, the width of the input.
        hidden: h, the number of hidden units.
        votes: the number of networks (a class).
        classes: 2 for no class axis, more for one-vs-all.
        hidden_values: "01" or "pm", see `Params`.

    Returns:
        Networks of JAX's default float dtype.

    Raises:
        ValueError: if a size is below 1, `classes` below 2, or `hidden_values`
            unknown.

    Example:
        >>> init(jax.random.key(0), features=3072, votes=8).w1.shape
        (8, 20, 3072)
    """
    sizes = {"features": features, "hidden": hidden, "votes": votes}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}, but must be at least 1")
    if classes < 2:
        raise ValueError(f"classes is {classes}, but must be at least 2")

    def unit_rows(row_key: Key, shape: tuple[int, ...]) -> Array:
        rows = jax.random.normal(row_key, shape)
        return rows / jnp.linalg.norm(rows, axis=-1, keepdims=True)

    def network(class_index: Array, vote: Array) -> Params:
        hidden_key, output_key = jax.random.split(
            jax.random.fold_in(jax.random.fold_in(key, class_index), vote)
        )
        return Params(
            w1=unit_rows(hidden_key, (hidden, features)),
            b1=jnp.zeros(hidden),
            w2=unit_rows(output_key, (hidden,)),
            b2=jnp.zeros(()),
            hidden_values=hidden_values,
        )

    over_votes = jax.vmap(network, in_axes=(None, 0))
    if classes == 2:
        params = over_votes(jnp.asarray(0), jnp.arange(votes))
    else:
        over_classes = jax.vmap(over_votes, in_axes=(0, None))
        params = over_classes(jnp.arange(classes), jnp.arange(votes))
    check(params)
    return params


def linear(w: ArrayLike, b: ArrayLike) -> Params:
    """Makes networks that say class 1 where `w.x + b > 0`.

    The one hidden unit's value, 0 or 1, becomes a score of -0.5 or 0.5.

    Args:
        w: float [votes, d] or [classes, votes, d], weights.
        b: float [votes] or [classes, votes], biases.

    Returns:
        Networks with one hidden unit, `hidden_values="01"`, w2 = 1 and b2 = -0.5.

    Raises:
        ValueError: if the shapes or dtypes do not fit.

    Example:
        >>> params = linear(jnp.array([[3.0, 4.0]]), jnp.array([-5.0]))
        >>> params.w1.shape, params.b1.shape
        ((1, 1, 2), (1, 1))
    """
    w1 = jnp.expand_dims(jnp.asarray(w), -2)
    b1 = jnp.expand_dims(jnp.asarray(b), -1)
    b2 = jnp.full(b1.shape[:-1], -0.5, b1.dtype)
    params = Params(w1=w1, b1=b1, w2=jnp.ones_like(b1), b2=b2)
    check(params)
    return params


def astype(params: Params, dtype: DTypeLike) -> Params:
    """Casts every array to a floating-point dtype, and so what is computed in.

    float64 needs `jax_enable_x64`.
    """
    return jax.tree.map(lambda array: array.astype(dtype), params)
