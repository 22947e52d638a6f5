"""Figures of attacks: the images themselves, and distance against queries."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from zeroone_jax.evaluation.drawing import COLOURS, MARKERS, legend, picture, plain

_TEXT_SIZE = 13
_COLOURS = COLOURS[:4]
_MARKERS = "osD^"
_SHADE = (25, 75)


def adversaries(
    images: np.ndarray,
    found: np.ndarray,
    titles: Sequence[tuple[str, str, str]],
) -> Figure:
    """Draws each image, what was done to it, and what came out.

    A perturbation is drawn around grey, amplified until its largest value is full
    brightness; its title should say by how much (`amplification`).

    Args:
        images: f [n, h, w, c] in [0,1], c 1 or 3.
        found: f [n, h, w, c] in [0,1], the adversaries.
        titles: for each image, what stands over the image, the perturbation and the
            adversary.

    Returns:
        A figure with three panels for each image, two images to a row.

    Raises:
        ValueError: shapes that do not fit.
    """
    if images.shape != found.shape or len(titles) != len(images) or images.ndim != 4:
        raise ValueError(
            f"images {images.shape}, adversaries {found.shape} and {len(titles)} "
            "titles do not fit each other"
        )
    lines = -(-len(images) // 2)
    figure = Figure(figsize=(14.0, 2.6 * lines), layout="constrained")
    grid = figure.subplots(
        lines, 7, squeeze=False, width_ratios=(1, 1, 1, 0.1, 1, 1, 1)
    )
    for axes in grid.flat:
        axes.set_axis_off()
    threes = np.delete(grid, 3, axis=1).reshape(-1, 3)
    for row, image, adversary, words in zip(
        threes, images, found, titles, strict=False
    ):
        noise = (adversary - image) * amplification(adversary - image)
        pictures = (image, 0.5 + noise / 2, adversary)
        for axes, one, word in zip(row, pictures, words, strict=True):
            _draw(axes, one, word)
    return figure


def amplification(perturbation: np.ndarray) -> float:
    """By how much to multiply a perturbation so that its largest value is 1.

    Example:
        >>> amplification(np.array([0.02, -0.05]))
        20.0
    """
    largest = float(np.abs(perturbation).max())
    return 1 / largest if largest > 0 else 1.0


def distance_curve(
    queries: np.ndarray, distances: np.ndarray, norm: str, name: str
) -> Figure:
    """Draws the distance of the nearest adversary so far against queries.

    Args:
        queries: i [m], numbers of queries.
        distances: f [n, m], of every image; infinite where there is no adversary yet.
        norm: how distance is measured, for the axis.
        name: what the legend calls the attack.

    Returns:
        A figure of the median over images, with the middle half shaded, from where
        half of the images have an adversary.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    low, middle, high = (
        _percentile(distances, share) for share in (_SHADE[0], 50, _SHADE[1])
    )
    shaded = np.isfinite(high)
    axes.fill_between(
        queries[shaded], low[shaded], high[shaded], color=_COLOURS[0], alpha=0.2, lw=0
    )
    drawn = np.isfinite(middle)
    axes.plot(
        queries[drawn],
        middle[drawn],
        color=_COLOURS[0],
        lw=2,
        marker="o",
        markersize=4,
        label=f"{name}, median and middle half of {len(distances)} images",
    )
    axes.set_xscale("log")
    if drawn.any() and middle[drawn].min() > 0:
        axes.set_yscale("log")
    plain(axes, _TEXT_SIZE, "queries an image", f"distance ({norm})", which="both")
    axes.legend(fontsize=_TEXT_SIZE - 1, frameon=False)
    return figure


def distortions(found: Mapping[str, Mapping[str, np.ndarray]], norm: str) -> Figure:
    """Draws how far models' nearest adversaries are, by each way of finding them.

    Args:
        found: by way and model, f [n], the distances of its images; a model may lack.
        norm: how distance is measured, for the axis.

    Returns:
        A figure of a group for each model: points at medians, lines over the middle
        half of the images.
    """
    models = list(dict.fromkeys(name for ways in found.values() for name in ways))
    figure = Figure(figsize=(10, 1.5 + 0.55 * len(models)), layout="constrained")
    axes = figure.subplots()
    for place, (way, distances) in enumerate(found.items()):
        rows = np.array([models.index(name) for name in distances])
        low, middle, high = (
            np.array([_percentile(one, share) for one in distances.values()])
            for share in (_SHADE[0], 50, _SHADE[1])
        )
        height = rows + 0.22 * (place - (len(found) - 1) / 2)
        colour, marker = _COLOURS[place], _MARKERS[place]
        axes.hlines(height, low, high, color=colour, lw=2, alpha=0.6)
        axes.plot(middle, height, marker, color=colour, markersize=8, label=way)
    axes.set_yticks(range(len(models)), models)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_xscale("log")
    # Plain numbers, 1, 2 and 5 of each power of ten.
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,)))
    axes.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    label = f"distance to the nearest adversary found ({norm}), median and middle half"
    plain(axes, _TEXT_SIZE, label, axis="x", which="both")
    legend(figure, axes, _TEXT_SIZE - 1, len(found))
    return figure


