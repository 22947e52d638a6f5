"""Trained models that runs share, and how each comes about."""

import abc
import dataclasses
import pathlib
from typing import Any

from .. import attacked_models, run_directory
from .study import Place, directory_name
from .training_run import Experiment, as_json, train

REFERENCE = pathlib.Path(__file__).parents[3] / "shared" / "reference"
"""Networks of others, where a checkout has them beside it."""


class Foreign(abc.ABC):
    """A model that no launcher of ours trains; frozen dataclasses implement it."""

    double = False
    """Whether to compute in float64."""

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What it is, as JSON's types."""

    @abc.abstractmethod
    def missing(self) -> str:
        """Says what is not here that the model needs; nothing if all is."""

    @abc.abstractmethod
    def model(self) -> attacked_models.Model:
        """Makes or loads the model.

        Raises:
            command_line.UserError: it cannot be had.
        """


@dataclasses.dataclass(frozen=True)
class Target:
    """A model of the tables.

    Attributes:
        name: what tables call it.
        noise: standard deviation of the noise on the training images; 0 is none.
        trained: how it is trained, or a model of others.
        reference: the model that its training refers to, for sensible training of 01
            networks.
    """

    name: str
    noise: float
    trained: Experiment | Foreign
    reference: "Target | None" = None

    @property
    def label(self) -> str:
        """The name, with the noise if there is any."""
        return f"{self.name}-noise-{self.noise}" if self.noise else self.name

    @property
    def double(self) -> bool:
        """Whether to compute in float64."""
        return isinstance(self.trained, Foreign) and self.trained.double

    def missing(self) -> str:
        """Says what is not here that the model needs; nothing if all is."""
        return self.trained.missing() if isinstance(self.trained, Foreign) else ""

    def settings(self) -> dict[str, Any]:
        """How it was trained, as JSON's types."""
        if isinstance(self.trained, Foreign):
            return self.trained.settings()
        settings = as_json(self.trained)
        if self.reference is not None:
            settings["reference"] = self.reference.settings()
        return settings

    def of(self, classes: tuple[int, int]) -> "Target":
        """Gives the same model of other classes.

        Raises:
            ValueError: the model is of no other.
        """
        if isinstance(self.trained, Foreign):
            raise ValueError(f"{self.name} is of classes 0 and 1 only")
        settings: Any = self.trained
        data = dataclasses.replace(settings.data, classes=classes)
        trained = dataclasses.replace(settings, data=data)
        return dataclasses.replace(self, trained=trained)

    @property
    def directory(self) -> str:
        """The name of the run directory in which it is trained."""
        return directory_name(self.label, self.settings())

    def model(self, place: Place) -> attacked_models.Model:
        """Loads the model, which is trained first, or further, where it has to be.

        Raises:
            command_line.UserError: it cannot be trained or loaded.
        """
        if isinstance(self.trained, Foreign):
            return self.trained.model()
        trained: Any = self.trained
        if self.reference is not None:
            self.reference.model(place)
            where = str(place.runs / self.reference.directory)
            trained = dataclasses.replace(trained, reference=where)
        folder = place.runs / self.directory
        with run_directory.opened_at(folder, self.settings(), resume=True) as run:
            train(trained, run)
        return attacked_models.load(str(folder), self.double)
