"""Progress of long work: one line on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from zeroone_jax import hosts

_SECONDS_BETWEEN_LOG_LINES = 30.0


class Progress:
    """Shows how far work is, how fast it goes and how long it will take.

    On a terminal one line is rewritten in place. Elsewhere a line is written at most
    every half minute, and one at the end. Of many hosts only the first one writes.
    """

    def __init__(
        self,
        name: str,
        total: int,
        start: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins to count.

        Args:
            name: what is being done.
            total: steps in all.
            start: steps that an earlier session did.
            stream: where to write; None is standard error.
            clock: seconds from any origin.
        """
        self._name = name
        self._total = total
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        # The first report ends with compilation behind it: rates count from there.
        self._origin = (start, clock())
        self._first_report = True
        self._written: float | None = None

    def report(self, done: int, note: str = "") -> None:
        """Says how many steps are done, and what else to show."""
        if not hosts.is_first():
            return
        now = self._clock()
        text = self._describe(done, now, note)
        if self._first_report:
            self._origin, self._first_report = (done, now), False
        if self._stream.isatty():
            ending = "\n" if done >= self._total else ""
            self._stream.write(f"\r\x1b[K{text}{ending}")
            self._stream.flush()
        elif (
            done >= self._total
            or self._written is None
            or now - self._written >= _SECONDS_BETWEEN_LOG_LINES
        ):
            self._stream.write(f"{text}\n")
            self._stream.flush()
            self._written = now

    def _describe(self, done: int, now: float, note: str) -> str:
        start, began = self._origin
        rate = (done - start) / max(now - began, 1e-9)
        parts = [
            f"{self._name}: {done}/{self._total} ({100 * done // self._total}%)",
            f"{rate:.1f}/s",
        ]
        if 0 < done < self._total and rate > 0:
            parts.append(f"{duration((self._total - done) / rate)} left")
        return ", ".join([*parts, note] if note else parts)


def duration(seconds: float) -> str:
    """Writes a time for people.

    Example:
        >>> duration(75), duration(3), duration(7300)
        ('1 min 15 s', '3 s', '2 h 01 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
