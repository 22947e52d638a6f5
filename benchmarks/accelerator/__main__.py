"""The command line; see the package."""

import argparse
import contextlib
import faulthandler
import json
import pathlib
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from benchmarks import accelerator
from benchmarks.accelerator import size, work
from zeroone_jax import runs

ROOT = pathlib.Path(__file__).parents[2]
GRACE = 60
"""Seconds after the time is up in which what runs may end by itself."""


class TimeIsUp(KeyboardInterrupt):
    """The minutes are over: what goes on after Ctrl-C goes on after this."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises `TimeIsUp` once the seconds are over; later ends the process."""

    def stop(*_: Any) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    # No signal ends a compilation.
    faulthandler.dump_traceback_later(seconds + GRACE, exit=True)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def measure(
    names: Sequence[str],
    sizes: size.Size,
    data: str,
    folder: pathlib.Path,
    out: pathlib.Path,
    seconds: float,
) -> bool:
    """Measures what is missing, in order, until the time is up.

    Args:
        names: of `work.MEASUREMENTS`.
        sizes: how large everything is.
        data: the images to train on.
        folder: where runs lie.
        out: the file of results, by hardware and name.
        seconds: how long.

    Returns:
        Whether everything is done.
    """
    session = runs.session(runs.git_revision(pathlib.Path(__file__)))
    stored = runs.read_json(out) if out.exists() else {}
    known = stored.setdefault(session["device"], {})
    missing = [name for name in names if not known.get(name, {}).get("done")]
    try:
        with within(seconds):
            for name in missing:
                before = known.get(name, {}).get("seconds_in_all", 0.0)
                began = time.monotonic()
                figures = {"done": False}
                try:
                    setting = size.Setting(sizes, data, folder, known)
                    figures = {"done": True, **work.MEASUREMENTS[name](setting)}
                # What fails, for want of memory or data, must not keep the rest back.
                except Exception as error:
                    figures["error"] = f"{type(error).__name__}: {error}"[:500]
                finally:
                    spent = round(before + time.monotonic() - began, 1)
                    known[name] = {**figures, "seconds_in_all": spent, **session}
                    runs.write_json(out, stored)
                    print(name, json.dumps(known[name]), flush=True)
    except TimeIsUp:
        print("the time is up: the same command goes on")
        return False
    return all(known[name]["done"] for name in names)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures what is named, by default everything."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator",
        description=accelerator.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = list(work.MEASUREMENTS)
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(choices)}")
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--smoke", action="store_true", help="everything tiny")
    parser.add_argument("--data", default="cifar10", help="data set or .npz file")
    parser.add_argument(
        "--folder", type=pathlib.Path, default=ROOT / "runs" / "accelerator"
    )
    parser.add_argument(
        "--out", type=pathlib.Path, default=ROOT / "results" / "accelerator.json"
    )
    options = parser.parse_args(argv)
    unknown = ", ".join(sorted(set(options.names) - set(choices)))
    if unknown:
        parser.error(f"{unknown}: not one of {', '.join(choices)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.smoke:
        cache = str(options.folder / "compiled")
        jax.config.update("jax_compilation_cache_dir", cache)
    measure(
        options.names or choices,
        size.SMOKE if options.smoke else size.FULL,
        options.data,
        options.folder,
        options.out,
        60 * options.minutes,
    )


if __name__ == "__main__":
    main()
