"""Paper B's toy: a logistic regression that PGD training ruins and SENSE does not.

docs/papers.md, B3: class 0 lies around (-1, 0), class 1 around (1, 7) with
probability .55, else around (1, -7), all with deviation .2. The L2 ball has radius 1.6,
so that no line keeps both classes right in it; adversarial training gives up the rarer
part of class 1, though nothing stands between the classes themselves.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import losses
from zeroone_jax.evaluation import decision_regions
from zeroone_jax.training import sensible_adversary
from zeroone_jax.training.ascent import ascend, random_start
from zeroone_jax.types import Array, Key

from ...studies.columns import Columns, at, sheet
from ...studies.study import Drawn, Row, Study, Together

METHODS = ("natural", "pgd", "sense")
_EXPECTED = {"natural": "-", "pgd": "near .75", "sense": "above .99"}
SEEDS = 5
# The attacks know the unit square only: [-_HALF, _HALF]^2 is put there.
_HALF = 16.0
_FRAMES = 40


@dataclasses.dataclass(frozen=True)
class Toy:
    """The settings, in the plane's units.

    Attributes:
        points: how many.
        epsilon: the L2 ball's radius.
        confidence: SENSE's c.
        steps: of the adversaries, which are made anew in every iteration.
        iterations: of gradient descent on all points.
        learning_rate: its step.
    """

    points: int = 5000
    epsilon: float = 1.6
    confidence: float = 0.9
    steps: int = 10
    iterations: int = 400
    learning_rate: float = 0.2


def draw(key: Key, toy: Toy) -> tuple[Array, Array]:
    """Draws points of the plane, float32 [n, 2], and labels i32 [n]."""
    label_key, mode_key, noise_key = jax.random.split(key, 3)
    label = jax.random.bernoulli(label_key, 0.5, (toy.points,))
    upper = jax.random.bernoulli(mode_key, 0.55, (toy.points,))
    positive = jnp.stack([jnp.ones(toy.points), jnp.where(upper, 7.0, -7.0)], axis=1)
    negative = jnp.broadcast_to(jnp.array([[-1.0, 0.0]]), positive.shape)
    noise = 0.2 * jax.random.normal(noise_key, positive.shape)
    return jnp.where(label[:, None], positive, negative) + noise, label.astype(
        jnp.int32
    )


@functools.partial(jax.jit, static_argnames=("method", "toy"))
def train(key: Key, method: str, toy: Toy) -> tuple[Array, Array]:
    """Trains by gradient descent.

    Args:
        key: of the points and of random starts.
        method: one of `METHODS`.
        toy: the settings.

    Returns:
        Weights float32 [iterations + 1, 3] before each iteration and after the last,
        and the final share of points labelled right.
    """
    data_key, first_key, key = jax.random.split(key, 3)
    points, labels = draw(data_key, toy)
    unit = points / (2 * _HALF) + 0.5
    epsilon = toy.epsilon / (2 * _HALF)
    step_size = 2.5 * epsilon / toy.steps

    def outputs(weights: Array, x: Array) -> Array:
        return jnp.matmul((x - 0.5) * (2 * _HALF), weights[:2]) + weights[2]

    def adversary(key: Key, weights: Array) -> Array:
        model = functools.partial(outputs, jax.lax.stop_gradient(weights))
        if method == "natural":
            return unit
        if method == "sense":
            search = functools.partial(sensible_adversary, key, model, norm="l2")
            return search(unit, labels, epsilon, step_size, toy.steps, toy.confidence)
        return ascend(
            lambda x: losses.cross_entropy(model(x), labels),
            unit,
            random_start(key, unit, labels, epsilon, "l2"),
            epsilon=epsilon,
            step_size=step_size,
            steps=toy.steps,
            norm="l2",
        )

    def loss(weights: Array, key: Key) -> Array:
        x = jax.lax.stop_gradient(adversary(key, weights))
        return jnp.mean(losses.cross_entropy(outputs(weights, x), labels))

    def descend(weights: Array, index: Array) -> tuple[Array, Array]:
        slope = jax.grad(loss)(weights, jax.random.fold_in(key, index))
        return weights - toy.learning_rate * slope, weights

    first = 0.1 * jax.random.normal(first_key, (3,))
    last, course = jax.lax.scan(
        descend, first, jnp.arange(toy.iterations, dtype=jnp.int32)
    )
    right = losses.labels(outputs(last, unit)) == labels
    return jnp.concatenate([course, last[None]]), jnp.mean(right.astype(jnp.float32))


def _methods(rows: Sequence[Row]) -> list[Row]:
    (row,) = rows
    shares = row["accuracy"].items()
    return [{"method": method, "shares": found} for method, found in shares]


_TITLE = f"Paper B's toy: natural accuracy, {SEEDS} seeds"
_COLUMNS: Columns = {
    "method": at("method"),
    "mean": lambda row: float(np.mean(row["shares"])),
    "least": lambda row: min(row["shares"]),
    "most": lambda row: max(row["shares"]),
    "expected (B3)": lambda row: _EXPECTED[row["method"]],
}


def study(toy: Toy) -> Study:
    """Makes the study: every method and seed, the table, and an animation.

    Args:
        toy: the settings.
    """
    return Study(
        runs=lambda scale: [],
        together=Together(
            "toy.json",
            functools.partial(_measured, toy),
            {"toy": dataclasses.asdict(toy)},
        ),
        tables={"table.md": sheet(_TITLE, _COLUMNS, _methods)},
        figures={"toy.gif": functools.partial(_animation, toy)},
    )


def _measured(toy: Toy, rows: Sequence[Row]) -> dict[str, Any]:
    """Trains everything; of the first seed's weights it keeps the frames."""
    del rows
    keys = [jax.random.key(seed) for seed in range(SEEDS)]
    made = {
        method: [jax.device_get(train(key, method, toy)) for key in keys]
        for method in METHODS
    }
    return {
        "accuracy": {
            method: [float(share) for _, share in found]
            for method, found in made.items()
        },
        "course": {
            method: found[0][0][_shown(toy)].tolist() for method, found in made.items()
        },
    }


def _shown(toy: Toy) -> np.ndarray:
    """The iterations of the frames; denser where more happens."""
    return np.unique(np.geomspace(1, toy.iterations + 1, _FRAMES).astype(int)) - 1


def _animation(toy: Toy, rows: Sequence[Row]) -> Drawn:
    (row,) = rows
    weights = np.stack(
        [np.array(row["course"][method], np.float32) for method in METHODS], axis=1
    )
    course = decision_regions.Course(METHODS, _shown(toy), weights)
    points, labels = draw(jax.random.split(jax.random.key(0), 3)[0], toy)
    some = np.asarray(points)[:500], np.asarray(labels)[:500]
    return lambda path: decision_regions.write(path, course, *some)


TOY = study(Toy())
