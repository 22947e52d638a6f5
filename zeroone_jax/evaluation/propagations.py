"""How often an attack runs a model forward and backward, counted while it runs.

`AttackResult.queries` counts what an image is asked for, a gradient included. Here the
two are counted apart, as AttackBench caps them: by the model itself, whoever calls it.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zeroone_jax import losses
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.attacks.state import AttackResult
from zeroone_jax.types import Array, Key, LogitsFn


class Propagations(NamedTuple):
    """What an attack took of a model.

    Attributes:
        forward: how often it ran over the images.
        backward: how often a gradient was taken, of one class or loss each.
    """

    forward: int
    backward: int


class _Tally:
    """Counts calls from inside compiled code."""

    def __init__(self) -> None:
        self.forward = self.backward = 0

    def count_forward(self, _: Any) -> None:
        self.forward += 1

    def count_backward(self, _: Any) -> None:
        self.backward += 1


def count(
    attack: Attack,
    key: Key,
    fn: LogitsFn,
    x: Array,
    y: Array,
    start: Array | None = None,
) -> tuple[AttackResult, Propagations]:
    """Attacks images all at once, and counts propagations of the whole batch.

    Images that are done wait for the others: what is counted is at least what the image
    takes that takes most. An attack that needs labels is given those of the logits.

    Args:
        attack: the attack.
        key: a random key.
        fn: the model, which returns logits.
        x: float [n, ...] in [0,1].
        y: i32 [n], labels or targets.
        start: float [n, ...] or None, as for the attack itself.

    Returns:
        What the attack found, and the `Propagations`.

    Raises:
        TypeError: as a call of the attack.
        ValueError: as a call of the attack.
    """
    tally = _Tally()

    @jax.custom_vjp
    def noted(z: Array) -> Array:
        jax.debug.callback(tally.count_forward, _first(z))
        return z

    def forward(z: Array) -> tuple[Array, None]:
        return noted(z), None

    def backward(_: None, slope: Array) -> tuple[Array]:
        # A number of the slope: where slopes are mapped over, each one is counted.
        jax.debug.callback(tally.count_backward, _first(slope))
        return (slope,)

    noted.defvjp(forward, backward)

    def counted(points: Array) -> Array:
        z = noted(fn(points))
        return z if attack.needs == "logits" else losses.labels(z)

    at_once = dataclasses.replace(attack, chunk=len(x))
    found = at_once(key, counted, x, y, start)
    jax.block_until_ready(found)
    jax.effects_barrier()
    return found, Propagations(tally.forward, tally.backward)


def _first(array: Array) -> Array:
    return jnp.reshape(array, -1)[0]
