"""Figures of robustly trained networks."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from zeroone_jax.evaluation.drawing import COLOURS, MARKERS, legend, plain
from zeroone_jax.evaluation.gradient_masking import Masking

_TEXT_SIZE = 14


class AccuracyCurve(NamedTuple):
    """How training went.

    Attributes:
        name: what the legend calls the run.
        epoch: i [t], after how many epochs the network was looked at.
        natural: f [t], accuracy on images, in [0,1].
        robust: f [t], accuracy under the attack that watches training, in [0,1].
    """

    name: str
    epoch: np.ndarray
    natural: np.ndarray
    robust: np.ndarray


class Sweep(NamedTuple):
    """Networks trained with different confidences c, under one attack.

    Attributes:
        name: what the legend calls the attack.
        confidence: f [m], each network's c, in (0,1].
        natural: f [m], accuracy on images, in [0,1].
        robust: f [m], accuracy under the attack, in [0,1].
        standard_error: f [m], of `robust`.
    """

    name: str
    confidence: np.ndarray
    natural: np.ndarray
    robust: np.ndarray
    standard_error: np.ndarray


class Freezing(NamedTuple):
    """How sensible adversarial training went, by epoch.

    Attributes:
        confidence: the method's c, in (0,1).
        epoch: i [t], after how many epochs.
        frozen: f [t], the share of the examples that were frozen when their adversaries
            were done, in [0,1].
        loss: f [t], the mean cross-entropy of the adversaries, in nats.
    """

    confidence: float
    epoch: np.ndarray
    frozen: np.ndarray
    loss: np.ndarray


class Ladder(NamedTuple):
    """A method on one architecture at several sizes.

    Attributes:
        name: what the legend calls the method.
        growing: whether its ball grows, which makes the line dashed.
        parameters: of each size.
        natural: f [seeds] of each size, accuracy on images, in [0,1].
        robust: f [seeds] of each size, accuracy under attack, in [0,1].
    """

    name: str
    growing: bool
    parameters: Sequence[int]
    natural: Sequence[np.ndarray]
    robust: Sequence[np.ndarray]


def masking(courses: Mapping[str, Masking]) -> Figure:
    """Draws PGD's loss and what is left of accuracy against its steps.

    Args:
        courses: each network's name and course.

    Returns:
        A figure with two panels. The loss is the mean over restarts, the shade their
        range.
    """
    figure = Figure(figsize=(10, 8.5), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    for (name, course), style in zip(courses.items(), _styles(), strict=False):
        mean = course.loss.mean(axis=0)
        top.fill_between(
            course.steps,
            course.loss.min(axis=0),
            course.loss.max(axis=0),
            color=style["color"],
            alpha=0.25,
            lw=0,
        )
        top.plot(course.steps, mean, label=name, **style)
        bottom.plot(course.steps, course.accuracy, label=name, **style)
    # Even up to one step, so that the start can be shown.
    top.set_xscale("symlog", linthresh=1)
    top.xaxis.set_major_formatter("{x:g}")
    # The loss of an undefended network is many times that of the others.
    top.set_yscale("log")
    top.yaxis.set_major_formatter("{x:g}")
    plain(top, _TEXT_SIZE, up="loss of the iterate (nats)\nmean and range of restarts")
    plain(bottom, _TEXT_SIZE, "PGD steps of each restart", "worst-case accuracy so far")
    _in_percent(bottom)
    for axes in (top, bottom):
        axes.set_xlim(0, max(course.steps[-1] for course in courses.values()) * 1.1)
    top.legend(fontsize=_TEXT_SIZE - 1, frameon=False)
    return figure


def transfer_matrix(
    accuracy: np.ndarray, natural: np.ndarray, names: Sequence[str]
) -> Figure:
    """Draws the accuracies of networks on one another's adversaries.

    Args:
        accuracy: f [n, n], sources by targets, in [0,1].
        natural: f [n], the targets' without an attack, a row of its own.
        names: the networks' names.

    Returns:
        A figure of numbers on colours; white-box attacks are framed.

    Raises:
        ValueError: shapes that do not fit.
    """
    count = len(names)
    if accuracy.shape != (count, count) or natural.shape != (count,):
        raise ValueError(
            f"accuracy {accuracy.shape}, natural {natural.shape} and {count} names do "
            "not fit each other"
        )
    rows = np.concatenate([natural[None], accuracy])
    figure = Figure(
        figsize=(3.6 + 1.1 * count, 2.6 + 0.8 * count), layout="constrained"
    )
    axes = figure.subplots()
    picture = axes.imshow(rows, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    _write_shares(axes, rows)
    axes.axhline(0.5, color="white", lw=4)
    axes.set_xticks(
        range(count), names, rotation=30, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(count + 1), ["no attack", *names])
    axes.set_xlabel("target: who labels the adversaries", fontsize=_TEXT_SIZE)
    axes.set_ylabel("source: whose gradients made them", fontsize=_TEXT_SIZE)
    axes.tick_params(labelsize=_TEXT_SIZE - 1, length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(picture, ax=axes)
    bar.set_label("accuracy of the target (%)", fontsize=_TEXT_SIZE)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    bar.ax.tick_params(labelsize=_TEXT_SIZE - 1)
    bar.outline.set_visible(False)
    return figure


def accuracy_curves(curves: Sequence[AccuracyCurve], attack: str) -> Figure:
    """Draws natural and robust accuracy against epochs.

    Args:
        curves: the runs to compare.
        attack: what the axis calls the attack that watches training.

    Returns:
        A figure with two panels that share both axes.
    """
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for curve, style in zip(curves, _styles(), strict=False):
        for axes, shares in zip(panels, (curve.natural, curve.robust), strict=True):
            # About ten markers a line; more would hide it.
            every = max(1, len(curve.epoch) // 10)
            axes.plot(curve.epoch, shares, label=curve.name, markevery=every, **style)
    for axes, name in zip(panels, ("natural images", f"under {attack}"), strict=True):
        axes.set_title(name, fontsize=_TEXT_SIZE + 1)
        up = "accuracy" if axes is panels[0] else ""
        plain(axes, _TEXT_SIZE, "epoch", up)
    _in_percent(panels[0])
    columns = min(4, len(curves))
    legend(figure, panels[0], _TEXT_SIZE - 1, columns, "lower center")
    return figure


def confidence_sweep(sweeps: Sequence[Sweep]) -> Figure:
    """Draws natural and robust accuracy over the confidence c.

    Args:
        sweeps: the same networks under different attacks.

    Returns:
        A figure with a line for each attack, and one for the first sweep's natural
        accuracy; bars are standard errors.
    """
    figure = Figure(figsize=(8.5, 6.5), layout="constrained")
    axes = figure.subplots()
    styles = _styles()
    for sweep in sweeps:
        order = np.argsort(sweep.confidence)
        error = sweep.standard_error[order]
        axes.errorbar(
            sweep.confidence[order],
            sweep.robust[order],
            error,
            label=sweep.name,
            capsize=3,
            **next(styles),
        )
    order = np.argsort(sweeps[0].confidence)
    axes.plot(
        sweeps[0].confidence[order],
        sweeps[0].natural[order],
        label="no attack",
        ls="--",
        **next(styles),
    )
    axes.set_xticks(sweeps[0].confidence[order])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    plain(axes, _TEXT_SIZE, "confidence c", "accuracy")
    legend(figure, axes, _TEXT_SIZE - 1, min(4, len(sweeps) + 1), "lower center")
    return figure


def freezing(courses: Sequence[Freezing]) -> Figure:
    """Draws the share of frozen examples and the loss against epochs.

    Args:
        courses: networks trained with different confidences c.

    Returns:
        A figure with two panels. Dotted lines are the thresholds -ln c, beyond which
        no example goes.
    """
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    ordered = sorted(courses, key=lambda course: course.confidence)
    for course, style in zip(ordered, _styles(), strict=False):
        every = max(1, len(course.epoch) // 10)
        style["markevery"] = every
        left.plot(
            course.epoch, course.frozen, label=f"c = {course.confidence:g}", **style
        )
        right.plot(course.epoch, course.loss, **style)
        right.axhline(-np.log(course.confidence), color=style["color"], ls=":", lw=1.5)
    plain(left, _TEXT_SIZE, "epoch", "frozen examples")
    plain(right, _TEXT_SIZE, "epoch", "mean loss of the adversaries (nats)")
    right.set_ylim(bottom=0)
    _in_percent(left)
    legend(figure, left, _TEXT_SIZE - 1, min(5, len(courses)), "lower center")
    return figure


def capacity(ladders: Sequence[Ladder], attack: str) -> Figure:
    """Draws natural and robust accuracy against the number of parameters.

    Args:
        ladders: the methods to compare; those of one name have one colour.
        attack: what the axis calls the attack.

    Returns:
        A figure with two panels; points are means over seeds, bars their range.
    """
    figure = Figure(figsize=(12, 6), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    names = dict.fromkeys(ladder.name for ladder in ladders)
    styles = dict(zip(names, _styles(), strict=False))
    for ladder in ladders:
        for axes, seeds in zip(panels, (ladder.natural, ladder.robust), strict=True):
            means, least, most = (
                np.array([measure(of_size) for of_size in seeds])
                for measure in (np.mean, np.min, np.max)
            )
            axes.errorbar(
                ladder.parameters,
                means,
                (means - least, most - means),
                label=ladder.name + (", growing ball" if ladder.growing else ""),
                ls="--" if ladder.growing else "-",
                capsize=3,
                **styles[ladder.name],
            )
    for axes, name in zip(panels, ("natural images", f"under {attack}"), strict=True):
        axes.set_title(name, fontsize=_TEXT_SIZE + 1)
        axes.set_xscale("log")
        up = "accuracy" if axes is panels[0] else ""
        plain(axes, _TEXT_SIZE, "parameters", up)
    _in_percent(panels[0])
    legend(figure, panels[0], _TEXT_SIZE - 1, 3, "lower center")
    return figure


def _write_shares(axes: Axes, rows: np.ndarray) -> None:
    """Writes per cents into cells, and frames those of white-box attacks."""
    for (row, column), share in np.ndenumerate(rows):
        white_box = row == column + 1
        axes.text(
            column,
            row,
            f"{100 * share:.1f}",
            ha="center",
            va="center",
            fontsize=_TEXT_SIZE,
            color="white" if share < 0.5 else "black",
            fontweight="bold" if white_box else "normal",
        )
        if white_box:
            corner = (column - 0.46, row - 0.46)
            axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, ec="white", lw=2))


def _styles() -> Iterator[dict[str, Any]]:
    """Colours and markers, which go round."""
    for colour, marker in itertools.cycle(zip(COLOURS, MARKERS, strict=True)):
        yield {"color": colour, "marker": marker, "markersize": 6, "lw": 2}


def _in_percent(axes: Axes) -> None:
    # A little below 0, so that lines on it can be seen.
    axes.set_ylim(bottom=-0.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
