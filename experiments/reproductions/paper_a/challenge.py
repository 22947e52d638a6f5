"""The authors' challenge: adversaries of their own eight networks (2402.07347).

The paper says that a public challenge to attack its models on CIFAR-10 stays
undefeated. Here is an adversary for every rightly labelled test image of the authors'
majority, found with the weights known, and for some of them adversaries found by labels
alone. All lie on the grid of images of eight bits: a model that takes image files sees
them as they are. `python -m experiments.check_challenge` checks what is kept, with
NumPy alone.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, verification
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.types import Array, LabelFn

from ...attacked_models import Images, Model
from ...studies.attacking import as_json
from ...studies.bench import Bench, ModelRun
from ...studies.study import Scale, Study
from . import challenge_report
from .targets import described

INSIDE, OUTSIDE = "weights-known", "labels-only"
"""The two runs."""

LEVELS = 255
"""Images have so many levels above 0."""

_POOL = 1000
_WIDER = (4, 8)
"""Times the margin."""

_CROSSED = "crossed"
"""What the pieces and the kept adversaries of the first run are called."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inside:
    """How adversaries are made with the weights known.

    Attributes:
        images: how many of the images labelled rightly; None for all.
        margin: how far a point has to be from every hyperplane before it is rounded to
            the grid, in L2. Rounding moves it by .0011 on average along a hyperplane's
            normal, and towards the image where moves are small: where it is no
            adversary any more, wider margins are tried.
        seconds: the most that an image's search may take.
        piece: images in a piece, which is kept once it is made.
    """

    images: int | None = None
    margin: float = 0.006
    seconds: float = 600.0
    piece: int = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outside:
    """How adversaries are made by labels alone.

    Attributes:
        images: how many of the images labelled rightly are attacked.
        max_queries: of each attack, an image.
        seconds: the most that an image's proved distance may take.
        piece: images in a piece.
    """

    images: int = 50
    max_queries: int = 10_000
    seconds: float = 600.0
    piece: int = 10


PROTOCOLS: dict[Scale, tuple[Inside, Outside]] = {
    "smoke": (Inside(images=6), Outside(images=4, max_queries=100, piece=2)),
    "laptop": (Inside(), Outside()),
    "paper": (Inside(), Outside(images=2000, piece=100)),
}
"""By scale."""


def challenge_runs(scale: Scale) -> list[ModelRun]:
    """Lists the two runs; a smoke test attacks networks of ours."""
    target = (described("mlp01" if scale == "smoke" else "authors", 0.0, scale),)
    inside, outside = PROTOCOLS[scale]
    return [
        ModelRun(INSIDE, target, _inside, inside),
        ModelRun(OUTSIDE, target, _outside, outside),
    ]


def grid(points: np.ndarray) -> np.ndarray:
    """The levels, int16, nearest to points in [0,1]."""
    return np.rint(points * LEVELS).astype(np.int16)


def _inside(bench: Bench, protocol: Inside) -> dict[str, Any]:
    """Finds an adversary of every image by the weights, and bounds its distance."""
    indices = _right(bench.subject, protocol.images)

    def crossed(some: np.ndarray, times: int) -> dict[str, np.ndarray]:
        make = functools.partial(_crossed, protocol, protocol.margin * times)
        name = _CROSSED if times == 1 else f"{_CROSSED}-x{times}"
        return _in_pieces(bench, name, some, protocol.piece, make)

    found = crossed(indices, 1)
    levels = found["levels"]
    for times in _WIDER:
        left = ~levels.any(axis=1)
        if left.any():
            levels[left] = crossed(indices[left], times)["levels"]
    return {
        **_told(bench.subject, indices),
        "bound": as_json(found["bound"]),
        "found": {"verification": _sizes(levels)},
    }


def _outside(bench: Bench, protocol: Outside) -> dict[str, Any]:
    """Attacks some images by labels, and proves how far their adversaries are."""
    indices = _right(bench.subject, protocol.images)
    label_fn = _on_grid(bench.subject.label_fn)
    found = {}
    for name, attack in _by_labels(protocol.max_queries).items():
        make = functools.partial(_attacked, attack, label_fn)
        made = _in_pieces(bench, name, indices, protocol.piece, make)
        found[name] = {
            **_sizes(made["levels"]),
            "queries": int(made["queries"].max()),
        }
    make = functools.partial(_proved, protocol)
    bound = _in_pieces(bench, "proved", indices, protocol.piece, make)["lower"]
    return {
        **_told(bench.subject, indices),
        "bound": as_json(bound),
        "found": found,
    }


