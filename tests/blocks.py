"""Code blocks of pages in Markdown, executed as a reader would: from top to bottom.

JAX has its default settings, not the strict ones of the tests.

Every block of Python runs, unless a comment in the line before it, as a rule with an
empty line between, says otherwise:

    <!-- not run: why -->   this block does not run
    <!-- needs: NAME -->    this block runs where the package is installed
    <!-- slow: why -->      tests of this page are slow
    <!-- computes: why -->  the same, for what it computes more than for compiling

A block of text directly below is what it must print.
"""

import contextlib
import importlib.util
import io
import math
import pathlib
import re
from typing import Any, NamedTuple

import jax

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>not run|needs|slow|computes): (?P<why>[^\n]*) -->\n\n?)?"
    r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<output>.*?)```\n)?",
    re.DOTALL,
)
_NUMBER = re.compile(r"-?\d*\.?\d+(?:e-?\d+)?")
# Compilers and threads round in their own ways, and training carries that on.
_RELATIVE, _ABSOLUTE = 0.15, 0.08


class Block(NamedTuple):
    """A block of code.

    Attributes:
        line: where it begins in the page.
        mark: the comment before it, "" for none.
        why: what the comment says.
        code: the code.
        output: what it must print; None where the page does not say.
    """

    line: int
    mark: str
    why: str
    code: str
    output: str | None


def of(page: pathlib.Path) -> list[Block]:
    """Finds the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            text.count("\n", 0, found.start("code")),
            found["mark"] or "",
            found["why"] or "",
            found["code"],
            found["output"],
        )
        for found in _BLOCK.finditer(text)
    ]


def run(page: pathlib.Path) -> None:
    """Executes a page.

    Raises:
        AssertionError: a block prints something else than the page says.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in of(page):
        is_missing = block.mark == "needs" and not importlib.util.find_spec(block.why)
        if block.mark == "not run" or is_missing:
            continue
        printed = io.StringIO()
        # Errors then name the page and its line.
        code = compile("\n" * block.line + block.code, str(page), "exec")
        with (
            contextlib.redirect_stdout(printed),
            jax.numpy_dtype_promotion("standard"),
            jax.numpy_rank_promotion("allow"),
        ):
            exec(code, names)
        if block.output is not None:
            assert alike(printed.getvalue(), block.output), (
                f"{page}, line {block.line}: printed\n{printed.getvalue()}"
                f"instead of\n{block.output}"
            )


def alike(printed: str, expected: str) -> bool:
    """Whether texts have the same words, and numbers that are nearly the same."""
    words, numbers = _parts(printed)
    expected_words, expected_numbers = _parts(expected)
    return (
        words == expected_words
        and len(numbers) == len(expected_numbers)
        and all(
            math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
            for one, other in zip(numbers, expected_numbers, strict=True)
        )
    )


def _parts(text: str) -> tuple[list[str], list[float]]:
    words = _NUMBER.sub(" # ", text).replace("[", " [ ").replace("]", " ] ").split()
    return words, [float(number) for number in _NUMBER.findall(text)]
