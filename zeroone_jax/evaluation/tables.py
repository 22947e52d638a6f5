"""Small tables of results, as markdown and as JSON."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class Table(NamedTuple):
    """Rows of results under a header.

    Attributes:
        title: what the table shows.
        header: the names of the columns; the first one names the rows.
        rows: as many cells each as the header; a float is shown with four decimals,
            None as a dash, anything else as it prints.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


def markdown(table: Table) -> str:
    """Writes a table for readers of plain text and of markdown alike.

    Args:
        table: what to write.

    Returns:
        Lines of equal width: names to the left, results to the right.

    Raises:
        ValueError: a row has more or fewer cells than the header.

    Example:
        >>> print(markdown(Table("Accuracy", ["", "test"], [["vote 1", 0.8235]])))
        **Accuracy**
        <BLANKLINE>
        |        |   test |
        |:-------|-------:|
        | vote 1 | 0.8235 |
    """
    _check(table)
    rows = [[_cell(value) for value in row] for row in [table.header, *table.rows]]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    dashes = [
        f":{'-' * (width + 1)}" if column == 0 else f"{'-' * (width + 1)}:"
        for column, width in enumerate(widths)
    ]
    lines.insert(1, f"|{'|'.join(dashes)}|")
    return "\n".join([f"**{table.title}**", "", *lines])


def as_json(table: Table) -> dict[str, Any]:
    """Gives a table as JSON's types.

    Args:
        table: what to convert.

    Returns:
        The title, and under "rows" one object a row, keyed by the header.

    Raises:
        ValueError: a row has more or fewer cells than the header.
    """
    _check(table)
    header = [name or "row" for name in table.header]
    rows = [dict(zip(header, row, strict=True)) for row in table.rows]
    return {"title": table.title, "rows": rows}


def _check(table: Table) -> None:
    for row in table.rows:
        if len(row) != len(table.header):
            raise ValueError(
                f"{table.title}: {row} has {len(row)} cells, not {len(table.header)}"
            )


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(cells)} |"
