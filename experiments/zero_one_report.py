"""What a training run of 01 networks reports: metrics, tables, figures, summary."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroone_jax import coordinate_descent, data, runs
from zeroone_jax.evaluation import accuracy, figures, tables
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array

from . import pieces

_RECORD_EVERY = 25
_MOST_LISTED_VOTES = 10
_DRAWN_VOTES = 4
_ROUNDING = 1e-5


def records(iteration: int, history: coordinate_descent.Info) -> list[dict[str, Any]]:
    """Condenses a segment of training to a record every few iterations.

    Args:
        iteration: how many iterations are done at the segment's end.
        history: of each iteration of the segment.

    Returns:
        Records with the iteration as "step", the pocket's accuracy of each vote, and
        the means since the record before, over iterations and votes, of the rest.
    """
    accuracy, *moves = history
    length = len(accuracy)
    first = iteration - length
    ends = [
        end
        for end in range(1, length + 1)
        if (first + end) % _RECORD_EVERY == 0 or end == length
    ]
    return [
        {
            "step": first + end,
            "pocket_accuracy": [round(float(share), 6) for share in accuracy[end - 1]],
            **{
                name: round(float(np.mean(moved[start:end])), 6)
                for name, moved in zip(history._fields[1:], moves, strict=True)
            },
        }
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def _curve(name: str, metrics: Sequence[Mapping[str, Any]]) -> figures.Curve:
    """Gathers every record of a run for a figure."""
    fields = "step", "pocket_accuracy", "accepted_hidden", "accepted_output"
    columns = ([record[field] for record in metrics] for field in fields)
    return figures.Curve(name, *map(np.array, columns))


def write(
    run: runs.RunDirectory,
    params: zero_one.Params,
    splits: Mapping[str, tuple[Array, Array]],
    training: data.Split,
    seconds: float,
) -> None:
    """Evaluates the networks and writes all that the run directory still lacks.

    Args:
        run: the open run directory, with the metrics of every iteration.
        params: the trained networks.
        splits: features and labels of "train" and "test".
        training: the images, for their shape and the names of their classes.
        seconds: what this session's training took, loading and compiling included; of
            runs trained together, each one's share.
    """
    accuracies = {
        name: accuracy.accuracy(params, *rows) for name, rows in splits.items()
    }
    margins = {name: _margins(params, x) for name, (x, _) in splits.items()}
    pieces.write(run.path / "accuracy.md", _text(accuracies, margins))
    curve = _curve(f"{params.b2.size} networks", run.metrics())
    pieces.write(run.path / "curves.png", figures.training_curves([curve]))
    draw_hidden_units(params, training, run.path / "hidden_units.png")
    run.finish(
        {
            "config": runs.read_settings(run.path),
            "accuracy": {
                name: {"votes": shares.votes.tolist(), "majority": shares.majority}
                for name, shares in accuracies.items()
            },
            "margins": margins,
            "seconds": round(seconds, 1),
            "sessions": run.sessions(),
        }
    )


def draw_hidden_units(
    params: zero_one.Params, training: data.Split, path: pathlib.Path
) -> None:
    """Draws the units of the first votes, or of each class's first vote.

    Args:
        params: the networks.
        training: the images, for their shape and the names of their classes.
        path: the image to write.
    """
    w1, w2 = np.asarray(params.w1), np.asarray(params.w2)
    if w1.ndim == 4:
        w1, w2 = w1[:, 0], w2[:, 0]
        names = [f"class {name}" for name in training.class_names]
    else:
        w1, w2 = w1[:_DRAWN_VOTES], w2[:_DRAWN_VOTES]
        names = [f"vote {vote + 1}" for vote in range(len(w1))]
    shape = training.images.shape[1:]
    pieces.write(path, figures.hidden_units(w1, w2, shape, names))


def _margins(params: zero_one.Params, x: Array) -> dict[str, float]:
    """Measures how near rows come to thresholds, the worst of all networks."""
    margins = zero_one.margins(params, x, levels=(_ROUNDING,))
    return {
        "hidden": float(margins.hidden.min()),
        "output": float(margins.output.min()),
        "share_below_1e-5": float(margins.share.max()),
    }


def _text(
    accuracies: Mapping[str, accuracy.Accuracy],
    margins: Mapping[str, Mapping[str, float]],
) -> str:
    """Writes the run's results for people."""
    table = tables.Table(
        "Accuracy", ["", *accuracies], accuracy_rows(list(accuracies.values()))
    )
    nearest = tables.Table(
        "Margins, the worst network's",
        ["", *margins],
        [
            [meaning, *(f"{values[name]:.2g}" for values in margins.values())]
            for meaning, name in (
                ("nearest row to a hidden unit's threshold", "hidden"),
                ("nearest row to the output's threshold", "output"),
                ("share of rows within 1e-5 of the output's", "share_below_1e-5"),
            )
        ],
    )
    paragraphs = [tables.markdown(table), tables.markdown(nearest)]
    if any(values["output"] < _ROUNDING for values in margins.values()):
        paragraphs.append(
            "Rows lie within 1e-5 of an output's threshold: their labels may hang on\n"
            "rounding. Evaluate these networks in float64 (models.zero_one.astype)."
        )
    return "\n\n".join(paragraphs) + "\n"


def accuracy_rows(columns: Sequence[accuracy.Accuracy]) -> list[list[Any]]:
    """Lists accuracies vote by vote, or in a large ensemble their range.

    Args:
        columns: what to stand beside each other, of equally many votes.

    Returns:
        Rows of a table: each vote or the range, the mean over votes, the majority.
    """
    votes = np.stack([column.votes for column in columns], axis=1)
    if len(votes) <= _MOST_LISTED_VOTES:
        rows = [
            [f"vote {number}", *vote.tolist()] for number, vote in enumerate(votes, 1)
        ]
    else:
        rows = [
            ["lowest vote", *votes.min(0).tolist()],
            ["highest vote", *votes.max(0).tolist()],
        ]
    return [
        *rows,
        ["mean of votes", *votes.mean(0).tolist()],
        ["majority", *(column.majority for column in columns)],
    ]
