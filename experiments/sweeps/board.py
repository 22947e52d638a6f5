"""What a sweep shows while it runs: a live table on a terminal, lines in a log."""

import collections
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TextIO

from ..progress import duration
from .process import State

_SECONDS_BETWEEN_DRAWINGS = 0.5
_HEAD = 2


class Line(NamedTuple):
    """A run, as it is shown.

    Attributes:
        name: of the run.
        state: how far it is.
        seconds: how long it has run.
        note: the last thing it said, or where to look.
    """

    name: str
    state: State
    seconds: float
    note: str


class Board:
    """Shows the runs of a sweep.

    On a terminal, a table is drawn in place: how many runs are in each state, and a
    line for each that runs or has failed, as far as there is room. Elsewhere each run
    gets one line when it is over.
    """

    def __init__(
        self,
        name: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with nothing shown of a sweep; the rest is as for `Progress`."""
        self._name = name
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._began = clock()
        self._drawn: float | None = None
        self._height = 0
        self._told: set[str] | None = None

    def show(self, lines: Sequence[Line], is_last: bool = False) -> None:
        """Shows how far the runs are.

        Args:
            lines: one for each run.
            is_last: whether this is the end, so that nothing is left out.
        """
        if self._stream.isatty():
            now = self._clock()
            is_early = (
                self._drawn is not None
                and now - self._drawn < _SECONDS_BETWEEN_DRAWINGS
            )
            if is_last or not is_early:
                self._draw(lines)
                self._drawn = now
        else:
            self._tell(lines)

    def _draw(self, lines: Sequence[Line]) -> None:
        columns, rows = shutil.get_terminal_size()
        shown = [each for each in lines if each.state is State.RUNNING]
        shown += [each for each in lines if each.state is State.FAILED]
        width = max((len(each.name) for each in shown), default=0)
        table = [f"{self._summary(lines)}, {duration(self._clock() - self._began)}"]
        table += [
            f"  {each.state.value:8} {each.name:{width}} "
            f"{duration(each.seconds):>11}  {each.note}"
            for each in shown[: max(0, rows - _HEAD)]
        ]
        # Back to the table's first line, and everything from there on cleared.
        back = f"\x1b[{self._height}F\x1b[J" if self._height else ""
        text = "".join(f"{line[: columns - 1]}\n" for line in table)
        self._stream.write(back + text)
        self._stream.flush()
        self._height = len(table)

    def _tell(self, lines: Sequence[Line]) -> None:
        over = {
            each.name: each
            for each in lines
            if each.state in (State.FINISHED, State.FAILED)
        }
        if self._told is None:
            self._told = set(over)
            self._stream.write(f"{self._summary(lines)}\n")
        for name in sorted(over.keys() - self._told):
            each = over[name]
            note = f": {each.note}" if each.state is State.FAILED else ""
            self._stream.write(
                f"{self._name}: {len(self._told) + 1}/{len(lines)} over: {name} "
                f"{each.state.value} after {duration(each.seconds)}{note}\n"
            )
            self._told.add(name)
        self._stream.flush()

    def _summary(self, lines: Sequence[Line]) -> str:
        counts = collections.Counter(each.state for each in lines)
        states = [f"{counts[state]} {state.value}" for state in State if counts[state]]
        return f"{self._name}: {', '.join([f'{len(lines)} runs', *states])}"
