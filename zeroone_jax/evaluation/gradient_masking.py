"""PGD's loss and what is left of accuracy, after ever more steps.

Paper B's check for masked gradients (section B5 of our notes): PGD with 500 steps (on
MNIST 1,000) from 20 random starts, on 100 images. Of an honest network the loss comes
to rest at the same height from all starts, and accuracy with it; where accuracy still
falls after hundreds of steps, shorter attacks have overrated the network. A loss that
rests may still be masked: see AutoAttack's number for that.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, losses
from zeroone_jax.attacks.attack import State
from zeroone_jax.attacks.pgd import ProjectedGradientDescent
from zeroone_jax.evaluation import query_curve
from zeroone_jax.types import Array, Key, LogitsFn


class Masking(NamedTuple):
    """PGD's course.

    Attributes:
        steps: i [m], after how many moves it was looked at, rising; 0 is the start.
        loss: f32 [restarts, m], what is climbed, in the mean over images, at the
            points that each restart has come to by then.
        accuracy: f64 [m], share of images that the network labels rightly, themselves
            and at all points of all restarts up to then.
    """

    steps: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray


def cifar10(epsilon: float = 8 / 255) -> ProjectedGradientDescent:
    """The check's attack on CIFAR-10: 500 steps of 2/255 from 20 starts in Linf."""
    return _papers(epsilon, step_size=2 / 255, iterations=500)


def mnist(epsilon: float = 0.3) -> ProjectedGradientDescent:
    """The check's attack on MNIST: 1,000 steps of .01 from 20 starts in Linf."""
    return _papers(epsilon, step_size=0.01, iterations=1000)


def _papers(
    epsilon: float, step_size: float, iterations: int
) -> ProjectedGradientDescent:
    return attacks.pgd(
        epsilon=epsilon,
        step_size=step_size,
        iterations=iterations,
        restarts=20,
        fit_box=False,
        loss="cross_entropy",
    )


def looks(iterations: int, count: int = 30) -> np.ndarray:
    """Numbers of moves to look after: 0, and the rest evenly spread by logarithms.

    Args:
        iterations: the last of them, at least 1.
        count: how many after 0, less those that would coincide.

    Returns:
        i32 [m], rising.

    Example:
        >>> looks(100, 5).tolist()
        [0, 1, 3, 10, 32, 100]
    """
    return np.append(0, query_curve.budgets(iterations, count)).astype(np.int32)


def record(
    key: Key,
    logits_fn: LogitsFn,
    x: Array,
    y: Array,
    attack: ProjectedGradientDescent,
    steps: np.ndarray,
) -> Masking:
    """Runs all restarts of PGD to their ends, and looks at them on the way.

    All images are in hand at a time, whatever the attack's `chunk`.

    Args:
        key: a random key.
        logits_fn: the network.
        x: f32 [n, ...] in [0,1].
        y: int [n], the labels.
        attack: PGD, untargeted; whether it would stop early does not matter.
        steps: i [m], after how many of its moves to look, in 0..iterations.

    Returns:
        The `Masking`. Its accuracy after all moves is that of
        `attack(key, logits_fn, x, y)`.

    Raises:
        ValueError: a number of moves is not in 0..iterations.
    """
    steps = np.unique(steps)
    if steps[0] < 0 or steps[-1] > attack.iterations:
        raise ValueError(
            f"steps reach from {steps[0]} to {steps[-1]}, but must be in "
            f"0..{attack.iterations}"
        )
    patient = dataclasses.replace(attack, early_stop=False)
    model = patient.model(logits_fn, x)
    loss, broken_by = _record(patient, key, model, x, y.astype(jnp.int32))
    robust = np.asarray(broken_by)[:, None] > steps
    return Masking(steps, np.asarray(loss)[:, steps], robust.mean(axis=0))


@functools.partial(jax.jit, static_argnums=0)
def _record(
    attack: ProjectedGradientDescent,
    key: Key,
    fn: LogitsFn,
    x: Array,
    y: Array,
) -> tuple[Array, Array]:
    """Runs the attack.

    Returns:
        f32 [restarts, iterations + 1], mean losses, and i32 [n], after how many moves
        an image was first broken in any restart: -1 before any attack, iterations + 1
        never.
    """
    points = attack.iterations + 1

    def look(carry: tuple[State, Array], _: None) -> tuple[tuple[State, Array], Array]:
        state, broken_by = carry
        turn = state.iteration % points
        state, info = attack.step(key, fn, state)
        broken = attack.broken(info.labels, y)
        broken_by = jnp.where(broken, jnp.minimum(broken_by, turn), broken_by)
        return (state, broken_by), jnp.mean(info.loss)

    never = jnp.where(losses.labels(fn(x)) == y, points, -1).astype(jnp.int32)
    first = (attack.init(key, fn, x, y), never)
    (_, broken_by), loss = jax.lax.scan(look, first, length=attack.restarts * points)
    return loss.reshape(attack.restarts, points), broken_by
