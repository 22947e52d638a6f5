"""How far the nearest adversaries of sign networks are, exactly or within bounds."""

import dataclasses
import operator
import pathlib
from typing import Any

import jax
import numpy as np

from experiments import cores
from experiments.reproductions.paper_a.distortion_attacks import Images, Protocol
from experiments.reproductions.plan import arrays_once
from zeroone_jax import verification
from zeroone_jax.models import zero_one

# A vote alone may take so many times less than all together.
_ALONE = 10
# How much a search may leave open, relatively, and count as finished.
_CLOSED = 1e-5


def measured(
    path: pathlib.Path, networks: zero_one.Params, images: Images, protocol: Protocol
) -> dict[str, Any]:
    """Measures single votes, certificates and majorities.

    Args:
        path: where the measurement is kept; read if it is there.
        networks: the sign networks.
        images: the common images.
        protocol: how many of them, and for how long.

    Returns:
        Distances in L2, within the box, as JSON's types, None where infinite: of
        every vote the nearest "votes" [votes, n] and a bound "votes_lower"; of the
        majority the "certified" bound of its votes, the "lower" bound and "infimum"
        of the search, [n]; and "closed" [1], the share of images for which these
        agree. "seconds" is what the measurement took.
    """
    count = min(protocol.exact_images, len(images.x))
    x, y = np.asarray(images.x[:count]).reshape(count, -1), np.asarray(images.y[:count])

    def made() -> dict[str, np.ndarray]:
        votes = [
            jax.tree.map(operator.itemgetter(slice(vote, vote + 1)), networks)
            for vote in range(len(networks.w1))
        ]
        config = verification.Config(seconds=protocol.exact_seconds / _ALONE)
        workers = cores.verifiers(count)
        alone = [
            verification.measure(vote, x, y, config, workers=workers) for vote in votes
        ]
        config = dataclasses.replace(config, joint=False)
        quick = verification.measure(networks, x, y, config, workers=workers)
        config = verification.Config(seconds=protocol.exact_seconds)
        joint = verification.measure(networks, x, y, config, workers=workers)
        return {
            "votes": np.stack([found.infimum for found in alone]),
            "votes_lower": np.stack([found.lower for found in alone]),
            "certified": quick.lower,
            "lower": joint.lower,
            "infimum": joint.infimum,
        }

    arrays = arrays_once(path, made)
    seconds = round(float(arrays.pop("seconds")), 1)
    closed = arrays["infimum"] <= arrays["lower"] * (1 + _CLOSED)
    return {
        **{name: rounded(array) for name, array in arrays.items()},
        "closed": [float(np.mean(closed))],
        "seconds": seconds,
    }


def rounded(array: np.ndarray) -> Any:
    """Gives an array's numbers as JSON's, which knows no infinity.

    Args:
        array: float of any shape.

    Returns:
        Nested lists, to five places; None where the number is not finite.
    """
    numbers = np.round(array, 5).astype(object)
    numbers[~np.isfinite(array)] = None
    return numbers.tolist()
