"""How near attacks by labels come with how many queries, beside proved distances.

On a smooth network, on one that is robust by proof, and on the authors' 01 networks,
whose exact distances say how much there still was to gain. All attacks begin at the
same images, in L2.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, verification
from zeroone_jax.attacks.attack import Attack
from zeroone_jax.evaluation import query_curve, tables

from ...attacked_models import Images, Model
from ...studies.attacking import as_json
from ...studies.bench import Bench, ModelRun
from ...studies.columns import Columns, at, numbers, table
from ...studies.study import Row, Scale, Study
from ...studies.target import Target
from .oval import Oval
from .targets import described

_POOL = 1000
"""Training images among which attacks find where to begin."""

EXACT = "exact"
"""The run that proves distances, among those of attacks."""

Variant: TypeAlias = Literal[
    "cgba",
    "cgba-smooth",
    "hop_skip_jump-adaptive",
    "hop_skip_jump",
    "surfree",
    "geoda",
    "sign_opt",
]

_VARIANTS: Mapping[Variant, Callable[[int], Attack]] = {
    "cgba": lambda most: attacks.cgba(iterations=None, max_queries=most),
    "cgba-smooth": lambda most: attacks.cgba(
        iterations=None, max_queries=most, radius=0.03, frequencies=12
    ),
    "hop_skip_jump-adaptive": lambda most: attacks.hop_skip_jump(
        iterations=None, max_queries=most, radius="adaptive"
    ),
    "hop_skip_jump": lambda most: attacks.hop_skip_jump(
        iterations=None, max_queries=most
    ),
    "surfree": lambda most: attacks.surfree(max_queries=most),
    "geoda": lambda most: attacks.geoda(iterations=None, max_queries=most),
    "sign_opt": lambda most: attacks.sign_opt(iterations=None, max_queries=most),
}
"""The attacks, by what results call them, with so many queries an image."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """How much is attacked.

    Attributes:
        images: how many of the first test images that the model labels rightly.
        queries: at how many queries to look; the last is where attacks end.
        seconds: the most that an image's proved distance may take.
    """

    images: int = 50
    queries: tuple[int, ...] = (1000, 5000, 10_000, 20_000)
    seconds: float = 600.0


def label_runs(scale: Scale) -> list[ModelRun]:
    """Lists a run for each model and attack, and one that proves distances."""
    if scale == "smoke":
        protocol = Protocol(images=2, queries=(50, 100))
        return _of(described("mlp01", 0.0, scale), ("cgba", EXACT), protocol)
    few = Protocol() if scale == "paper" else Protocol(images=16)
    names = tuple(_VARIANTS)
    return [
        *_of(described("authors", 0.0, scale), (EXACT, *names), Protocol()),
        *_of(described("lenet", 0.0, scale), names, few),
        *_of(Target("oval-wide", 0.0, Oval("wide")), names, few),
    ]


def _of(target: Target, names: Sequence[str], protocol: Protocol) -> list[ModelRun]:
    return [
        ModelRun(
            f"{target.label}-{name}",
            (target,),
            functools.partial(_measured, name),
            protocol,
            {"attack": name},
        )
        for name in names
    ]


def _measured(name: Any, bench: Bench, protocol: Protocol) -> dict[str, Any]:
    """Attacks a model, or proves its distances."""
    subject = bench.subject
    indices = np.flatnonzero(subject.right("test"))[: protocol.images]
    images = subject.test(indices)
    told = {"attack": name, "model": _label(bench), "indices": indices.tolist()}
    if name == EXACT:
        make = functools.partial(_proved, protocol, subject, images)
        found = bench.kept(EXACT, make)
        return {**told, **{key: as_json(found[key]) for key in ("lower", "infimum")}}
    attack = _VARIANTS[name](protocol.queries[-1])
    make = functools.partial(_curve, attack, protocol, subject, images)
    found = bench.kept("curve", make)
    return {
        **told,
        "distance": as_json(found["distance"]),
        "queries": int(found["queries"].max()),
    }


def _label(bench: Bench) -> str:
    """What tables call the model."""
    (label,) = bench.subjects
    return label


def _curve(
    attack: Attack, protocol: Protocol, subject: Model, images: Images
) -> dict[str, np.ndarray]:
    """Attacks from the nearest of some training images, and looks on the way.

    Returns:
        "distance", float [n, queries], infinite where there is no adversary yet, and
        "queries", int [n].
    """
    x, y, _ = images
    pool = subject.images(subject.split("train").take(slice(_POOL)))
    labels = attacks.predict(subject.label_fn, pool)
    start = attacks.nearest_start(x, y, pool, labels, "l2")
    marks = np.array(protocol.queries, np.int32)
    key = jax.random.key(0)
    result, curve = query_curve.record(
        attack, key, subject.label_fn, x, y, start, marks
    )
    # What the attack ends with needs no more queries than the last mark.
    distance = jnp.concatenate([curve[:, :-1], result.distance[:, None]], axis=1)
    return {
        "distance": np.asarray(distance, np.float64),
        "queries": np.asarray(result.queries),
    }


def _proved(
    protocol: Protocol, subject: Model, images: Images
) -> dict[str, np.ndarray]:
    """Proves how far the nearest adversaries are, from below and from above."""
    if subject.networks is None:
        raise AssertionError("the model is no sign network")
    config = verification.Config(seconds=protocol.seconds)
    found = verification.measure(subject.networks, images.x, images.y, config)
    return {"lower": found.lower, "infimum": found.infimum}


def _tables(rows: Sequence[Row]) -> list[tables.Table]:
    """A table for each model, in the order of the runs."""
    models = dict.fromkeys(row["model"] for row in rows)
    return [
        _table(model, [row for row in rows if row["model"] == model])
        for model in models
    ]


def _table(model: str, rows: Sequence[Row]) -> tables.Table:
    exact = next((row for row in rows if row["attack"] == EXACT), None)
    attacked = [row for row in rows if row["attack"] != EXACT]
    marks = rows[0]["config"]["protocol"]["queries"]
    columns: Columns = {
        "attack": at("attack"),
        **{
            f"{mark:,} queries": functools.partial(_median, place)
            for place, mark in enumerate(marks)
        },
    }
    title = f"{model}: median L2 of {len(rows[0]['indices'])} images"
    if exact is not None:
        lower = numbers(exact["lower"])
        title += f"; the exact distance is {np.median(lower):.4f}"
        columns = {**columns, **dict(_times_exact(lower, marks))}
    return table(title, attacked, columns)


def _median(place: int, row: Row) -> float:
    return float(np.median(numbers(row["distance"])[:, place]))


def _times_exact(
    lower: np.ndarray, marks: Sequence[int]
) -> Iterator[tuple[str, Callable[[Row], str]]]:
    """Columns of the median, over the images, of distance / proved distance."""
    for place, mark in enumerate(marks):

        def cell(row: Row, place: int = place) -> str:
            return f"{np.median(numbers(row['distance'])[:, place] / lower):.2f}"

        yield f"{mark:,}: times exact", cell


LABELS = Study(runs=label_runs, tables={"table.md": _tables})
