"""An animation of linear models of two numbers while they learn: paper B's toy.

The paper's toy (docs/papers.md, B3) shows where training methods place the
boundary of a logistic regression, iteration by iteration.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zeroone_jax.evaluation.drawing import COLOURS

_COLOURS = COLOURS[:2]
_MARKERS = ("o", "^")
_TEXT_SIZE = 13
_DPI = 80
_GRID = 300


class Course(NamedTuple):
    """How the models of several methods came about.

    Attributes:
        names: the methods' names.
        iterations: i [frames], after how many iterations the weights were recorded.
        weights: f [frames, methods, 3]: of the plane's two coordinates, and the bias;
            class 1 is where `w1 x1 + w2 x2 + bias > 0`.
    """

    names: Sequence[str]
    iterations: np.ndarray
    weights: np.ndarray


def write(
    path: pathlib.Path,
    course: Course,
    points: np.ndarray,
    labels: np.ndarray,
    frames_per_second: int = 10,
) -> None:
    """Writes the animation as a GIF.

    Args:
        path: where.
        course: the models; each record is a frame.
        points: f [n, 2], the data, all of which is drawn.
        labels: i [n], 0 or 1.
        frames_per_second: of the animation.

    Raises:
        ValueError: shapes that do not fit.
    """
    figure = frame(course, 0, points, labels)
    writer = PillowWriter(frames_per_second)
    with writer.saving(figure, path, _DPI):
        for place in range(len(course.iterations)):
            _show(figure, course, place, points, labels)
            writer.grab_frame()


def frame(course: Course, place: int, points: np.ndarray, labels: np.ndarray) -> Figure:
    """Draws one frame.

    Args:
        course: the models.
        place: which record, from 0.
        points: f [n, 2].
        labels: i [n], 0 or 1.

    Returns:
        A figure with a panel for each method: the region of each class, the points,
        and the share of them that the model labels rightly.

    Raises:
        ValueError: shapes that do not fit.
    """
    methods = len(course.names)
    expected = (len(course.iterations), methods, 3)
    if course.weights.shape != expected or points.shape != (len(labels), 2):
        raise ValueError(
            f"weights {course.weights.shape}, {methods} names, "
            f"{len(course.iterations)} iterations, points {points.shape} and "
            f"{len(labels)} labels do not fit each other"
        )
    figure = Figure(figsize=(0.8 + 3.2 * methods, 5.6), layout="constrained")
    panels = figure.subplots(1, methods, sharex=True, sharey=True, squeeze=False)[0]
    for axes in panels:
        _draw_points(axes, points, labels)
        axes.set_xlabel("$x_1$", fontsize=_TEXT_SIZE)
        axes.tick_params(labelsize=_TEXT_SIZE - 2)
    panels[0].set_ylabel("$x_2$", fontsize=_TEXT_SIZE)
    handles = [
        Line2D([], [], color=colour, marker=marker, lw=0, label=f"class {label}")
        for label, (colour, marker) in enumerate(zip(_COLOURS, _MARKERS, strict=True))
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=2,
        fontsize=_TEXT_SIZE,
        frameon=False,
    )
    _show(figure, course, place, points, labels)
    return figure


def _draw_points(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Draws what stays, and fixes the part of the plane that is shown."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.15 * np.maximum(high - low, 1e-6)
    axes.set_xlim(low[0] - room[0], high[0] + room[0])
    axes.set_ylim(low[1] - room[1], high[1] + room[1])
    for label, (colour, marker) in enumerate(zip(_COLOURS, _MARKERS, strict=True)):
        axes.scatter(
            points[labels == label, 0],
            points[labels == label, 1],
            s=14,
            color=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.3,
            zorder=2,
        )


def _show(
    figure: Figure,
    course: Course,
    place: int,
    points: np.ndarray,
    labels: np.ndarray,
) -> None:
    """Draws what changes, in place of what was there."""
    figure.suptitle(f"iteration {course.iterations[place]}", fontsize=_TEXT_SIZE + 2)
    for axes, name, weights in zip(
        figure.axes, course.names, course.weights[place], strict=True
    ):
        for image in list(axes.images):
            image.remove()
        _draw_regions(axes, weights)
        right = (_scores(points, weights) > 0) == (labels == 1)
        axes.set_title(f"{name}\naccuracy {right.mean():.1%}", fontsize=_TEXT_SIZE)


def _draw_regions(axes: Axes, weights: np.ndarray) -> None:
    """Paints every pixel of the panel in its class's colour."""
    extent = (*axes.get_xlim(), *axes.get_ylim())
    across, up = np.linspace(*extent[:2], _GRID), np.linspace(*extent[2:], _GRID)
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    axes.imshow(
        _scores(grid, weights) > 0,
        cmap=ListedColormap(_COLOURS),
        vmin=0,
        vmax=1,
        extent=extent,
        origin="lower",
        aspect="auto",
        alpha=0.25,
        zorder=0,
    )


def _scores(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Positive for class 1, f [...] of points [..., 2]."""
    return points @ weights[:2] + weights[2]
