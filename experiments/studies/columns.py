"""Tables as lists of columns over rows; a column has a header, and gives cells."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from zeroone_jax.evaluation import tables

from ..published import Published
from .study import Row

Cell: TypeAlias = Callable[[Row], Any]
"""Gives what a table shows of a row."""

Columns: TypeAlias = Mapping[str, Cell]
"""Cells by header."""


def table(title: str, rows: Iterable[Row], columns: Columns) -> tables.Table:
    """Makes a table.

    Args:
        title: what it shows.
        rows: one for each of its rows.
        columns: the first names the rows.
    """
    cells = [[cell(row) for cell in columns.values()] for row in rows]
    return tables.Table(title, list(columns), cells)


def sheet(
    title: str | Callable[[Sequence[Row]], str],
    columns: Columns,
    rows_of: Callable[[Sequence[Row]], Iterable[Row]] = iter,
) -> Callable[[Sequence[Row]], list[tables.Table]]:
    """Gives what makes one table, as `Study.tables` wants it.

    Args:
        title: what it shows, or what tells it from a study's rows.
        columns: the first names the rows.
        rows_of: makes the table's rows of a study's.
    """

    def made(rows: Sequence[Row]) -> list[tables.Table]:
        text = title if isinstance(title, str) else title(rows)
        return [table(text, rows_of(rows), columns)]

    return made


def at(*keys: str) -> Cell:
    """What a row has below some keys; None where one of them is missing.

    Example:
        >>> at("accuracy", "test")({"accuracy": {"test": 0.5}})
        0.5
    """

    def cell(row: Row) -> Any:
        found: Any = row
        for key in keys:
            found = None if found is None else found.get(key)
        return found

    return cell


def published(known: Mapping[str, Published]) -> Cell:
    """What others published of the row's method, or a dash."""
    return lambda row: known[row["method"]].text if row["method"] in known else "-"


def numbers(values: Any) -> np.ndarray:
    """Reads distances, which JSON keeps as None where they are infinite.

    Example:
        >>> numbers([1.5, None])
        array([1.5, inf])
    """
    array = np.array(values, dtype=float)
    return np.where(np.isnan(array), np.inf, array)


def middle(*keys: str) -> Cell:
    """The median of the distances that a row has below some keys."""
    return lambda row: float(np.median(numbers(at(*keys)(row))))


def spread(values: np.ndarray, places: int = 3, *, error: bool = False) -> str | None:
    """Writes a mean with the deviation of its values, or with its standard error.

    Args:
        values: float [n].
        places: how many decimals.
        error: whether with the standard error.

    Returns:
        The text, of one value without any; None if there are no values.

    Example:
        >>> spread(np.array([1.0, 3.0])), spread(np.array([1.0]), places=1)
        ('2.000 ± 1.414', '1.0')
    """
    if not len(values):
        return None
    text = f"{np.mean(values):.{places}f}"
    if len(values) == 1:
        return text
    deviation = np.std(values, ddof=1)
    if error:
        deviation /= np.sqrt(len(values))
    return f"{text} ± {deviation:.{places}f}"
