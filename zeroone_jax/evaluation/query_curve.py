"""How near an attack has come after how many queries."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.attacks.attack import Attack, AttackResult, State
from zeroone_jax.attacks.paid import only
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.types import Array, Key, LabelFn, LogitsFn


class Recorded(NamedTuple):
    """An attack and its course.

    Attributes:
        result: what the attack found.
        curve: float [n, budgets], the distance of the nearest adversary that was found
            with no more queries than the budget; infinite where there was none, 0 for
            images that are adversaries themselves.
    """

    result: AttackResult
    curve: Array


def budgets(most: int, count: int = 40) -> np.ndarray:
    """Numbers of queries at which to look, evenly spread by their logarithms.

    Args:
        most: the last of them, at least 1.
        count: how many, less those that would coincide.

    Returns:
        i32 [m], rising from 1.

    Example:
        >>> budgets(100, 5).tolist()
        [1, 3, 10, 32, 100]
    """
    return np.unique(np.rint(np.geomspace(1, most, count))).astype(np.int32)


def record(
    attack: Attack,
    key: Key,
    fn: LogitsFn | LabelFn,
    x: Array,
    y: Array,
    start: Array | None,
    budgets: np.ndarray,
) -> Recorded:
    """Attacks images, and records the course at the end of every step.

    All images are in hand at a time, whatever the attack's `chunk`.

    Args:
        attack: the attack.
        key: a random key.
        fn: the model.
        x: float [n, ...] in [0,1].
        y: i32 [n], labels or targets.
        start: float [n, ...] or None, as for the attack itself.
        budgets: i32 [m], at what numbers of queries to look.

    Returns:
        What `attack(key, fn, x, y, start)` gives, and the curve.
    """
    model = attack.model(fn, x)
    return _record(attack, key, model, x, y, start, jnp.asarray(budgets))


@functools.partial(jax.jit, static_argnums=0)
def _record(
    attack: Attack,
    key: Key,
    fn: LogitsFn | LabelFn,
    x: Array,
    y: Array,
    start: Array | None,
    budgets: Array,
) -> Recorded:
    labels, done = attack.look(fn, x, y)
    to_do = ~done & (labels >= 0)

    def looked(state: State, curve: Array) -> Array:
        distance = size(state.adversary - x, attack.norm)
        distance = jnp.where(state.found, distance, jnp.inf)[:, None]
        # The attack itself asked once before the first step.
        in_time = state.queries[:, None] + 1 <= budgets[None]
        return jnp.where(in_time, jnp.minimum(curve, distance), curve)

    def step(carry: tuple[State, Array]) -> tuple[State, Array]:
        state = attack.step(key, fn, carry[0])[0]
        return state, looked(state, carry[1])

    def active(carry: tuple[State, Any]) -> Array:
        return jnp.any(carry[0].active)

    state = attack.init(key, only(fn, to_do), x, y, start)
    state = state._replace(active=state.active & to_do, found=state.found & to_do)
    nothing = jnp.full((len(x), len(budgets)), jnp.inf, x.dtype)
    state, curve = jax.lax.while_loop(active, step, (state, looked(state, nothing)))
    state = attack.finish(key, fn, state)
    at_once = jnp.where(labels < 0, jnp.inf, 0).astype(x.dtype)
    curve = jnp.where(to_do[:, None], looked(state, curve), at_once[:, None])
    return Recorded(attack.conclude(fn, state, labels, to_do)[0], curve)
