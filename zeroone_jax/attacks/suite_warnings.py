"""What a suite looks at to tell when its figures may be too good to be true.

After AutoAttack's checks (Croce and Hein 2020, and the notes of their program), and one
of ours, on the convergence of AutoPGD.
"""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import losses, tracing
from zeroone_jax.attacks.apgd import AutoPGD
from zeroone_jax.attacks.apgd_memory import Info
from zeroone_jax.attacks.apgd_schedule import checkpoints
from zeroone_jax.attacks.paid import model_of
from zeroone_jax.attacks.perturbation import finite
from zeroone_jax.attacks.state import State
from zeroone_jax.types import Array, Key, LabelFn, LogitsFn

_CHUNK = 256
"""Images looked at together, and the most of which gradients are taken."""

_CONVERGENCE_IMAGES = 64
_LATE_GAIN = 0.05
_LATE_SHARE = 0.1
_BLACK_BOX_SHARE = 0.002
"""AutoAttack's: the share of images below which Square's success says nothing."""


def find(
    key: Key,
    fn: LogitsFn | LabelFn,
    x: Array,
    y: Array,
    attacks: Sequence[Any],
    black_box: np.ndarray,
    attacked: np.ndarray,
    broken: np.ndarray,
) -> tuple[str, ...]:
    """Looks for reasons not to trust a suite's figures.

    Args:
        key: a random key.
        fn: the model.
        x: float [n, ...], all images.
        y: i32 [n].
        attacks: the suite's, in order.
        black_box: bool [attacks], whether they follow no gradients.
        attacked: bool [attacks, n], whether they were run on an image.
        broken: bool [attacks, n], whether they broke it.

    Returns:
        Sentences; none if nothing was found.
    """
    model = model_of(fn, x)
    some = jnp.asarray(np.asarray(x)[:_CHUNK])
    outputs, again = (np.asarray(_outputs(model, some)) for _ in range(2))
    differ = _differ(outputs, again)
    warnings = []
    if differ.any():
        warnings.append(
            f"The model is random: asked twice, it gave {differ.sum()} of "
            f"{len(differ)} images other outputs. Attacks that expect one answer "
            "overrate it: give attacks.expectation of it."
        )
    else:
        differ = _differ(*_companions(model, some))
        if differ.any():
            warnings.append(
                "The model depends on its batch: beside other images it gave "
                f"{differ.sum()} of {len(differ)} images other outputs "
                f"({differ.mean():.0%}). Give it in evaluation mode, as with batch "
                "normalisation by running statistics."
            )
    needs = np.array([attack.needs for attack in attacks])
    by_gradients = np.any((needs == "logits") & ~black_box)
    # NumPy does not know that bfloat16 is a type of floats.
    if jnp.issubdtype(outputs.dtype, jnp.floating):
        if _are_probabilities(outputs):
            warnings.append(
                "The model returns probabilities: their gradients vanish where it is "
                "sure. Give its logits."
            )
        blind = np.zeros(len(some), bool)
        if by_gradients:
            blind = np.asarray(_no_gradient(model, some, y[:_CHUNK]))
        if blind.any():
            warnings.append(
                f"The gradient is 0 or not finite at {blind.sum()} of {len(blind)} "
                "images: attacks that follow gradients are blind there."
            )
    tried, found = attacked[~black_box].any(axis=0), broken[~black_box].any(axis=0)
    only = broken[black_box].any(axis=0) & tried & ~found
    if only.mean() > _BLACK_BOX_SHARE:
        warnings.append(
            f"Attacks without gradients broke {only.sum()} images that those with "
            "gradients could not: the gradients mislead. Use more queries and "
            "restarts, or an attack made for this model."
        )
    left = np.flatnonzero(attacked.any(axis=0) & ~broken.any(axis=0))
    # The phases of L1 have a highest loss of their own each.
    climbs = [
        attack
        for attack in attacks
        if isinstance(attack, AutoPGD) and attack.norm != "l1"
    ]
    if climbs and len(left):
        warnings += _not_converged(climbs[0], key, fn, x, y, left)
    return tuple(warnings)


