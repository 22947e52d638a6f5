"""`cond`, `while_loop` and `fori_loop` that also work inside `jax.shard_map`.

There a value's type tells over which mesh axes it varies. JAX wants one type of both
branches of a `cond`, and of a loop's carry before and after. A constant has another
type than an array that is spread over devices: here it is made to vary where the
array does. Outside of `shard_map` nothing is done.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from zeroone_jax.types import Array

Carry = TypeVar("Carry")


def cond(
    chosen: Array, if_so: Callable[[], Carry], if_not: Callable[[], Carry]
) -> Carry:
    """Chooses between two computations, as `jax.lax.cond` does."""
    if not _inside_shard_map():
        return jax.lax.cond(chosen, if_so, if_not)
    kinds = [jax.eval_shape(branch) for branch in (if_so, if_not)]
    return jax.lax.cond(
        chosen, lambda: _vary(if_so(), *kinds), lambda: _vary(if_not(), *kinds)
    )


def while_loop(
    going: Callable[[Carry], Array], body: Callable[[Carry], Carry], first: Carry
) -> Carry:
    """Repeats as long as needed, as `jax.lax.while_loop` does."""
    if not _inside_shard_map():
        return jax.lax.while_loop(going, body, first)
    first = _settled(body, first)
    return jax.lax.while_loop(going, lambda carry: _vary(body(carry), first), first)


def fori_loop(
    start: int, end: int, body: Callable[[Array, Carry], Carry], first: Carry
) -> Carry:
    """Repeats for the numbers from start to before end, as `jax.lax.fori_loop` does."""
    if not _inside_shard_map():
        return jax.lax.fori_loop(start, end, body, first)
    number = jnp.asarray(start, jnp.int32)
    first = _settled(lambda carry: body(number, carry), first)
    return jax.lax.fori_loop(
        start, end, lambda number, carry: _vary(body(number, carry), first), first
    )


def _settled(body: Callable[[Carry], Carry], first: Carry) -> Carry:
    """The first carry, varying wherever a later one will."""
    while True:
        following = _vary(first, jax.eval_shape(body, first))
        if _axes(following) == _axes(first):
            return first
        first = following


def _vary(tree: Any, *others: Any) -> Any:
    """Makes arrays vary where those in the same places of other pytrees do."""

    def leaf(array: Any, *like: Any) -> Any:
        missing = frozenset().union(*map(_varies, like)) - _varies(array)
        return jax.lax.pcast(array, tuple(missing), to="varying") if missing else array

    return jax.tree.map(leaf, tree, *others)


def _axes(tree: Any) -> list[frozenset[str]]:
    return list(map(_varies, jax.tree.leaves(tree)))


def _varies(leaf: Any) -> frozenset[str]:
    """The mesh axes over which an array, or its shape and type, varies."""
    kind: Any = leaf if isinstance(leaf, jax.ShapeDtypeStruct) else jax.typeof(leaf)
    # None where the caller's shard_map does not check.
    return kind.manual_axis_type.varying if kind.manual_axis_type else frozenset()


def _inside_shard_map() -> bool:
    return bool(jax.sharding.get_abstract_mesh().manual_axes)
