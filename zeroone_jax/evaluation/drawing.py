"""What all figures share: colours, markers, plain axes, legends outside of them.

Figures are drawn without a display and legible at half size. Colours are those of Okabe
and Ito, which colour-blind readers can tell apart; lines differ in markers too.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")


def plain(axes: Axes, size: int, across: str = "", up: str = "", **grid: Any) -> None:
    """Lays a grey grid behind axes, without a frame, and sets their text.

    Args:
        axes: what to change.
        size: of the labels, in points.
        across: the label of the horizontal axis.
        up: the label of the vertical axis.
        **grid: which lines the grid has, as for `Axes.grid`.
    """
    axes.grid(color="0.9", **grid)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which=grid.get("which", "major"), labelsize=size - 1)
    axes.set_xlabel(across, fontsize=size)
    axes.set_ylabel(up, fontsize=size)


def legend(
    figure: Figure, axes: Axes, size: int, columns: int, place: str = "upper center"
) -> None:
    """Puts the legend of some axes outside of all."""
    handles, names = axes.get_legend_handles_labels()
    where: Any = f"outside {place}"
    look = {"ncols": columns, "fontsize": size, "frameon": False}
    figure.legend(handles, names, loc=where, **look)


def picture(axes: Axes, image: np.ndarray, title: str = "", **shown: Any) -> None:
    """Draws an image in a grey frame; `shown` as for `Axes.imshow`."""
    axes.set_axis_on()
    axes.imshow(image, **shown)
    axes.set_title(title, fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.7")
