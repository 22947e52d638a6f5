"""Figures of sweeps: results against a swept setting."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from zeroone_jax.evaluation.drawing import COLOURS, MARKERS, legend, plain

_MOST_LINES = len(COLOURS)
_TEXT_SIZE = 14
_LETTERS = 68
_FACTOR_OF_LOGARITHM = 10


class Point(NamedTuple):
    """A result, averaged over seeds.

    Attributes:
        value: the swept setting, a number or a text.
        others: all other settings that differ between points, as a legend says them.
        mean: the result.
        standard_error: of the mean.
    """

    value: float | str
    others: str
    mean: float
    standard_error: float


def swept_field(label: str, panels: Mapping[str, Sequence[Point]]) -> Figure:
    """Draws results against a setting, a panel for each metric.

    Points of the same other settings have a colour of their own, and are joined, where
    there are up to six such lines. Otherwise, as where every setting is drawn at
    random, all points look alike. Numbers that span a factor of ten or more lie on a
    logarithmic axis, texts side by side and not joined.

    Args:
        label: what the setting is, with its unit.
        panels: each metric's points, by its name with its unit.

    Returns:
        A figure; bars are standard errors.
    """
    points = [point for panel in panels.values() for point in panel]
    values = list(dict.fromkeys(point.value for point in points))
    names = list(dict.fromkeys(point.others for point in points))
    are_lines = len(names) <= _MOST_LINES and len(names) < len(
        {(point.value, point.others) for point in points}
    )
    figure = Figure(figsize=(9, 1.5 + 3.5 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (metric, panel) in zip(grid, panels.items(), strict=True):
        if are_lines:
            _draw_lines(axes, panel, names, values)
        else:
            _draw_points(axes, panel, values)
        axes.margins(0.05)
        plain(axes, _TEXT_SIZE, up=textwrap.fill(metric, 30))
    _scale(grid[-1], values)
    grid[-1].set_xlabel(textwrap.fill(label, _LETTERS), fontsize=_TEXT_SIZE)
    if are_lines and names != [""]:
        columns = 2 if max(map(len, names)) < _LETTERS // 2 else 1
        legend(figure, grid[0], _TEXT_SIZE - 1, columns)
    return figure


def _position(value: float | str, values: Sequence[float | str]) -> float:
    """Where a value stands: numbers by themselves, unless some values are texts."""
    return float(values.index(value) if _are_texts(values) else value)


def _are_texts(values: Sequence[float | str]) -> bool:
    return any(isinstance(value, str) for value in values)


def _draw_lines(
    axes: Axes,
    points: Sequence[Point],
    names: Sequence[str],
    values: Sequence[float | str],
) -> None:
    for name, colour, marker in zip(names, COLOURS, MARKERS, strict=False):
        line = sorted(
            (_position(point.value, values), point.mean, point.standard_error)
            for point in points
            if point.others == name
        )
        across, up, error = zip(*line, strict=True) if line else ((), (), ())
        axes.errorbar(
            across,
            up,
            error,
            linestyle="none" if _are_texts(values) else "-",
            color=colour,
            marker=marker,
            markersize=8,
            linewidth=2,
            capsize=4,
            label=name,
        )


def _draw_points(
    axes: Axes, points: Sequence[Point], values: Sequence[float | str]
) -> None:
    axes.errorbar(
        [_position(point.value, values) for point in points],
        [point.mean for point in points],
        [point.standard_error for point in points],
        linestyle="none",
        color=COLOURS[0],
        marker=MARKERS[0],
        markersize=8,
        capsize=4,
        alpha=0.7,
    )


def _scale(axes: Axes, values: Sequence[float | str]) -> None:
    """Marks few values each by itself, and many as axes do."""
    if _are_texts(values):
        axes.set_xticks(range(len(values)), [str(value) for value in values])
        return
    numbers = sorted(map(float, values))
    if 0 < numbers[0] <= numbers[-1] / _FACTOR_OF_LOGARITHM:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    if len(numbers) <= _MOST_LINES:
        axes.set_xticks(numbers, [f"{value:g}" for value in numbers])
        axes.xaxis.set_minor_locator(NullLocator())
