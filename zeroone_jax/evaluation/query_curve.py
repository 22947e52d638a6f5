"""How near an attack has come after how many queries."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.attacks.state import AttackResult, State
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
    **options: Any,
) -> Recorded:
    """Attacks images, and records the course at the end of every step.

    Args:
        attack: the attack.
        key: a random key.
        fn: the model.
        x: float [n, ...] in [0,1].
        y: i32 [n], labels or targets.
        start: float [n, ...] or None, as for the attack itself.
        budgets: i32 [m], at what numbers of queries to look.
        **options: `devices` and `room`, as for `Attack.watch`.

    Returns:
        What `attack(key, fn, x, y, start)` gives, and the curve.
    """
    curve = _Curve(jnp.asarray(budgets))
    result, _, seen = attack.watch(key, fn, x, y, start, curve, **options)
    # Images that were not attacked are adversaries already, or have no label.
    at_once = jnp.where(result.success, 0, jnp.inf).astype(seen.dtype)[:, None]
    attacked = (result.distance > 0)[:, None]
    return Recorded(result, jnp.where(attacked, seen, at_once))


class _Curve(NamedTuple):
    """Observes the distance of the nearest adversary, float [n, budgets]."""

    budgets: Array

    def begin(self, attack: Attack, state: State) -> Array:
        """Looks at what the attack begins with."""
        shape = (len(state.x), len(self.budgets))
        nothing = jnp.full(shape, jnp.inf, state.x.dtype)
        return self.observe(attack, nothing, state, None)

    def observe(self, attack: Attack, seen: Array, state: State, info: Any) -> Array:
        """Enters the distance where the queries so far do not exceed the budget."""
        del info
        distance = size(state.adversary - state.x, attack.norm)
        distance = jnp.where(state.found, distance, jnp.inf)[:, None]
        # The attack itself asked once before the first step.
        in_time = state.queries[:, None] + 1 <= self.budgets[None]
        return jnp.where(in_time, jnp.minimum(seen, distance), seen)