def _by_labels(max_queries: int) -> Mapping[str, Attack]:
    """The nearest of the attacks by labels, in L2 and in Linf."""
    return {
        "cgba": attacks.cgba(max_queries=max_queries),
        "hop_skip_jump": attacks.hop_skip_jump(
            norm="linf", radius="adaptive", iterations=None, max_queries=max_queries
        ),
    }


def _right(subject: Model, count: int | None) -> np.ndarray:
    """The places of the first test images that are labelled rightly."""
    return np.flatnonzero(subject.right("test"))[:count]


def _told(subject: Model, indices: np.ndarray) -> dict[str, Any]:
    """What results keep of the images."""
    right = subject.right("test")
    return {"accuracy": float(np.mean(right)), "indices": indices.tolist()}


def _in_pieces(
    bench: Bench,
    name: str,
    indices: np.ndarray,
    size: int,
    make: Callable[[Model, Images], Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Makes something of images, some at a time, and joins the pieces.

    A piece keeps its "index" as well, for the file of adversaries.
    """
    made = []
    for first in range(0, len(indices), size):
        some = indices[first : first + size]

        def piece(some: np.ndarray = some) -> Mapping[str, np.ndarray]:
            images = bench.subject.test(some)
            return {**make(bench.subject, images), "index": some}

        made.append(bench.kept(f"{name}-{first}", piece))
    names = [key for key in made[0] if key not in ("seconds", "index")]
    return {key: np.concatenate([one[key] for one in made]) for key in names}


def _crossed(
    protocol: Inside, margin: float, subject: Model, images: Images
) -> dict[str, np.ndarray]:
    """Goes to the cells that exact verification names, and rounds to the grid.

    The nearest cells of the votes alone make an adversary at once; where they exclude
    one another all votes are searched together.

    Returns:
        "levels", int16 [n, d], the moves, 0 where none is an adversary; "bound", float
        [n], what is proved of the L2 distance of adversaries within the radius.
    """
    assert subject.networks is not None
    x = np.asarray(images.x).reshape(len(images.x), -1)
    y = np.asarray(images.y)
    config = verification.Config(
        joint=False,
        limit=challenge_report.EPSILONS[-1] / LEVELS,
        margin=margin,
        seconds=protocol.seconds,
    )
    found = verification.measure(subject.networks, x, y, config)
    points = found.witness
    none = np.isinf(found.upper)
    if none.any():
        together = dataclasses.replace(config, joint=True)
        points[none] = verification.measure(
            subject.networks, x[none], y[none], together
        ).witness
    return {"levels": _adversaries(subject, x, y, points), "bound": found.lower}


def _adversaries(
    subject: Model, x: np.ndarray, y: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Rounds points to the grid: moves in levels, 0 where that is no adversary."""
    there = grid(points)
    kept = subject.fooled(there / LEVELS, y)
    return np.where(kept[:, None], there - grid(x), 0).astype(np.int16)


def _on_grid(label_fn: LabelFn) -> LabelFn:
    """A model that takes images of eight bits only, as files are."""

    def labels(x: Array) -> Array:
        return label_fn(jnp.rint(x * LEVELS) / LEVELS)

    return labels


def _attacked(
    attack: Attack, label_fn: LabelFn, subject: Model, images: Images
) -> dict[str, np.ndarray]:
    """Attacks by labels, from the nearest of 1,000 training images."""
    x, y, _ = images
    pool = subject.images(subject.split("train").take(slice(_POOL)))
    labels = attacks.predict(label_fn, pool)
    start = attacks.nearest_start(x, y, pool, labels, attack.norm)
    found = attack(jax.random.key(0), label_fn, x, y, start)
    flat, adversary = (np.asarray(a).reshape(len(x), -1) for a in (x, found.adversary))
    levels = _adversaries(subject, flat, np.asarray(y), adversary)
    return {"levels": levels, "queries": np.asarray(found.queries)}


def _proved(protocol: Outside, subject: Model, images: Images) -> dict[str, np.ndarray]:
    """Proves how far adversaries are at least, in L2."""
    assert subject.networks is not None
    config = verification.Config(seconds=protocol.seconds)
    found = verification.measure(subject.networks, images.x, images.y, config)
    return {"lower": found.lower}


def _sizes(levels: np.ndarray) -> dict[str, Any]:
    """How large moves are, as JSON's types; None where there is no adversary."""
    none = ~levels.any(axis=1)
    wide = levels.astype(np.int64)
    l2 = np.where(none, np.inf, np.linalg.norm(wide / LEVELS, axis=1))
    linf = np.where(none, np.inf, np.abs(wide).max(axis=1))
    return {"l2": as_json(l2), "levels": as_json(linf)}


CHALLENGE = Study(
    runs=challenge_runs,
    tables={"table.md": challenge_report.table},
    figures={"adversaries.npz": challenge_report.keep},
)
