"""Trained models and what is measured of them: the runs of paper A's studies."""

import dataclasses
import operator
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from zeroone_jax import runs
from zeroone_jax.models import zero_one

from .. import command_line, pieces
from ..attacked_models import Model
from ..progress import Progress
from .study import Place, Run, not_installed
from .target import Target


def votes_of(networks: zero_one.Params) -> list[zero_one.Params]:
    """Gives the votes of 01 networks, each as networks of one."""
    return [
        jax.tree.map(operator.itemgetter(slice(vote, vote + 1)), networks)
        for vote in range(len(networks.w1))
    ]


def in_common(
    subjects: Mapping[str, Model], count: int
) -> tuple[np.ndarray, dict[str, float]]:
    """Picks the first test images that models of the same data all label rightly.

    Args:
        subjects: the models.
        count: the most images.

    Returns:
        i [n], the places of the images; and each model's accuracy on all.

    Raises:
        command_line.UserError: there is no such image.
    """
    rights = {label: subject.right("test") for label, subject in subjects.items()}
    indices = np.flatnonzero(np.all(list(rights.values()), axis=0))[:count]
    if not len(indices):
        source = next(iter(subjects.values())).source
        raise command_line.UserError(
            f"no test image of {source.name}, classes {source.classes}, is labelled "
            f"rightly by all of {', '.join(subjects)}"
        )
    return indices, {label: float(np.mean(right)) for label, right in rights.items()}


@dataclasses.dataclass
class Bench:
    """The work of one run: its models, and the pieces that are measured of them.

    Attributes:
        name: of the work, for those who watch it.
        subjects: the models, by what tables call them.
        run: the open run directory, which keeps each piece.
        place: where else to look.
        training: seconds that it took this session to have the models.
        seconds: that the pieces took, of all sessions.
    """

    name: str
    subjects: Mapping[str, Model]
    run: runs.RunDirectory
    place: Place
    training: float
    seconds: float = 0.0
    _done: int = 0
    _progress: Progress | None = None

    @property
    def subject(self) -> Model:
        """The only model."""
        (subject,) = self.subjects.values()
        return subject

    def expect(self, count: int) -> None:
        """Tells how many pieces there will be, to say when they are done."""
        self._progress = Progress(f"measuring {self.name}", count)

    def kept(
        self,
        name: str,
        make: Callable[[], Mapping[str, np.ndarray]],
        note: Callable[[Mapping[str, np.ndarray]], str] = lambda found: "",
    ) -> dict[str, np.ndarray]:
        """Does as `pieces.timed_arrays` in the run directory.

        Args:
            name: the file, without the ending.
            make: makes the piece.
            note: what to show of it.
        """
        found = pieces.timed_arrays(self.run.path / f"{name}.npz", make)
        self.seconds += float(found["seconds"])
        self._done += 1
        if self._progress is not None:
            self._progress.report(self._done, f"{name} {note(found)}".strip())
        return found


@dataclasses.dataclass(frozen=True)
class ModelRun(Run):
    """Training of models of the same data where they are not yet, and measurements.

    Attributes:
        method: what tables call it.
        targets: the models.
        measure: gives what the results keep, of JSON's types, but for the settings, the
            session and, unless given, the seconds; takes the bench and the protocol.
        protocol: how much is measured, and how hard: a dataclass; None of no choice.
        more: what else decides what comes out, of JSON's types.
        needs: a package that has to be there, by its name for import.
    """

    method: str
    targets: tuple[Target, ...]
    measure: Callable[[Bench, Any], dict[str, Any]]
    protocol: Any = None
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    needs: str = ""

    def missing(self) -> str:
        """What the models need, and the measurement."""
        lacking = [target.missing() for target in self.targets]
        if self.needs:
            lacking.insert(0, not_installed(self.needs))
        return next(filter(None, lacking), "")

    def settings(self) -> dict[str, Any]:
        """The models', and the protocol's; of one model without any the model's."""
        settings = dict(self.more)
        if self.protocol is not None:
            settings["protocol"] = dataclasses.asdict(self.protocol)
        models = {target.label: target.settings() for target in self.targets}
        if len(models) > 1:
            return {"models": models, **settings}
        (model,) = models.values()
        return {"model": model, **settings} if settings else model

    def fill(self, run: runs.RunDirectory, place: Place) -> None:
        """Trains, and measures a piece after another."""
        began = time.monotonic()
        with jax.enable_x64(any(target.double for target in self.targets)):
            subjects = {target.label: target.model(place) for target in self.targets}
            training = time.monotonic() - began
            bench = Bench(self.method, subjects, run, place, training)
            found = self.measure(bench, self.protocol)
        run.finish(
            {
                "config": self.settings(),
                # Training the models is not in it.
                "seconds": round(bench.seconds, 1),
                **found,
                "session": run.sessions()[-1],
            }
        )


def each(
    targets: Iterable[Target],
    measure: Callable[[Bench, Any], dict[str, Any]],
    protocol: Any = None,
    needs: str = "",
    **more: Any,
) -> list[ModelRun]:
    """Lists a run for each of some models; the rest is as in `ModelRun`."""
    return [
        ModelRun(target.label, (target,), measure, protocol, more, needs)
        for target in targets
    ]
