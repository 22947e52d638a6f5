"""How far the nearest adversaries of sign networks are, exactly or within bounds."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from zeroone_jax import verification
from zeroone_jax.evaluation import tables

from ... import cores
from ...attacked_models import Images
from ...studies.attacking import STUDY, as_json, distances, nearest
from ...studies.bench import Bench, votes_of
from ...studies.columns import Columns, at, middle, numbers, table
from ...studies.study import Row

# A vote alone may take so many times less than all together.
_ALONE = 10
# How much a search may leave open, relatively, and count as finished.
_CLOSED = 1e-5


def measured(
    bench: Bench, images: Images, count: int, seconds: float
) -> dict[str, Any] | None:
    """Measures single votes, certificates and majorities.

    Args:
        bench: with the model.
        images: the common images.
        count: how many of them.
        seconds: the most that a majority's distance may take.

    Returns:
        Distances in L2, within the box, as JSON's types, None where infinite: of
        every vote the nearest "votes" [votes, n] and a bound "votes_lower"; of the
        majority the "certified" bound of its votes, the "lower" bound and "infimum"
        of the search, [n]; and "closed" [1], the share of images for which these
        agree. "seconds" is what the measurement took. None of other networks.
    """
    networks = bench.subject.networks
    if networks is None:
        return None
    count = min(count, len(images.x))
    x, y = np.asarray(images.x[:count]), np.asarray(images.y[:count])

    def made() -> dict[str, np.ndarray]:
        whole = verification.Config(seconds=seconds)
        short = verification.Config(seconds=seconds / _ALONE)
        workers = cores.verifiers(count)
        alone = [
            verification.measure(vote, x, y, short, workers=workers)
            for vote in votes_of(networks)
        ]
        quick = dataclasses.replace(short, joint=False)
        certified = verification.measure(networks, x, y, quick, workers=workers)
        joint = verification.measure(networks, x, y, whole, workers=workers)
        return {
            "votes": np.stack([found.infimum for found in alone]),
            "votes_lower": np.stack([found.lower for found in alone]),
            "certified": certified.lower,
            "lower": joint.lower,
            "infimum": joint.infimum,
        }

    arrays = bench.kept("exact", made)
    closed = arrays["infimum"] <= arrays["lower"] * (1 + _CLOSED)
    took = round(float(arrays.pop("seconds")), 1)
    return {
        **{name: as_json(array) for name, array in arrays.items()},
        "closed": [float(np.mean(closed))],
        "seconds": took,
    }


def table_of_signs(rows: Sequence[Row]) -> tables.Table:
    """Makes the table of what is certain of sign networks among all models."""
    columns: Columns = {
        "model": at("method"),
        "a vote": lambda row: f"{_vote(row['votes_lower'])} - {_vote(row['votes'])}",
        "majority: certified": middle("certified"),
        "lower bound": middle("lower"),
        "best found": lambda row: float(
            np.median(np.minimum(numbers(row["infimum"]), row["nearest"]))
        ),
        "closed": lambda row: f"{row['closed'][0]:.0%}",
        "nearest of all attacks": middle("nearest"),
        "study of 2021": middle(STUDY),
    }
    signs = [_of_same_images(row) for row in rows if row["exact"] is not None]
    count = len(signs[-1]["lower"]) if signs else 0
    title = f"Sign networks measured: median L2 of {count} images, bound - best"
    return table(title, signs, columns)


def _of_same_images(row: Row) -> Row:
    """What is exact of a model, and how near attacks came to the same images."""
    exact = row["exact"]
    count = len(exact["lower"])
    found = {"nearest": nearest(row), STUDY: distances(row, STUDY)}
    return {
        "method": row["method"],
        **exact,
        **{name: near[:count] for name, near in found.items()},
    }


def _vote(values: Any) -> str:
    found = numbers(values)
    return f"{np.median(found[found > 0]):.4f}"
