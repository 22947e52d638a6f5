"""Runs that train by the settings of a launcher, and evaluate as it does."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from zeroone_jax import runs
from zeroone_jax.training import Config

from .. import train_network, train_zero_one
from ..configs import network, zero_one
from .study import Place, Run

Experiment: TypeAlias = network.Experiment | zero_one.Experiment

_Settings = TypeVar("_Settings", network.Experiment, zero_one.Experiment)

_DEFAULT = zero_one.Experiment()
_YOUNGER = (
    "ball",
    "basis",
    "components",
    "count",
    "epsilon",
    "ramp",
    "reference",
    "share",
    "shift",
    "flip",
)
"""Settings that the first stored results do not have."""

# Coordinate descent looks at its rows, and saves, every so many iterations.
_CHECKPOINT_EVERY = 200


@dataclasses.dataclass(frozen=True)
class TrainingRun(Run, Generic[_Settings]):
    """Training, with its evaluation.

    Attributes:
        method: what tables call it.
        experiment: its settings.
    """

    method: str
    experiment: _Settings

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.experiment.seed

    def settings(self) -> dict[str, Any]:
        """The experiment's."""
        return as_json(self.experiment)

    def fill(self, run: runs.RunDirectory, place: Place) -> None:
        """Trains and evaluates."""
        if isinstance(self.experiment, network.Experiment):
            train_network.fill(self.experiment, run)
        else:
            train(self.experiment, run)

    def is_same(self, kept: Mapping[str, Any]) -> bool:
        """Whether they are; the result may be older than some of them."""
        return bool(runs.from_json(kept, type(self.experiment)) == self.experiment)


def train(experiment: Experiment, run: runs.RunDirectory) -> None:
    """Trains, or goes on with it; a network is not evaluated.

    Raises:
        command_line.UserError: it cannot be trained.
    """
    if isinstance(experiment, network.Experiment):
        train_network.trained(experiment, run, checkpoint_every=10)
    elif run.summary() is None:
        train_zero_one.train(experiment, run, _CHECKPOINT_EVERY)


def as_json(experiment: Experiment) -> dict[str, Any]:
    """Settings as stored results and the names of run directories have them."""
    settings = dataclasses.asdict(experiment)
    if isinstance(experiment, zero_one.Experiment):
        parts = {
            name: _as_before(settings[name], getattr(_DEFAULT, name))
            for name in ("data", "solver")
        }
        return _as_before({**settings, **parts}, _DEFAULT)
    name = type(experiment.objective).__name__
    return {
        **settings,
        "objective": {"name": name, **settings["objective"]},
        "training": _as_before(settings["training"], Config()),
    }


def _as_before(settings: Mapping[str, Any], default: Any) -> dict[str, Any]:
    """Leaves out younger settings that are at their defaults."""
    return {
        name: value
        for name, value in settings.items()
        if name not in _YOUNGER or value != getattr(default, name)
    }
