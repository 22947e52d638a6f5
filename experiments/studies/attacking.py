"""Attacks that look for the nearest adversaries, one after another on each model."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from zeroone_jax import attacks, verification
from zeroone_jax.attacks import directions
from zeroone_jax.evaluation import attack_figures

from ..attacked_models import Images, Model
from .bench import Bench, in_common
from .columns import Cell, numbers
from .study import Row

STUDY, ADAPTIVE = "study", "radius adaptive"
"""HopSkipJump as the study of 2021 has it, and with the radius found for each model."""

Found = Mapping[str, np.ndarray]

_KEY = 0


class Piece(NamedTuple):
    """One attack on one set of images.

    Attributes:
        name: what results call it.
        attack: the attack; cell polishing moves the nearest adversaries so far.
        repeats: how often the paper's images are attacked, from noise; 0 is once the
            common images, from the same images of the other class for every model.
    """

    name: str
    attack: Any
    repeats: int = 0


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is attacked as in the study of 2021, and how hard.

    Attributes:
        images: how many of the images that all models label rightly.
        iterations: of HopSkipJump.
        law: of its directions; random signs come as near as the study's "gaussian" in
            a third of the time.
    """

    images: int = 100
    iterations: int = 40
    law: directions.Law = "gaussian"


def by_labels(effort: Effort) -> list[Piece]:
    """The study's attack with its radius, and with each model's own."""
    study = attacks.hop_skip_jump(iterations=effort.iterations, law=effort.law)
    adaptive = dataclasses.replace(study, radius="adaptive")
    return [Piece(STUDY, study), Piece(ADAPTIVE, adaptive)]


def attack(
    piece: Piece, subject: Model, images: Images, found: Mapping[str, Found]
) -> dict[str, np.ndarray]:
    """Attacks a model.

    Args:
        piece: with what.
        subject: the model.
        images: what to attack.
        found: what earlier pieces gave, for polishing.

    Returns:
        The "norm"; "distance" and "queries", [n] or, of repeats, [repeats, n], infinite
        where there was no success; of no repeats the "adversary" [n, ...], too.
    """
    attack = piece.attack
    polishes = isinstance(attack, verification.cell_polishing)
    by_labels = not polishes and attack.needs == "labels"
    fn: Any = subject.label_fn if by_labels else subject.logits_fn
    norm = str(attack.norm)
    x, y, start = images
    if piece.repeats:
        every = [
            _arrays(attack(jax.random.key(repeat), fn, x, y))
            for repeat in range(piece.repeats)
        ]
        stacked = {
            name: np.stack([one[name] for one in every])
            for name in ("distance", "queries")
        }
        return {**stacked, "norm": np.array(norm)}
    if polishes:
        start = jnp.asarray(nearest_adversaries(found, norm))
    elif not attack.starts_from_adversary:
        start = None
    made = _arrays(attack(jax.random.key(_KEY), fn, x, y, start))
    if polishes:
        # The model itself has the last word.
        kept = np.isfinite(made["distance"]) & subject.fooled(made["adversary"], y)
        made["distance"] = np.where(kept, made["distance"], np.inf)
    return {**made, "norm": np.array(norm)}


def nearest_adversaries(found: Mapping[str, Found], norm: str) -> np.ndarray:
    """Gives the nearest adversary of each image, [n, ...] in the first piece's shape.

    Args:
        found: what `attack` gave, by piece.
        norm: which pieces count.
    """
    near = [
        arrays
        for arrays in found.values()
        if "adversary" in arrays and arrays["norm"] == norm
    ]
    best = np.argmin([arrays["distance"] for arrays in near], axis=0)
    # Some attacks take images as rows, whatever the model takes.
    shape = near[0]["adversary"].shape
    adversaries = np.stack([arrays["adversary"].reshape(shape) for arrays in near])
    return adversaries[best, np.arange(len(best))]


def _arrays(result: attacks.AttackResult) -> dict[str, np.ndarray]:
    return {
        "distance": np.asarray(result.distance, np.float64),
        "queries": np.asarray(result.queries),
        "adversary": np.asarray(result.adversary),
    }


