import io

from experiments.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_log_gets_a_line_now_and_then_and_the_last_one():
    clock, log = Clock(), io.StringIO()
    progress = Progress("training", 100, stream=log, clock=clock)
    for done in range(1, 101):
        clock.seconds += 1
        progress.report(done)
    shown = [line.split("/")[0] for line in log.getvalue().splitlines()]
    assert shown == [f"training: {done}" for done in (1, 31, 61, 91, 100)]


def test_a_terminal_gets_one_line_in_place():
    terminal = Terminal()
    progress = Progress("training", 3, stream=terminal)
    for done in (1, 2, 3):
        progress.report(done, "accuracy 0.5")
    text = terminal.getvalue()
    assert text.count("\r") == 3
    assert text.count("\n") == 1
    assert text.endswith(
        "training: 3/3 (100%), " + text.rsplit(", ", 2)[1] + ", accuracy 0.5\n"
    )


def test_the_estimate_leaves_compilation_out():
    clock, log = Clock(), io.StringIO()
    progress = Progress("training", 1000, stream=log, clock=clock)
    clock.seconds = 60
    progress.report(200)
    clock.seconds = 100
    progress.report(600)
    assert log.getvalue().splitlines()[1] == (
        "training: 600/1000 (60%), 10.0/s, 40 s left"
    )


def test_a_resumed_run_counts_only_its_own_steps():
    clock, log = Clock(), io.StringIO()
    progress = Progress("training", 1000, start=800, stream=log, clock=clock)
    clock.seconds = 10
    progress.report(900)
    assert log.getvalue() == "training: 900/1000 (90%), 10.0/s, 10 s left\n"
