"""What a run of `experiments.attack` reports: metrics, a table, figures, summary."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from zeroone_jax import data, runs
from zeroone_jax.evaluation import attack_figures, certified_accuracy, tables

from . import attack_bench, pieces

_LISTED = 30
_SHARED = ("budgets", "stages")
_DRAWN = 8
_RADII = 8
# How much a search may leave open, relatively, and count as finished.
_CLOSED = 1e-5
_VERIFIED = (
    "Median distance that is certain, of images labelled rightly: {median:.4f}.\n"
    "Share of images whose exact distance was found: {closed:.3g}."
)
_NOTE = (
    "The model's logits have no slope at {:.0%} of these images: an attack that\n"
    "follows gradients sees nothing there, and its failures say nothing about\n"
    "robustness. Use surrogate_gradient, hyperplane_crossing, or an attack by labels."
)


class Outcome(NamedTuple):
    """What an attack did to all images.

    Attributes:
        name: the attack's.
        norm: how distances are measured.
        flat: the share of images where the logits have no gradient, if it used logits.
        in_ball: whether the first images are attacked, within a ball.
        only_correct: whether all images are such as the model labels rightly.
        targeted: whether the attack reaches for a class.
        split: the images, for their shape and the names of their classes.
        arrays: by name, each [n, ...] but "budgets" (of queries, of a curve), and of
            suites the names of "stages" and "warnings"; as in adversaries.npz.
    """

    name: str
    norm: str
    flat: float | None
    in_ball: bool
    only_correct: bool
    targeted: bool
    split: data.Split
    arrays: Mapping[str, np.ndarray]


def joined(chunks: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Puts the arrays of all chunks, as `Outcome.arrays`, together.

    Warnings of any chunk stand there once.
    """
    together = {}
    for name in chunks[0]:
        parts = [chunk[name] for chunk in chunks]
        together[name] = parts[0] if name in _SHARED else np.concatenate(parts)
    if "warnings" in together:
        together["warnings"] = np.array(
            list(dict.fromkeys(together["warnings"].tolist())), dtype=str
        )
    return together


def records(arrays: Mapping[str, np.ndarray], step: int) -> list[dict[str, Any]]:
    """Makes a metric of each image.

    Args:
        arrays: what one chunk holds.
        step: how many images are done with it.

    Returns:
        Records of JSON's types; a distance is None where there is no success.
    """
    counts = ("index", "label", "label_before", "label_after", "queries")
    return [
        {
            "step": step,
            **{name: int(arrays[name][row]) for name in counts},
            "success": bool(arrays["success"][row]),
            "distance": _finite(arrays["distance"][row]),
        }
        for row in range(len(arrays["index"]))
    ]


def write(run: runs.RunDirectory, outcome: Outcome, seconds: float) -> None:
    """Writes all that the run directory still lacks.

    Args:
        run: the open run directory.
        outcome: what was found.
        seconds: what this session took, compiling included.
    """
    arrays, summary = outcome.arrays, summarize(outcome)
    pieces.write(run.path / "adversaries.npz", arrays)
    pieces.write(run.path / "results.md", _text(outcome, summary))
    pieces.write(run.path / "adversaries.png", _grid(outcome))
    if "curve" in arrays:
        budgets, curve = arrays["budgets"], arrays["curve"]
        # One look beyond the last query shows the end.
        looks = slice(int(np.searchsorted(budgets, int(arrays["queries"].max()))) + 1)
        figure = attack_figures.distance_curve(
            budgets[looks], curve[:, looks], outcome.norm, outcome.name
        )
        pieces.write(run.path / "curve.png", figure)
        middle = np.percentile(curve, 50, axis=0, method="lower")
        summary["curve"] = {
            "queries": budgets[looks].tolist(),
            "median_distance": [_finite(one) for one in middle[looks]],
        }
    if "distances" in arrays and isinstance(summary["optimality"], dict):
        figure = attack_bench.figure(arrays, outcome.norm)
        pieces.write(run.path / "optimality.png", figure)
    if "lower" in arrays:
        figure = certified_accuracy.figure(_curves(outcome), outcome.norm)
        pieces.write(run.path / "certified.png", figure)
    run.finish(
        {
            "config": runs.read_settings(run.path),
            **summary,
            "seconds": round(seconds, 1),
            "sessions": run.sessions(),
        }
    )


def summarize(outcome: Outcome) -> dict[str, Any]:
    """Condenses what was found.

    Returns:
        Of JSON's types: how many images, how many were wrong (or at the target) before,
        how many are broken in all, the share that is left, which is the robust accuracy
        of attacks in a ball without targets where no images were selected, distances of
        those broken by the attack, and queries of those attacked.
    """
    arrays = outcome.arrays
    success, distance = arrays["success"], arrays["distance"]
    before = success & (distance == 0)
    found = distance[success & ~before]
    queries = arrays["queries"][~before]
    # Where the model has no label the distance is NaN.
    left = float(np.mean(~success & ~np.isnan(distance)))
    selected = outcome.only_correct or outcome.targeted or not outcome.in_ball
    return {
        "images": len(success),
        "wrong_before": int(before.sum()),
        "broken": int(success.sum()),
        "left": left,
        "robust_accuracy": None if selected else left,
        "norm": outcome.norm,
        "distance": {
            name: float(function(found)) if len(found) else None
            for name, function in (
                ("median", np.median),
                ("mean", np.mean),
                ("least", np.min),
                ("largest", np.max),
            )
        },
        "queries": float(np.mean(queries)) if len(queries) else None,
        "without_slope": outcome.flat,
        **_of_suite(arrays),
        **(attack_bench.scores(arrays) if "distances" in arrays else {}),
        **_of_verification(arrays),
    }


