"""Progress of long work: a line on a terminal, one message a stage in a log."""

import sys

from absl import logging


class Progress:
    """Shows how far a stage is.

    On a terminal one line of standard error is rewritten; elsewhere each stage
    logs one message at level info, so that logs stay quiet.
    """

    def __init__(self) -> None:
        self._stage = ""
        self._percent = -1

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Reports that `done` of `total`, in any unit, of a stage is finished.

        A stage is called as in "fetching train.gz"; a total of 0 is an unknown one.
        """
        percent = 100 * done // total if total else 0
        if (stage, percent) == (self._stage, self._percent):
            return
        if sys.stderr.isatty():
            line_end = "\n" if done == total else ""
            sys.stderr.write(f"\r\x1b[K{stage} {percent}%{line_end}")
            sys.stderr.flush()
        elif stage != self._stage:
            logging.info("%s", stage)
        self._stage, self._percent = stage, percent
