"""PGD's loss and what is left of accuracy, after ever more steps.

Paper B's check for masked gradients (docs/papers.md, B5): PGD with 500 steps (on
MNIST 1,000) from 20 random starts, on 100 images. If gradients are not masked, the loss
settles at the same height from all starts, and accuracy settles as well. If accuracy
still falls after hundreds of steps, shorter attacks have overrated the network. A loss
that settles does not rule out masked gradients: look at AutoAttack's figure, too.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks
from zeroone_jax.attacks.pgd import PAPERS, Info, ProjectedGradientDescent
from zeroone_jax.attacks.state import State
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
        **PAPERS,
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
    watched = patient.watch(key, logits_fn, x, y, None, _Climbs(), all_images=True)
    wrong = np.asarray(attacks.predict(logits_fn, x, attack.chunk) != y)
    loss, broken_by = watched.seen
    robust = (np.asarray(broken_by)[:, None] > steps) & ~wrong[:, None]
    return Masking(
        steps,
        np.asarray(jnp.mean(loss, axis=0))[:, steps],
        robust.mean(axis=0),
    )


class _Climbs(NamedTuple):
    """Observes every restart's losses, and when an image was first broken.

    What is seen: float [n, restarts, iterations + 1], and i32 [n], after how many moves
    of any restart; iterations + 1 for never.
    """

    def begin(
        self, attack: ProjectedGradientDescent, state: State
    ) -> tuple[Array, Array]:
        """Nothing has been looked at."""
        points = attack.iterations + 1
        shape = (len(state.x), attack.restarts, points)
        never = jnp.full(len(state.x), points, jnp.int32)
        return jnp.zeros(shape, state.x.dtype), never

    def observe(
        self,
        attack: ProjectedGradientDescent,
        seen: tuple[Array, Array],
        state: State,
        info: Info | None,
    ) -> tuple[Array, Array]:
        """Enters the loss of the step that is over."""
        if info is None:
            return seen
        loss, broken_by = seen
        restart, turn = jnp.divmod(state.iteration - 1, attack.iterations + 1)
        broken = attack.broken(info.labels, state.y)
        sooner = jnp.where(broken, jnp.minimum(broken_by, turn), broken_by)
        return loss.at[:, restart, turn].set(info.loss), sooner
