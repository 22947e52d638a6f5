"""The directions that a search moves along, and rows as it sees them.

A basis other than the pixels' has far fewer directions, each of which moves many pixels
together. Lengths and angles are kept, so that a ball of L2 stays one. A row's
coordinates are rounded to whole multiples of a fine unit, as levels of pixels are whole
by themselves; how far each row is from where it is rounded to is told, and the
certified loss allows for it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

Floats = npt.NDArray[np.float64]

_EXACT = 2.0**24
"""Whole numbers up to this are exact in float32."""


class Basis(NamedTuple):
    """Orthonormal directions in the space of pixels.

    Attributes:
        directions: float64 [k, d], the rows orthonormal.
        origin: float64 [d], in levels: where all coordinates are 0.
        scale: units of a coordinate in a level, a power of 2.
    """

    directions: Floats
    origin: Floats
    scale: float

    def coordinates(self, levels: Floats) -> tuple[Floats, Floats]:
        """Gives rows their coordinates.

        Args:
            levels: float [n, d].

        Returns:
            Whole numbers float64 [k, n]; and how far each row was moved by rounding
            them, float64 [n], in units.
        """
        exact = self.directions @ (levels - self.origin).T * self.scale
        whole = np.rint(exact)
        return whole, np.linalg.norm(exact - whole, axis=0)

    def on_pixels(self, weights: Floats, thresholds: Floats) -> tuple[Floats, Floats]:
        """Units on coordinates, [..., k] and [...], as units on levels of pixels."""
        pixels = weights @ self.directions
        return pixels, thresholds / self.scale + pixels @ self.origin


def principal(levels: Floats, components: int, largest_norm: float) -> Basis:
    """The first principal components of rows, the widest first.

    Args:
        levels: float [n, d], the rows.
        components: how many, at most d.
        largest_norm: of weights that coordinates are multiplied by.

    Returns:
        The `Basis`, its origin the rows' mean.
    """
    rows, pixels = levels.shape
    origin = levels.mean(axis=0)
    centred = levels - origin
    _, directions = scipy.linalg.eigh(
        centred.T @ centred / rows,
        subset_by_index=(pixels - components, pixels - 1),
        driver="evr",
    )
    directions = directions.T[::-1]
    # The sign of an eigenvector is anyone's choice: the largest entry is positive.
    largest = np.abs(directions).argmax(axis=1)
    directions = (
        directions * np.sign(directions[np.arange(components), largest])[:, None]
    )
    return _scaled(np.ascontiguousarray(directions), origin, levels, largest_norm)


def dct(
    shape: tuple[int, ...], levels: Floats, components: int, largest_norm: float
) -> Basis:
    """The lowest frequencies of the two-dimensional cosine transform of each colour.

    Args:
        shape: (h, w, c) of an image.
        levels: float [n, h w c], the rows.
        components: how many, at most h w c.
        largest_norm: of weights that coordinates are multiplied by.

    Returns:
        The `Basis`, from the lowest frequency on; colours of one frequency stand
        together. Its origin is the rows' mean.
    """
    height, width, colours = shape
    vertical, horizontal = (
        scipy.fft.dct(np.eye(size), axis=0, norm="ortho") for size in (height, width)
    )
    order = sorted(
        ((v / height) ** 2 + (h / width) ** 2, v, h, colour)
        for v in range(height)
        for h in range(width)
        for colour in range(colours)
    )
    directions = np.zeros((components, height, width, colours))
    for place, (_, v, h, colour) in enumerate(order[:components]):
        directions[place, :, :, colour] = np.outer(vertical[v], horizontal[h])
    flat = directions.reshape(components, -1)
    return _scaled(flat, levels.mean(axis=0), levels, largest_norm)


def _scaled(
    directions: Floats, origin: Floats, levels: Floats, largest_norm: float
) -> Basis:
    """The finest units in which every projection stays exact in float32."""
    farthest = np.linalg.norm((levels - origin) @ directions.T, axis=1).max()
    bound = max(farthest, 1.0) * largest_norm
    return Basis(directions, origin, 2.0 ** np.floor(np.log2(_EXACT / bound)))
