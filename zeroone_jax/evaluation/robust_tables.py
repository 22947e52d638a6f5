"""Tables of robustly trained networks under attack.

A network's figure is its accuracy under the strongest attack. Beside it stands the
accuracy under the paper's own attack on the same images; the gap between the two is
what the paper's attack misses.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from zeroone_jax.attacks.suite_run import PAPER, STRONGEST
from zeroone_jax.evaluation.gradient_masking import Masking
from zeroone_jax.evaluation.robust_accuracy import Row
from zeroone_jax.evaluation.tables import Table
from zeroone_jax.evaluation.transfer import Transfer

NATURAL = "natural"
"""What columns and published results call the accuracy without an attack."""


def one_network(title: str, rows: Sequence[Row]) -> Table:
    """Tells all there is about one network.

    Args:
        title: what the table shows.
        rows: as `robust_accuracy.summarize` makes them.

    Returns:
        A row for each attack, and the paper's own and the strongest at the end.
    """
    header = ["attack", "images", "accuracy", "standard error", "natural accuracy"]
    cells = [
        [row.attack, row.images, row.accuracy, row.standard_error, row.natural_accuracy]
        for row in rows
    ]
    return Table(title, header, cells)


def strongest(
    title: str,
    results: Mapping[str, Sequence[Row]],
    published: Mapping[str, Mapping[str, str]],
) -> Table:
    """Puts the paper's own attack beside the strongest, and both beside the literature.

    Args:
        title: what the table shows.
        results: each network's name and rows.
        published: results of others as the table is to show them, by the network's
            name and then by `NATURAL`, `plans.PAPER` and `plans.STRONGEST`; networks
            that it does not know have none.

    Returns:
        A row for each network, all of whose own numbers are of the same images: how
        many, natural accuracy, accuracy under the paper's own attack and under the
        strongest, the latter's standard error, and the gap between the two; then what
        others published, if they did for any of the networks.
    """
    header = ["network", "images", NATURAL, PAPER, STRONGEST, "standard error", "gap"]
    compared = (NATURAL, PAPER, STRONGEST) if published.keys() & results.keys() else ()
    cells = []
    for name, rows in results.items():
        by_name = {row.attack: row for row in rows}
        paper, worst = by_name[PAPER], by_name[STRONGEST]
        known = published.get(name, {})
        cells.append(
            [
                name,
                worst.images,
                worst.natural_accuracy,
                paper.accuracy,
                worst.accuracy,
                worst.standard_error,
                paper.accuracy - worst.accuracy,
                *map(known.get, compared),
            ]
        )
    return Table(title, [*header, *(f"published {name}" for name in compared)], cells)


def transfers(title: str, names: Sequence[str], transfer: Transfer) -> Table:
    """Writes a matrix of accuracies on one another's adversaries.

    Args:
        title: what the table shows.
        names: the networks' names.
        transfer: their accuracies.

    Returns:
        A row for each source, a column for each target; the first row has no attack.

    Raises:
        ValueError: there are more or fewer names than networks.
    """
    if len(names) != len(transfer.natural):
        raise ValueError(
            f"{len(names)} names are given of {len(transfer.natural)} networks"
        )
    cells = [
        [f"from {name}", *row.tolist()]
        for name, row in zip(names, transfer.worst, strict=True)
    ]
    none = ["no attack", *transfer.natural.tolist()]
    return Table(
        title, ["adversaries", *(f"on {name}" for name in names)], [none, *cells]
    )


def masking(title: str, courses: Mapping[str, Masking]) -> Table:
    """Tells whether PGD had settled.

    Args:
        title: what the table shows.
        courses: each network's name and course.

    Returns:
        A row for each network: how many steps and restarts; accuracy at the last look
        within the first half of the steps, and after all; how far it fell between the
        two; the loss after all, in the mean over restarts, and by how much restarts
        differ in it.
    """
    cells = []
    for name, course in courses.items():
        half = np.flatnonzero(course.steps <= course.steps[-1] // 2)[-1]
        halfway, end = float(course.accuracy[half]), float(course.accuracy[-1])
        last = course.loss[:, -1]
        loss = [float(last.mean()), float(np.ptp(last))]
        sizes = [int(course.steps[-1]), len(last)]
        cells.append([name, *sizes, halfway, end, halfway - end, *loss])
    header = ["network", "steps", "restarts", "accuracy halfway", "at the end", "fall"]
    return Table(title, [*header, "loss", "range of restarts"], cells)


def warnings(results: Mapping[str, Sequence[Row]]) -> str:
    """Lists why figures may be too good to be true.

    Args:
        results: each network's name and rows.

    Returns:
        A line of markdown for each warning; empty if there are none.
    """
    return "\n".join(
        f"- {name}, {row.attack}: {warning}"
        for name, rows in results.items()
        for row in rows
        # Those of all attacks stand beside the strongest again.
        if row.attack != STRONGEST
        for warning in row.warnings
    )
