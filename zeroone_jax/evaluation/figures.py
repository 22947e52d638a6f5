"""Figures of training runs; weights in the purple-orange scale of ColorBrewer."""

import itertools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.cm
import matplotlib.colors
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from zeroone_jax.evaluation.drawing import COLOURS, picture, plain

_DIVERGING = "PuOr"
_TEXT_SIZE = 14
_MAX_UNITS = 20
_COLUMNS = 10


class Curve(NamedTuple):
    """How one training run went.

    Attributes:
        name: what the legend calls it.
        iteration: i [t], where the run was looked at.
        pocket_accuracy: f [t, votes], train accuracy of each vote's best so far.
        accepted_hidden: f [t], share of the hidden units' visits since the look
            before, over all votes, that took a move, in [0, 1].
        accepted_output: f [t], likewise of the output units.
    """

    name: str
    iteration: np.ndarray
    pocket_accuracy: np.ndarray
    accepted_hidden: np.ndarray
    accepted_output: np.ndarray


def training_curves(curves: Sequence[Curve]) -> Figure:
    """Draws train accuracy and accepted moves against iterations.

    Args:
        curves: the runs to compare.

    Returns:
        A figure with two panels; accuracy is the mean over votes, the shade its range.
    """
    figure = Figure(figsize=(10, 8), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for curve, colour in zip(curves, itertools.cycle(COLOURS), strict=False):
        accuracy = curve.pocket_accuracy
        top.fill_between(
            curve.iteration,
            accuracy.min(axis=1),
            accuracy.max(axis=1),
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
        top.plot(
            curve.iteration, accuracy.mean(axis=1), color=colour, lw=2, label=curve.name
        )
        for accepted, unit, dashes in (
            (curve.accepted_hidden, "hidden units", "-"),
            (curve.accepted_output, "output unit", "--"),
        ):
            bottom.plot(
                curve.iteration,
                accepted,
                dashes,
                color=colour,
                lw=2,
                label=f"{curve.name}, {unit}",
            )
    bottom.set_ylim(-0.03, 1.03)
    for axes in (top, bottom):
        axes.margins(x=0.01)
    plain(top, _TEXT_SIZE, up="train accuracy\nmean and range of networks")
    plain(bottom, _TEXT_SIZE, "iteration", "visits that\ntook a move")
    legend = {"fontsize": _TEXT_SIZE - 1, "frameon": False}
    top.legend(loc="lower right", **legend)
    # Above its panel, for its lines may run anywhere.
    bottom.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, **legend)
    return figure


def hidden_units(
    w1: np.ndarray,
    w2: np.ndarray,
    image_shape: tuple[int, int, int],
    names: Sequence[str],
) -> Figure:
    """Draws the weights of hidden units as images.

    A pixel shows the weight of the channel where it is largest in magnitude; each
    unit has its own scale, symmetric about 0. Units stand in the order of their
    output weights; of many, those with the largest in magnitude.

    Args:
        w1: f [networks, h, d], the hidden units' weights.
        w2: f [networks, h], the output units' weights.
        image_shape: height, width, channels, whose product is d.
        names: the networks' names.

    Returns:
        A figure with one or two rows of images for each network.

    Raises:
        ValueError: shapes that do not fit.
    """
    networks, hidden, features = w1.shape
    fits = w2.shape == (networks, hidden) and len(names) == networks
    if not fits or features != np.prod(image_shape):
        raise ValueError(
            f"w1 {w1.shape}, w2 {w2.shape}, {len(names)} names and images "
            f"{image_shape} do not fit each other"
        )
    units, columns = min(hidden, _MAX_UNITS), min(hidden, _COLUMNS)
    lines = -(-units // columns)
    figure = Figure(
        figsize=(max(6.0, columns + 2.0), max(2.6, networks * lines + 0.8)),
        layout=ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.03, hspace=0, wspace=0),
    )
    grid = figure.subplots(networks * lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for network, panels in enumerate(grid.reshape(networks, lines * columns)):
        largest = np.argsort(-np.abs(w2[network]), kind="stable")[:units]
        ordered = largest[np.argsort(w2[network][largest], kind="stable")]
        for unit, axes in zip(ordered, panels, strict=False):
            _draw_unit(axes, w1[network, unit].reshape(image_shape))
        panels[0].set_ylabel(
            names[network], rotation=0, ha="right", va="center", fontsize=_TEXT_SIZE
        )
    figure.supxlabel(
        "each network's hidden units, output weight rising", fontsize=_TEXT_SIZE
    )
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(-1, 1), _DIVERGING)
    bar = figure.colorbar(scale, ax=grid, ticks=(-1, 0, 1), aspect=30, pad=0.01)
    bar.ax.tick_params(labelsize=_TEXT_SIZE - 1)
    bar.set_label("weight / unit's largest", fontsize=_TEXT_SIZE)
    return figure


def write(figure: Figure, path: pathlib.Path) -> None:
    """Writes a figure as an image.

    Args:
        figure: what to write.
        path: where; its ending names the format.
    """
    FigureCanvasAgg(figure).print_figure(path, dpi=150)


def _draw_unit(axes: Axes, weights: np.ndarray) -> None:
    strongest = np.abs(weights).argmax(axis=-1)[..., None]
    image = np.take_along_axis(weights, strongest, axis=-1)[..., 0]
    limit = np.abs(image).max() or 1.0
    picture(axes, image, cmap=_DIVERGING, vmin=-limit, vmax=limit)
