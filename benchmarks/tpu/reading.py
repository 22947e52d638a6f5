"""What a compiled program tells: memory, operations, collectives."""

import collections
import math
import re
from typing import Any

from benchmarks.tpu.topology import BYTES_A_CHIP, Compiled

_BITS = {"pred": 8, "bf16": 16}
_COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
# `%name = TYPE opcode(`, where an asynchronous one has two parts, of which one counts.
_OPERATION = re.compile(
    rf"^\s*(?:ROOT )?%\S+ = (.*?) ({'|'.join(_COLLECTIVES)})(?:-start)?\(", re.MULTILINE
)
_ARRAY = re.compile(r"([a-z]+\d*\w*)\[([\d,]*)\]")


def figures(result: Compiled) -> dict[str, Any]:
    """Reads what is stored of a program.

    Args:
        result: of compiling it.

    Returns:
        Whether it fits a chip; seconds; and where it fits the bytes a chip needs,
        operations and bytes moved a chip in one pass through every loop's body, and the
        collectives by name: how many, and how many bytes a chip gets of them.
    """
    known = {
        "fits": result.program is not None,
        "compile_seconds": round(result.seconds, 1),
        "compile_processor_seconds": round(result.processor_seconds, 1),
    }
    if result.program is None:
        return {**known, "refusal": result.refusal.partition("\n\n")[0]}
    memory = result.program.memory_analysis()
    needed = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.generated_code_size_in_bytes
    )
    cost = result.program.cost_analysis()
    return {
        **known,
        "fits": needed <= BYTES_A_CHIP,
        "bytes": needed,
        "temporary_bytes": memory.temp_size_in_bytes,
        "code_bytes": memory.generated_code_size_in_bytes,
        "flops": cost.get("flops", 0.0),
        "bytes_accessed": cost.get("bytes accessed", 0.0),
        "collectives": collectives(result.program.as_text()),
    }


def collectives(text: str) -> dict[str, dict[str, int]]:
    """Counts the collectives in a compiled program's text.

    Args:
        text: of the program, as XLA prints it.

    Returns:
        Of each kind that is there how many, and the bytes of their results.

    Example:
        >>> collectives("  %sum = (f32[2,3]{1,0}, f32[]) all-reduce(%a, %b), to=%add")
        {'all-reduce': {'count': 1, 'bytes': 28}}
    """
    found: dict[str, dict[str, int]] = collections.defaultdict(
        lambda: {"count": 0, "bytes": 0}
    )
    for kind, opcode in _OPERATION.findall(text):
        found[opcode]["count"] += 1
        found[opcode]["bytes"] += sum(
            math.prod(map(int, filter(None, shape.split(",")))) * _bytes(dtype)
            for dtype, shape in _ARRAY.findall(re.sub(r"\{[^}]*\}", "", kind))
        )
    return {name: dict(found[name]) for name in sorted(found)}


def _bytes(dtype: str) -> int:
    bits = _BITS.get(dtype) or int("".join(filter(str.isdigit, dtype)) or 0)
    return -(-bits // 8)
