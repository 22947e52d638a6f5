"""What the launcher does to images: an attack, a suite, a bench, or verification."""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, tagged, verification
from zeroone_jax.attacks import sign_network
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.attacks.state import where
from zeroone_jax.evaluation import query_curve
from zeroone_jax.types import Array, LabelFn, LogitsFn

from . import attack_bench, cores
from .configs import attack as configs

_LOOKS = 60
_MOST_QUERIES = 1_000_000
_NO_GRADIENTS = (
    attacks.hyperplane_crossing,
    attacks.spsa,
    attacks.square,
    attacks.surrogate_gradient,
)

Found: TypeAlias = dict[str, np.ndarray]
Report: TypeAlias = Callable[[int], None]


class Batch(NamedTuple):
    """Images, and what attacks them.

    Attributes:
        model: the classifier.
        x: float [n, height, width, channels].
        y: i32 [n], labels.
        goal: i32 [n], the labels, or the targets.
        start: float, of x's shape, where to start, or None.
    """

    model: LogitsFn
    x: Array
    y: Array
    goal: Array
    start: Array | None

    @property
    def label_fn(self) -> LabelFn:
        """The classifier's labels."""
        return attacks.as_label_fn(self.model)


class Work(NamedTuple):
    """Something to do to images.

    Attributes:
        name: what to call it.
        norm: how distances are measured.
        do: gives what `attack_report.Outcome` holds of no more images than are attacked
            together; told, where that takes long, whom to tell how many are done.
        wants_targets: whether it is given the classes to reach in the place of labels.
        takes_starts: whether it starts from adversaries.
        follows_slopes: whether it sees nothing where logits have no gradient.
        in_ball: whether it counts who is wrong in a ball.
    """

    name: str
    norm: attacks.Norm
    do: Callable[[Batch, Report], Found]
    wants_targets: bool = False
    takes_starts: bool = False
    follows_slopes: bool = False
    in_ball: bool = False

    def without_slope(self, batch: Batch) -> float | None:
        """The share of images without gradient; None for what does not follow it."""
        if not self.follows_slopes:
            return None
        model = batch.model
        slopes = jax.grad(lambda x: jnp.sum(model(x) ** 2 + model(x)))(batch.x)
        return float(np.mean(size(slopes, "linf") == 0))


def work(experiment: configs.Experiment) -> Work:
    """Finds out what the settings ask for."""
    todo = experiment.attack
    name = tagged.name_of(type(todo))
    if isinstance(todo, verification.Config):
        return Work(name, todo.norm, functools.partial(_measured, todo))
    if isinstance(todo, configs.Bench):
        benched = functools.partial(_benched, todo, experiment)
        return Work(name, todo.norm, benched, follows_slopes=True)
    if isinstance(todo, configs.Suite):
        suite = todo.build()
        return Work(
            name,
            suite.norm,
            functools.partial(_by_suite, suite, experiment),
            wants_targets=suite.targeted,
            takes_starts=suite.starts_from_adversary,
            in_ball=suite.epsilon is not None,
        )
    return Work(
        name,
        todo.norm,
        functools.partial(_attacked, todo, experiment),
        todo.targeted,
        todo.starts_from_adversary,
        todo.needs == "logits" and not isinstance(todo, _NO_GRADIENTS),
        todo.in_ball,
    )


def _attacked(
    attack: attacks.Attack, experiment: configs.Experiment, batch: Batch, _: Report
) -> Found:
    """Attacks, compiled for as many images as there are at most at a time."""
    options = {
        "devices": jax.local_devices(),
        "room": max(len(batch.x), experiment.at_a_time),
    }
    key = jax.random.key(experiment.seed)
    images = batch.x, batch.goal, batch.start
    if attack.needs == "logits":
        watched = attack.watch(key, batch.model, *images, **options)
        return _polished(experiment, attack.norm, batch, watched.result)
    most = getattr(attack, "max_queries", None) or _MOST_QUERIES
    budgets = query_curve.budgets(most, _LOOKS)
    result, curve = query_curve.record(
        attack, key, batch.label_fn, *images, budgets, **options
    )
    found = _polished(experiment, attack.norm, batch, result)
    return {**found, "budgets": budgets, "curve": np.asarray(curve)}


def _by_suite(
    suite: attacks.suite.Suite, experiment: configs.Experiment, batch: Batch, _: Report
) -> Found:
    """Attacks by a suite, which looks for slopes itself, and warns."""
    fn = batch.label_fn if suite.needs == "labels" else batch.model
    key = jax.random.key(experiment.seed)
    images = batch.x, batch.goal, batch.start
    told = suite(key, fn, *images, devices=jax.local_devices())
    result = attacks.AttackResult(*told[:4])
    return {
        **_polished(experiment, suite.norm, batch, result),
        "strongest": np.asarray(told.strongest),
        "stages": np.array([stage.name for stage in told.stages]),
        "warnings": np.array(told.warnings, dtype=str),
    }


def _benched(
    bench: configs.Bench, experiment: configs.Experiment, batch: Batch, _: Report
) -> Found:
    """Attacks by every attack; what each one found is kept beside the nearest."""
    key = jax.random.key(experiment.seed)
    found = attack_bench.measure(
        bench.norm, bench.cap, key, batch.model, batch.x, batch.y
    )
    result = attacks.AttackResult(
        *(jnp.asarray(found[name]) for name in attacks.AttackResult._fields)
    )
    return {**found, **_polished(experiment, bench.norm, batch, result)}


def _measured(config: verification.Config, batch: Batch, report: Report) -> Found:
    """Computes distances; witnesses count as adversaries, nodes as queries."""
    found = verification.measure(
        sign_network.networks(batch.model),
        batch.x,
        batch.y,
        config,
        workers=cores.verifiers(len(batch.x)),
        report=report,
    )
    return {
        "adversary": found.witness.astype(batch.x.dtype),
        "success": np.isfinite(found.upper),
        "distance": found.upper,
        "queries": found.nodes,
        "lower": found.lower,
        "infimum": found.infimum,
    }


def _polished(
    experiment: configs.Experiment,
    norm: attacks.Norm,
    batch: Batch,
    result: attacks.AttackResult,
) -> Found:
    """Moves adversaries nearer, if asked; what is none stays as it is."""
    if experiment.polish:
        if norm not in ("l2", "linf"):
            raise ValueError(
                f"polish knows the norms l2 and linf, but the attack is in {norm}"
            )
        polishing = verification.cell_polishing(norm=norm)
        key = jax.random.key(0)
        near = polishing(key, batch.model, batch.x, batch.y, result.adversary)
        result = attacks.AttackResult(
            where(near.success, near.adversary, result.adversary),
            result.success,
            jnp.where(near.success, near.distance, result.distance),
            result.queries + near.queries,
        )
    return {name: np.asarray(array) for name, array in result._asdict().items()}