def _of_verification(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if "lower" not in arrays:
        return {}
    lower, infimum = arrays["lower"], arrays["infimum"]
    right = infimum > 0
    return {
        "certified": {
            "median": float(np.median(lower[right])) if right.any() else 0.0,
            "closed": float(np.mean(infimum <= lower * (1 + _CLOSED))),
        }
    }


def _curves(outcome: Outcome) -> dict[str, np.ndarray]:
    arrays = outcome.arrays
    return {"certified": arrays["lower"], "left by the witnesses": arrays["distance"]}


def _of_suite(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if "stages" not in arrays:
        return {}
    strongest = {
        str(name): int(np.sum(arrays["strongest"] == place))
        for place, name in enumerate(arrays["stages"])
    }
    return {"strongest": strongest, "warnings": arrays["warnings"].tolist()}


def _text(outcome: Outcome, summary: Mapping[str, Any]) -> str:
    """Writes the results for people."""
    distance = summary["distance"]
    broken, left = "wrong", "share left"
    if outcome.targeted:
        broken, left = "at the target", "share that does not reach the target"
    elif outcome.only_correct:
        left = "share left of images labelled rightly"
    elif outcome.in_ball:
        left = "robust accuracy"
    overall = tables.Table(
        f"{outcome.name} on {summary['images']} images",
        ["", "all"],
        [
            [f"{broken} before the attack", str(summary["wrong_before"])],
            [f"{broken} after it", str(summary["broken"])],
            [left, summary["left"]],
            *(
                [f"{name} {outcome.norm} distance found", distance[name]]
                for name in distance
            ),
            ["queries an image", _whole(summary["queries"])],
        ],
    )
    paragraphs = [tables.markdown(overall)]
    if "strongest" in summary:
        strongest = tables.Table(
            "Images for which the attack was the strongest",
            ["", "images"],
            [[name, str(count)] for name, count in summary["strongest"].items()],
        )
        paragraphs.append(tables.markdown(strongest))
        paragraphs.extend(f"Warning: {words}" for words in summary["warnings"])
    arrays = outcome.arrays
    if "optimality" in summary:
        paragraphs.append(
            tables.markdown(attack_bench.table(arrays, outcome.norm))
            if isinstance(summary["optimality"], dict)
            else f"No optimality: {summary['optimality']}."
        )
    if "certified" in summary:
        at = certified_accuracy.radii(_curves(outcome), _RADII)
        shares = certified_accuracy.table(_curves(outcome), at, outcome.norm)
        paragraphs.append(_VERIFIED.format(**summary["certified"]))
        paragraphs.append(tables.markdown(shares))
    names, listed = outcome.split.class_names, records(arrays, 0)
    each = tables.Table(
        "Each image" if len(listed) <= _LISTED else f"The first {_LISTED}",
        ["image", "label", "before", "after", "distance", "queries"],
        [
            [
                str(one["index"]),
                *(
                    names[one[name]]
                    for name in ("label", "label_before", "label_after")
                ),
                one["distance"],
                str(one["queries"]),
            ]
            for one in listed[:_LISTED]
        ],
    )
    paragraphs.append(tables.markdown(each))
    if outcome.flat:
        paragraphs.append(_NOTE.format(outcome.flat))
    return "\n\n".join(paragraphs) + "\n"


def _grid(outcome: Outcome) -> Any:
    """Draws the first images that the attack broke, or tried to."""
    arrays, names = outcome.arrays, outcome.split.class_names
    order = np.argsort(~arrays["success"], kind="stable")[:_DRAWN]
    shape = (len(order), *outcome.split.images.shape[1:])
    images = arrays["image"][order].reshape(shape)
    found = arrays["adversary"][order].reshape(shape)
    titles = []
    for row, image, adversary in zip(order, images, found, strict=True):
        distance = _finite(arrays["distance"][row])
        size = "no success" if distance is None else f"{outcome.norm} {distance:.3g}"
        times = attack_figures.amplification(adversary - image)
        before, after = (
            names[int(arrays[name][row])] for name in ("label_before", "label_after")
        )
        drawn = f"{size}, drawn x {times:.3g}"
        titles.append((f"before: {before}", drawn, f"after: {after}"))
    return attack_figures.adversaries(images, found, titles)


def _finite(number: np.floating[Any] | float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _whole(number: float | None) -> str | None:
    return None if number is None else f"{number:.0f}"
