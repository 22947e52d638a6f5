"""Models that are compared on the same images: those that all of them label rightly."""

import abc
import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments import attacked_models, command_line
from experiments.reproductions.paper_a import accuracy, distortion
from experiments.reproductions.paper_a.distortion_attacks import Piece
from experiments.reproductions.paper_a.targets import Target
from experiments.reproductions.plan import Place, Run, arrays_once
from zeroone_jax import runs

Found = Mapping[str, np.ndarray]


class Group(NamedTuple):
    """Trained models of the same data.

    Attributes:
        models: by what tables call them.
        accuracy: their shares of test images labelled rightly.
        indices: i [n], places of the first test images that all label rightly.
        class_names: of the classes told apart.
    """

    models: Mapping[str, attacked_models.Model]
    accuracy: Mapping[str, float]
    indices: np.ndarray
    class_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class GroupRun(Run):
    """Training and attacks of models of the same data.

    Attributes:
        method: what tables call them together.
        targets: the models.
        protocol: how they are attacked, a dataclass; its `images` is how many.
    """

    method: str
    targets: tuple[Target, ...]
    protocol: Any

    @property
    def seed(self) -> int:
        """The same for all."""
        return 0

    def settings(self) -> dict[str, Any]:
        """The models' and the protocol's."""
        return {
            "models": {target.label: target.settings() for target in self.targets},
            "protocol": dataclasses.asdict(self.protocol),
        }

    def fill(self, run: runs.RunDirectory, place: Place) -> None:
        """Trains all, then attacks."""
        began = time.monotonic()
        group = trained(self.targets, place, self.protocol.images)
        training = time.monotonic() - began
        found = self.attack(run, group, place)
        run.finish(
            {
                "config": self.settings(),
                "class_names": group.class_names,
                "indices": group.indices.tolist(),
                "accuracy": group.accuracy,
                **found,
                "seconds": {
                    "training": round(training, 1),
                    "all": round(time.monotonic() - began, 1),
                },
                "session": run.sessions()[-1],
            }
        )

    @abc.abstractmethod
    def attack(
        self, run: runs.RunDirectory, group: Group, place: Place
    ) -> dict[str, Any]:
        """Attacks the models one after another.

        Args:
            run: the open run directory, which keeps each piece.
            group: the trained models.
            place: where the data are.

        Returns:
            What the results keep, of JSON's types.
        """


def trained(targets: Sequence[Target], place: Place, count: int) -> Group:
    """Trains models where they are not yet, and picks images.

    Args:
        targets: the models, of the same data.
        place: where they are trained.
        count: the most images.

    Raises:
        command_line.UserError: a model cannot be had, or no image is labelled rightly
            by all.
    """
    models = {target.label: target.model(place) for target in targets}
    rights = {
        label: accuracy.right(model, "test", place.data_dir)
        for label, model in models.items()
    }
    indices = np.flatnonzero(np.all(list(rights.values()), axis=0))[:count]
    source = next(iter(models.values())).source
    if not len(indices):
        raise command_line.UserError(
            f"no test image of {source.name}, classes {source.classes}, is labelled "
            f"rightly by all of {', '.join(models)}"
        )
    test = command_line.load(source.name, "test", source.classes, place.data_dir)
    shares = {label: float(np.mean(right)) for label, right in rights.items()}
    return Group(models, shares, indices, tuple(test.class_names))


def attacked(
    run: runs.RunDirectory,
    target: Target,
    group: Group,
    pieces: Sequence[Piece],
    place: Place,
) -> dict[str, Found]:
    """Attacks one model of a group, a piece after another.

    Pieces that the run directory has already are not made again.

    Args:
        run: the open run directory.
        target: the model.
        group: with the trained model and the images.
        pieces: attacks on common images.
        place: where the data are.

    Returns:
        By piece, the arrays of `distortion.attacked`, and the "seconds" that it took.
    """
    model = group.models[target.label]
    networks = distortion.sign_networks(target, model)
    common = distortion.common_images(model, group.indices, place.data_dir)
    found: dict[str, Any] = {}
    for piece in pieces:
        name = f"{target.label}-{piece.name.replace(' ', '-')}.npz"
        make = functools.partial(
            distortion.attacked, piece, model, networks, {"common": common}, 0, found
        )
        found[piece.name] = arrays_once(run.path / name, make)
    return found


def short(found: Mapping[str, Found]) -> dict[str, Any]:
    """What the results keep of each piece: no adversaries.

    Args:
        found: what `attacked` gave.
    """
    return {
        name: {
            **distortion.short(arrays),
            "seconds": round(float(arrays["seconds"]), 1),
        }
        for name, arrays in found.items()
    }


def distances(kept: Mapping[str, Any], piece: str) -> np.ndarray:
    """Reads distances, float [n], infinite where there was no success.

    Args:
        kept: what `short` gave.
        piece: of which piece.
    """
    values = kept[piece]["distance"]
    return np.array([np.inf if value is None else value for value in values])
