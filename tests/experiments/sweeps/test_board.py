import io
import os

from experiments.sweeps.board import Board, Line
from experiments.sweeps.process import State


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def lines(*states: State) -> list[Line]:
    return [
        Line(f"seed={seed}", state, 3.0, "see it.log" + 99 * "!")
        for seed, state in enumerate(states)
    ]


def test_a_log_gets_a_line_for_each_run_that_is_over():
    log = io.StringIO()
    board = Board("smoke", log)
    board.show(lines(State.FINISHED, State.WAITING, State.WAITING))
    board.show(lines(State.FINISHED, State.RUNNING, State.WAITING))
    board.show(lines(State.FINISHED, State.FAILED, State.RUNNING))
    board.show(lines(State.FINISHED, State.FAILED, State.FINISHED), is_last=True)
    assert log.getvalue().splitlines() == [
        "smoke: 3 runs, 2 waiting, 1 finished",
        f"smoke: 2/3 over: seed=1 failed after 3 s: see it.log{99 * '!'}",
        "smoke: 3/3 over: seed=2 finished after 3 s",
    ]


def test_a_terminal_gets_a_table_in_place(monkeypatch):
    size = os.terminal_size((54, 3))
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: size)
    terminal, clock = Terminal(), Clock()
    board = Board("smoke", terminal, clock)
    board.show(lines(State.RUNNING, State.FAILED, State.WAITING))
    first = terminal.getvalue()
    assert first.splitlines() == [
        "smoke: 3 runs, 1 waiting, 1 running, 1 failed, 0 s",
        f"  running  seed=0         3 s  see it.log{12 * '!'}",
    ]
    # Too early to draw again, but for the end.
    board.show(lines(State.FINISHED, State.FAILED, State.RUNNING))
    assert terminal.getvalue() == first
    clock.seconds = 75
    board.show(lines(State.FINISHED, State.FAILED, State.FINISHED), is_last=True)
    assert terminal.getvalue()[len(first) :].splitlines() == [
        "\x1b[2F\x1b[Jsmoke: 3 runs, 1 failed, 2 finished, 1 min 15 s",
        f"  failed   seed=1         3 s  see it.log{12 * '!'}",
    ]
