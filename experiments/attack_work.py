"""What the launcher of attacks can do to images: an attack, a suite, verification."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import cores
from experiments.configs import attack as configs
from zeroone_jax import attacks, tagged, verification
from zeroone_jax.attacks import sign_network
from zeroone_jax.attacks.perturbation import size
from zeroone_jax.attacks.state import where
from zeroone_jax.evaluation import query_curve
from zeroone_jax.types import Array, LabelFn, LogitsFn

_LOOKS = 60
_MOST_QUERIES = 1_000_000
_NO_GRADIENTS = (
    attacks.hyperplane_crossing,
    attacks.spsa,
    attacks.square,
    attacks.surrogate_gradient,
)


class Batch(NamedTuple):
    """Images, and what attacks them.

    Attributes:
        model: the classifier.
        label_fn: its labels.
        x: float [n, height, width, channels].
        y: i32 [n], labels.
        goal: i32 [n], the labels, or the targets.
        start: float, of x's shape, where to start, or None.
    """

    model: LogitsFn
    label_fn: LabelFn
    x: Array
    y: Array
    goal: Array
    start: Array | None


@dataclasses.dataclass(frozen=True)
class Work(abc.ABC):
    """Something to do to images.

    Attributes:
        experiment: the launcher's settings.
    """

    experiment: configs.Experiment

    @property
    def wants_targets(self) -> bool:
        """Whether it is given the classes to reach in the place of labels."""
        return False

    @property
    def takes_starts(self) -> bool:
        """Whether it starts from adversaries."""
        return False

    @property
    def name(self) -> str:
        """What to call it."""
        return tagged.name_of(type(self.experiment.attack))

    @property
    @abc.abstractmethod
    def norm(self) -> attacks.Norm:
        """How distances are measured."""

    @abc.abstractmethod
    def do(self, batch: Batch, report: Callable[[int], None]) -> dict[str, np.ndarray]:
        """Does it.

        Args:
            batch: the images, no more than are attacked together.
            report: told how many are done, where that takes long.

        Returns:
            What `attack_report.Outcome` holds of these images.
        """

    def without_slope(self, model: LogitsFn, x: Array) -> float | None:
        """The share of images without gradient; None for what does not follow it."""
        del model, x
        return None


class _Attack(Work):
    """Attacks images, compiled for as many as there are at most at a time."""

    @property
    def attack(self) -> attacks.Attack:
        """The attack."""
        attack: Any = self.experiment.attack
        return attack

    @property
    def norm(self) -> attacks.Norm:
        return self.attack.norm

    @property
    def wants_targets(self) -> bool:
        return self.attack.targeted

    @property
    def takes_starts(self) -> bool:
        return self.attack.starts_from_adversary

    def do(self, batch: Batch, report: Callable[[int], None]) -> dict[str, np.ndarray]:
        options = {
            "devices": jax.local_devices(),
            "room": max(len(batch.x), self.experiment.at_a_time),
        }
        key = jax.random.key(self.experiment.seed)
        x, goal, start = batch.x, batch.goal, batch.start
        if self.attack.needs == "logits":
            watched = self.attack.watch(key, batch.model, x, goal, start, **options)
            return _arrays(_polished(self, batch, watched.result))
        most = getattr(self.attack, "max_queries", None) or _MOST_QUERIES
        budgets = query_curve.budgets(most, _LOOKS)
        result, curve = query_curve.record(
            self.attack, key, batch.label_fn, x, goal, start, budgets, **options
        )
        found = _arrays(_polished(self, batch, result))
        return {**found, "budgets": budgets, "curve": np.asarray(curve)}

    def without_slope(self, model: LogitsFn, x: Array) -> float | None:
        if isinstance(self.attack, _NO_GRADIENTS) or self.attack.needs == "labels":
            return None
        slopes = jax.grad(lambda x: jnp.sum(model(x) ** 2 + model(x)))(x)
        return float(np.mean(size(slopes, "linf") == 0))


class _Suite(Work):
    """Attacks images by a suite, which looks for slopes itself, and warns."""

    @property
    def suite(self) -> attacks.suite.Suite:
        """The suite."""
        settings: Any = self.experiment.attack
        return settings.build()

    @property
    def norm(self) -> attacks.Norm:
        return self.suite.norm

    @property
    def wants_targets(self) -> bool:
        return self.suite.targeted

    @property
    def takes_starts(self) -> bool:
        return self.suite.starts_from_adversary

    def do(self, batch: Batch, report: Callable[[int], None]) -> dict[str, np.ndarray]:
        fn = batch.label_fn if self.suite.needs == "labels" else batch.model
        key = jax.random.key(self.experiment.seed)
        told = self.suite(
            key, fn, batch.x, batch.goal, batch.start, devices=jax.local_devices()
        )
        result = _polished(self, batch, attacks.AttackResult(*told[:4]))
        return {
            **_arrays(result),
            "strongest": np.asarray(told.strongest),
            "stages": np.array([stage.name for stage in told.stages]),
            "warnings": np.array(told.warnings, dtype=str),
        }


class _Verification(Work):
    """Computes distances; witnesses count as adversaries, nodes as queries."""

    @property
    def config(self) -> verification.Config:
        """What is measured."""
        config: Any = self.experiment.attack
        return config

    @property
    def norm(self) -> attacks.Norm:
        return self.config.norm

    def do(self, batch: Batch, report: Callable[[int], None]) -> dict[str, np.ndarray]:
        found = verification.measure(
            sign_network.networks(batch.model),
            batch.x,
            batch.y,
            self.config,
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


def work(experiment: configs.Experiment) -> Work:
    """Finds out what the settings ask for."""
    if isinstance(experiment.attack, verification.Config):
        return _Verification(experiment)
    if isinstance(experiment.attack, configs.Suite):
        return _Suite(experiment)
    return _Attack(experiment)


def _arrays(result: attacks.AttackResult) -> dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in result._asdict().items()}


def _polished(
    work: Work, batch: Batch, result: attacks.AttackResult
) -> attacks.AttackResult:
    """Moves adversaries nearer, if asked; what is none stays as it is."""
    if not work.experiment.polish:
        return result
    if work.norm == "l1":
        raise ValueError("polish knows the norms l2 and linf, but the attack is in l1")
    polishing = verification.cell_polishing(norm=work.norm)
    key = jax.random.key(0)
    near = polishing(key, batch.model, batch.x, batch.y, result.adversary)
    return attacks.AttackResult(
        where(near.success, near.adversary, result.adversary),
        result.success,
        jnp.where(near.success, near.distance, result.distance),
        result.queries + near.queries,
    )
