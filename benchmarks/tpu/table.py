"""The table of what was compiled."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zeroone_jax import runs
from zeroone_jax.evaluation import tables

RESULTS = pathlib.Path(__file__).parents[2] / "results" / "tpu"


def stored(folder: pathlib.Path, names: Iterable[str]) -> list[dict[str, Any]]:
    """What of these programs was compiled, in their order."""
    paths = (folder / f"{file_name(name)}.json" for name in names)
    return [runs.read_json(path) for path in paths if path.exists()]


def file_name(program: str) -> str:
    """What a program's file is called, without its suffix."""
    return program.replace("/", "-")


def table(measured: Sequence[Mapping[str, Any]], programs: int) -> tables.Table:
    """A row for each program that was compiled, of so many."""
    return tables.Table(
        f"Compiled for TPU v5e: {len(measured)} of {programs} programs",
        (
            "program",
            "chips",
            "fits 16 GB",
            "MB a chip",
            "compiling: CPU s",
            "GFLOP",
            "GB moved",
            "collectives",
            "MB of them",
        ),
        [_row(one) for one in measured],
    )


def _row(one: Mapping[str, Any]) -> list[Any]:
    collectives = one.get("collectives", {})
    kinds = ", ".join(f"{c['count']} {name}" for name, c in collectives.items())
    moved = sum(c["bytes"] for c in collectives.values())

    def figure(name: str, unit: float) -> str | None:
        return f"{one[name] / unit:.3g}" if name in one else None

    return [
        one["program"],
        one["chips"],
        "yes" if one["fits"] else "no",
        figure("bytes", 1e6),
        f"{one['compile_processor_seconds']:.0f}",
        figure("flops", 1e9),
        figure("bytes_accessed", 1e9),
        kinds or None,
        f"{moved / 1e6:.3g}" if moved else None,
    ]