def contradictions(changed: np.ndarray) -> tuple[str, ...]:
    """Looks for other answers to the same question among those that were paid for.

    Args:
        changed: bool [attacks, n], whether an attack found an image wrong at its first
            look that was right before.

    Returns:
        Sentences; none if nothing was found.
    """
    count = int(changed.any(axis=0).sum())
    if not count:
        return ()
    return (
        f"The model is random: asked again, it gave {count} of {changed.shape[1]} "
        "images other labels. Attacks that expect one answer overrate it.",
    )


def _differ(outputs: np.ndarray, again: np.ndarray) -> np.ndarray:
    """Whether two answers to the same images differ, bool [n]."""
    if outputs.dtype.kind == "i":
        return outputs != again
    flat = outputs.reshape(len(outputs), -1).astype(np.float64)
    other = again.reshape(len(again), -1).astype(np.float64)
    # Infinite logits differ from nothing by nothing that can be measured.
    flat, other = (np.where(np.isfinite(array), array, 0) for array in (flat, other))
    scale = np.linalg.norm(flat, axis=1) + 1e-10
    # AutoAttack's 1e-4; sums in another order differ by less.
    return np.linalg.norm(flat - other, axis=1) > 1e-4 * scale


def _companions(model: tracing.Captured, x: Array) -> tuple[np.ndarray, np.ndarray]:
    """What the model says of half the images, twice in other company and order."""
    half = x[: -(-len(x) // 2)]
    beside = _outputs(model, jnp.concatenate([half, half]))
    among = _outputs(model, jnp.concatenate([1 - half, half[::-1]]))
    return np.asarray(beside)[: len(half)], np.asarray(among)[: len(half) - 1 : -1]


def _are_probabilities(outputs: np.ndarray) -> bool:
    rounding = max(1e-5, 4 * float(jnp.finfo(outputs.dtype).eps))
    outputs = outputs.astype(np.float64)
    if outputs.ndim != 2 or outputs.shape[1] < 2 or not np.isfinite(outputs).all():
        return False
    return outputs.min() >= 0 and np.abs(outputs.sum(axis=1) - 1).max() <= rounding


def _not_converged(
    attack: AutoPGD,
    key: Key,
    fn: LogitsFn | LabelFn,
    x: Array,
    y: Array,
    left: np.ndarray,
) -> list[str]:
    images = left[:_CONVERGENCE_IMAGES]
    count = len(images)
    once = dataclasses.replace(attack, restarts=1, target_classes=1)
    watched = once.of_images(operator.itemgetter(images)).watch(
        key,
        fn,
        x[images],
        y[images],
        None,
        _Climb(),
        room=_CONVERGENCE_IMAGES,
        all_images=True,
    )
    highest = np.asarray(watched.seen).T
    # By the last but one checkpoint the climb should be all but over.
    late = checkpoints(once.iterations)[-2:][0]
    rise = highest[-1] - highest[0]
    rising = highest[-1] - highest[late] > _LATE_GAIN * np.maximum(rise, 1e-12)
    if rising.mean() <= _LATE_SHARE:
        return []
    return [
        f"AutoPGD has not converged: in the moves after the last but one checkpoint, "
        f"{late} of {attack.iterations}, the loss still rose by more than "
        f"{_LATE_GAIN:.0%} of its whole rise at {rising.sum()} of {count} unbroken "
        "images. Use more iterations."
    ]


@jax.jit
def _outputs(model: Any, x: Array) -> Array:
    return model(x)


@jax.jit
def _no_gradient(model: tracing.Captured, x: Array, y: Array) -> Array:
    gradient = jax.grad(lambda x: jnp.sum(losses.soft_margin(model(x), y)))(x)
    return jnp.all(finite(gradient).reshape(len(x), -1) == 0, axis=1)


class _Climb(NamedTuple):
    """Observes the highest loss after every look of one restart, float [n, looks]."""

    def begin(self, attack: AutoPGD, state: State) -> Array:
        """Nothing has been looked at."""
        shape = (len(state.x), attack.iterations + 1)
        return jnp.full(shape, -jnp.inf, state.x.dtype)

    def observe(
        self, attack: AutoPGD, seen: Array, state: State, info: Info | None
    ) -> Array:
        """Enters what the step came to; an image that left keeps its last."""
        del attack
        if info is None:
            return jax.lax.cummax(seen, axis=1)
        return seen.at[:, state.iteration - 1].set(info.highest)