def attacked(
    bench: Bench,
    prefix: str,
    subject: Model,
    pieces: Iterable[Piece],
    common: Images,
    paper: Images | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Attacks one model, a piece after another; none is made that is there already.

    Args:
        bench: where.
        prefix: what the pieces' files begin with.
        subject: the model.
        pieces: the attacks.
        common: the images that all models label rightly.
        paper: the paper's, where pieces repeat their attack.

    Returns:
        By piece, what `attack` gave, and the "seconds" that it took.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for piece in pieces:
        images = paper if piece.repeats and paper is not None else common
        found[piece.name] = bench.kept(
            f"{prefix}-{piece.name.replace(' ', '-')}",
            functools.partial(attack, piece, subject, images, found),
            lambda made: f"median {np.median(made['distance']):.4g}",
        )
    return found


def attacked_together(
    bench: Bench, count: int, pieces: Mapping[str, Iterable[Piece]]
) -> dict[str, Any]:
    """Attacks all models of a bench on the first images that all label rightly.

    Args:
        bench: with the models.
        count: how many images.
        pieces: the attacks on each model.

    Returns:
        What the results keep of it.

    Raises:
        command_line.UserError: no image is labelled rightly by all.
    """
    indices, accuracy = in_common(bench.subjects, count)
    found = {}
    for label, subject in bench.subjects.items():
        images = subject.test_from_others(indices)
        made = attacked(bench, label, subject, pieces[label], images)
        found[label] = {
            name: {**short(arrays), "seconds": round(float(arrays["seconds"]), 1)}
            for name, arrays in made.items()
        }
    return {
        "class_names": tuple(subject.split("test").class_names),
        "indices": indices.tolist(),
        "accuracy": accuracy,
        "pieces": found,
        "seconds": seconds(bench),
    }


def seconds(bench: Bench) -> dict[str, float]:
    """What training took, and all so far."""
    times = {"training": bench.training, "all": bench.training + bench.seconds}
    return {name: round(time, 1) for name, time in times.items()}


def short(arrays: Found) -> dict[str, Any]:
    """What the results keep of what `attack` gave: no images."""
    return {
        "distance": as_json(arrays["distance"]),
        "queries": float(np.mean(arrays["queries"])),
    }


def as_json(array: np.ndarray) -> Any:
    """Gives numbers as nested lists, to five places; None where they are not finite."""
    found = np.round(array, 5).astype(object)
    found[~np.isfinite(array)] = None
    return found.tolist()


def by_model(rows: Iterable[Row]) -> list[Row]:
    """Makes a row for each model of results of several models, in their order."""
    return [
        {
            "method": label,
            "settings": row["config"]["models"][label],
            "accuracy": row["accuracy"][label],
            "pieces": found,
            "records": row.get("records", {}).get(label),
        }
        for row in rows
        for label, found in row["pieces"].items()
    ]


def distances(row: Row, *pieces: str) -> np.ndarray:
    """Reads how near any of some attacks on a model came to each image.

    Args:
        row: of the model.
        *pieces: which attacks; all if none is named.

    Returns:
        float [n], infinite where none succeeded.
    """
    names = pieces or row["pieces"]
    return np.min([numbers(row["pieces"][name]["distance"]) for name in names], axis=0)


def nearest(row: Row) -> np.ndarray:
    """How near any attack in L2 came to each common image of a model, float [n]."""
    return distances(
        row,
        *(
            name
            for name, piece in row["pieces"].items()
            if row["norms"][name] == "l2" and np.ndim(piece["distance"]) == 1
        ),
    )


def figure(models: Sequence[Row], ways: Mapping[str, Sequence[str]]) -> Figure:
    """Draws how near attacks came to the images of each model.

    Args:
        models: a row for each.
        ways: by what the figure says, the attacks, as for `distances`.
    """
    found = {
        way: {model["method"]: distances(model, *pieces) for model in models}
        for way, pieces in ways.items()
    }
    return attack_figures.distortions(found, "L2")


def median(*pieces: str) -> Cell:
    """The median over the images of how near any of some attacks came."""
    return lambda row: float(np.median(distances(row, *pieces)))
