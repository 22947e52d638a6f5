"""The command line; see the package."""

import argparse
import json
import pathlib
import time

from benchmarks import tpu
from benchmarks.tpu import environment

environment.pretend()

# ruff: noqa: E402, what follows imports JAX
from benchmarks.tpu import programs, reading, table, topology
from zeroone_jax import runs
from zeroone_jax.evaluation import tables


def main() -> None:
    """Compiles what is not compiled yet, and prints the table of all."""
    parser = argparse.ArgumentParser(
        description=tpu.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="beginnings of names; all if none")
    parser.add_argument("--quick", action="store_true", help="one small one a kind")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--out", type=pathlib.Path, default=table.RESULTS)
    parser.add_argument("--table", action="store_true", help="compile nothing")
    options = parser.parse_args()
    began = time.monotonic()
    wanted = tuple(options.names) or ("",)
    everything = programs.quick() if options.quick else programs.programs()
    for name, program in everything.items():
        path = options.out / f"{table.file_name(name)}.json"
        if options.table or path.exists() or not name.startswith(wanted):
            continue
        if time.monotonic() - began > 60 * options.minutes:
            break
        begun = path.with_suffix(".begun")
        if begun.exists():
            print(
                f"{name}: the compiler ended the process; to try again remove {begun}"
            )
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        begun.touch()
        try:
            with topology.alone():
                found = measure(program)
        finally:
            # Left where the process is ended, so that the next call passes on.
            begun.unlink()
        found |= runs.session(runs.git_revision(pathlib.Path(__file__)))
        runs.write_json(path, {"program": name, **found})
        print(name, json.dumps(found), flush=True)
    stored = table.stored(options.out, everything)
    print(tables.markdown(table.table(stored, len(everything))))


def measure(program: programs.Program) -> dict[str, object]:
    """Compiles a program, and tells what is stored of it."""
    began = time.perf_counter()
    lowered = program.lower(topology.chips(program.chips))
    traced = time.perf_counter() - began
    return {
        "chips": program.chips,
        "trace_seconds": round(traced, 1),
        "float64": "f64" in lowered.as_text(),
        **reading.figures(topology.compiled(lowered)),
    }


if __name__ == "__main__":
    main()