def medians(
    found: Mapping[str, Mapping[str, np.ndarray]],
    norm: str,
    names: Sequence[str],
    label: str,
) -> Figure:
    """Draws models' median distances on many tasks, a panel for each attack.

    Args:
        found: by attack and model, f [m], a median for each task.
        norm: how distance is measured, for the axes.
        names: of the m tasks.
        label: what a task is.

    Returns:
        A figure of panels one above the other, with the same axes.
    """
    figure = Figure(figsize=(13, 1 + 3.5 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), 1, sharex=True, sharey=True, squeeze=False)
    places = np.arange(len(names))
    for axes, (attack, models) in zip(panels[:, 0], found.items(), strict=True):
        every = np.array(list(models.values()))
        axes.vlines(places, every.min(axis=0), every.max(axis=0), color="0.8", lw=1.5)
        for (name, values), colour, marker in zip(
            models.items(), _COLOURS, _MARKERS, strict=False
        ):
            axes.plot(places, values, marker, color=colour, markersize=7, label=name)
        axes.set_ylim(bottom=0)
        axes.set_title(attack, fontsize=_TEXT_SIZE, loc="left")
        plain(axes, _TEXT_SIZE, up=f"median distance ({norm})", axis="y")
        axes.margins(x=0.01)
    panels[-1, 0].set_xticks(places, names, rotation=90)
    panels[-1, 0].set_xlabel(label, fontsize=_TEXT_SIZE)
    legend(figure, panels[0, 0], _TEXT_SIZE, len(next(iter(found.values()))))
    return figure


def accuracies(
    places: np.ndarray,
    shares: Mapping[str, np.ndarray],
    label: str = "epsilon (Linf, on the [0, 1] pixel scale)",
) -> Figure:
    """Draws models' accuracy under an attack against its strength or its course.

    Args:
        places: [m], of the horizontal axis.
        shares: by model, f [seeds, m], in [0, 1].
        label: of the horizontal axis.

    Returns:
        A figure of each model's mean over the seeds, with its standard error.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    styles = itertools.product(
        ("-", "--", ":", "-."), zip(_COLOURS, MARKERS[:4], strict=True)
    )
    for (name, seen), (line, (colour, marker)) in zip(
        shares.items(), itertools.cycle(styles), strict=False
    ):
        mean = seen.mean(axis=0)
        spread = seen.std(axis=0, ddof=1) / np.sqrt(len(seen))
        axes.errorbar(
            places,
            mean,
            spread,
            color=colour,
            ls=line,
            marker=marker,
            markersize=6,
            capsize=3,
            label=name,
        )
    if places[0] > 0 and places[-1] < 1:
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [_fraction(place) for place in places])
    axes.set_ylim(0, 1)
    plain(axes, _TEXT_SIZE, label, "accuracy")
    legend(figure, axes, _TEXT_SIZE - 2, 1, "right upper")
    return figure


def picture_grid(
    pictures: Sequence[Sequence[np.ndarray]], titles: Sequence[Sequence[str]]
) -> Figure:
    """Draws rows of pictures.

    Args:
        pictures: float [height, width, channels] in [0, 1], as many in every row.
        titles: of each; as many.
    """
    rows, columns = len(pictures), len(pictures[0])
    figure = Figure(figsize=(1.1 * columns, 1.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, image, title in zip(
        grid.flat,
        itertools.chain.from_iterable(pictures),
        itertools.chain.from_iterable(titles),
        strict=True,
    ):
        _draw(axes, image, title)
    return figure


def _fraction(number: float) -> str:
    """Writes 1/64 as that."""
    turned = 1 / number
    return f"1/{turned:.0f}" if turned == round(turned) else f"{number:.4g}"


def _percentile(distances: np.ndarray, share: int) -> np.ndarray:
    # The middle of both neighbours, as a median is; NumPy would subtract infinities.
    lower, higher = (
        np.percentile(distances, share, axis=0, method=method)
        for method in ("lower", "higher")
    )
    return (lower + higher) / 2


def _draw(axes: Axes, image: np.ndarray, title: str) -> None:
    image = np.clip(image, 0, 1)
    shown = image[..., 0] if image.shape[-1] == 1 else image
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1}
    picture(axes, shown, title, interpolation="nearest", **grey)
