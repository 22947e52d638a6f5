import io
import logging
import sys

from zeroone_jax.data.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_one_line_is_rewritten(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress()
    for done in (0, 1, 500, 504, 1_000):
        progress("fetching", done, 1_000)
    shown = terminal.getvalue().split("\r\x1b[K")
    assert shown == ["", "fetching 0%", "fetching 50%", "fetching 100%\n"]


def test_in_a_log_each_stage_is_said_once(caplog):
    progress = Progress()
    with caplog.at_level(logging.INFO):
        for stage in ("fetching", "encoding"):
            for done in range(10):
                progress(stage, done, 0)
    assert caplog.messages == ["fetching", "encoding"]
