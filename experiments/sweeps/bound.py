"""Runs a command that ends when its parent does, however the parent ends.

    python bound.py PARENT COMMAND...

A lost node of a cluster, or a sweep that is killed, must not leave runs behind that
nobody waits for: they would hold their run directories against those that take their
place. Linux only; elsewhere the command just runs.
"""

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1


def main() -> None:
    """Becomes the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != int(parent):
            # It ended before it could be watched.
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
