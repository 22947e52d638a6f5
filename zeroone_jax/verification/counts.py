"""Certified radii of one-against-all ensembles, through their counts of votes.

Every network answers for one class, and the class with the most votes wins. Within a
radius only those votes can flip whose own distance is smaller. At worst votes for the
right class are lost and votes for another one are won, each at the least it costs, and
all at one point: no point nearer than that is labelled otherwise.
"""

import dataclasses
import functools
import time
from collections.abc import Callable

import jax
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax.models import zero_one
from zeroone_jax.verification.cells import Target
from zeroone_jax.verification.distances import Config, solver_for
from zeroone_jax.verification.many import checked, mapped
from zeroone_jax.verification.networks import Bools, Floats, Image, Networks
from zeroone_jax.verification.search import Limits, Search


def counted(
    params: zero_one.Params,
    x: ArrayLike,
    y: ArrayLike,
    config: Config | None = None,
    *,
    workers: int = 1,
    report: Callable[[int], None] | None = None,
) -> Floats:
    """Certifies a radius around images for networks of one class against all others.

    Args:
        params: one-against-all networks, [classes, votes, ...].
        x: float [n, d], or images [n, ...] of d numbers each, in [0,1], n at least 1.
        y: int [n], labels in 0..classes-1.
        config: how the distance of each vote is measured; `joint` means nothing here,
            and `seconds` is the limit of one vote at one image. By default exact in L2
            and in the box.
        workers: how many processes share the images, as for `measure`.
        report: called with the number of images done, after each.

    Returns:
        float64 [n], on the [0,1] pixel scale: no nearer point gets another label. 0
        where the networks say another label than y; infinite where no flips of votes
        change the label.

    Raises:
        ValueError: an argument has a wrong shape or value.
        RuntimeError: a process has died.
    """
    config = config or Config()
    zero_one.check(params)
    if params.w1.ndim != 4:
        raise ValueError(
            f"the networks tell two classes apart (w1 has shape {params.w1.shape}): "
            "`measure` and `bounds` take those"
        )
    classes = [
        Networks.of(jax.tree.map(lambda leaf, c=c: leaf[c], params))
        for c in range(len(params.w1))
    ]
    images, labels = checked(classes[0], x, y, len(classes))
    found = []
    with mapped(
        functools.partial(_Alone, classes, config), images, labels, workers
    ) as radii:
        for radius in radii:
            found.append(radius)
            if report is not None:
                report(len(found))
    return np.array(found)


def radius_of_counts(said: Bools, distances: Floats, label: int) -> float:
    """The least radius within which flips of votes can change a label.

    Args:
        said: bool [classes, votes], which networks vote for their class.
        distances: float [classes, votes], what each costs alone to flip.
        label: the class that the image must keep.

    Returns:
        0 where the votes say another class already.

    Example:
        Class 0 leads by one vote, and wins ties: two flips are needed.

        >>> said = np.array([[True, True], [True, False]])
        >>> radius_of_counts(said, np.array([[0.3, 0.5], [0.9, 0.2]]), 0)
        0.3
    """
    counts = said.sum(axis=1)
    least = np.inf
    for other in np.flatnonzero(np.arange(len(said)) != label):
        # On ties the lowest class wins.
        spare = int(counts[label] - counts[other]) - int(other < label)
        if spare < 0:
            return 0.0
        lost, won = distances[label][said[label]], distances[other][~said[other]]
        costs = np.sort(np.append(lost, won))
        if spare < len(costs):
            least = min(least, float(costs[spare]))
    return least


class _Alone:
    """Measures every vote of all classes by itself."""

    def __init__(self, classes: list[Networks], config: Config) -> None:
        self._shape = (len(classes), classes[0].votes)
        self._config = config
        self._votes = [vote for networks in classes for vote in _each(networks)]

    def __call__(self, x: Floats, label: int) -> float:
        """The radius of an image, float [d]."""
        images = [Image.of(vote, x) for vote in self._votes]
        said = np.array([image.label == 1 for image in images]).reshape(self._shape)
        if not radius_of_counts(said, np.ones(self._shape), label):
            return 0.0
        costs = map(self._cost, self._votes, images, [x] * len(images))
        distances = np.fromiter(costs, np.float64).reshape(self._shape)
        return radius_of_counts(said, distances, label)

    def _cost(self, vote: Networks, image: Image, x: Floats) -> float:
        config = self._config
        solver = solver_for(vote, config, x if config.box else None)
        until = time.monotonic() + config.seconds
        search = Search(Target.all_of(image, 0), solver, config.margin)
        return float(search.run(Limits(config.nodes, until)).lower)


def _each(networks: Networks) -> list[Networks]:
    """The networks of an ensemble, each alone."""
    units = networks.weights.shape[1]
    return [
        dataclasses.replace(
            networks,
            normals=networks.normals[vote * units : (vote + 1) * units],
            hyperplanes=networks.hyperplanes[vote * units : (vote + 1) * units],
            lengths=networks.lengths[vote * units : (vote + 1) * units],
            weights=networks.weights[vote : vote + 1],
            scores=networks.scores[vote : vote + 1],
            tolerance=networks.tolerance[vote : vote + 1],
        )
        for vote in range(networks.votes)
    ]
