"""Flags for settings: fractions, and more than one type (`int | None`, `Literal`)."""

import ast
import math
import types
import typing
from collections.abc import Callable
from typing import Any

from absl import flags

_FRACTION = " (as 0.03 or 8/255)"
_NAMES: dict[Any, str] = {
    types.NoneType: "none",
    bool: "true or false",
    int: "a whole number",
    float: f"a number{_FRACTION}",
    str: "a text",
}

# The flags belong to the launcher that asks for them, and so to its --help.
flags.disclaim_key_flags()


def define(
    name: str, hint: Any, default: Any, meaning: str, values: flags.FlagValues
) -> None:
    """Defines the flag of a setting.

    Args:
        name: the flag's.
        hint: what the setting's field says it is.
        default: its value where the flag is not given.
        meaning: its help.
        values: where to define it.
    """
    if hint is bool:
        flags.DEFINE_bool(name, default, meaning, flag_values=values)
    else:
        parser = _Parser(hint, _described(hint))
        flags.DEFINE(parser, name, default, meaning, flag_values=values)


def parse(hint: Any, text: str) -> Any:
    """Reads a setting.

    Args:
        hint: a plain type, `Literal`, None, a tuple, or a union of these.
        text: what the user wrote.

    Returns:
        The value, by the first alternative that fits.

    Raises:
        ValueError: none fits; the message says which there are.

    Example:
        >>> parse(float | None, "none"), parse(float | None, "0.5"), parse(float, "1/4")
        (None, 0.5, 0.25)
        >>> parse(typing.Literal["l2", "linf"], "l3")
        Traceback (most recent call last):
        ...
        ValueError: 'l3' is not one of: l2, linf
    """
    why = ""
    for alternative in _alternatives(hint):
        try:
            if text == alternative:
                return text
            if alternative is types.NoneType and text.lower() == "none":
                return None
            if typing.get_origin(alternative) is tuple:
                return _tuple(alternative, text)
            if alternative in _READERS:
                return _READERS[alternative](text)
        except (SyntaxError, TypeError, ValueError):
            continue
        except ZeroDivisionError:
            why = ", which divides by 0,"
    raise ValueError(f"{text!r}{why} is not one of: {_described(hint)}")


class _Parser(flags.ArgumentParser[Any]):
    def __init__(self, hint: Any, description: str) -> None:
        # absl keeps one parser for equal arguments, and Literals are equal whatever
        # their order: the description tells them apart.
        super().__init__()
        self._hint = hint
        self.syntactic_help = description

    def parse(self, argument: Any) -> Any:
        return parse(self._hint, argument) if isinstance(argument, str) else argument

    def flag_type(self) -> str:
        return self.syntactic_help


def _alternatives(hint: Any) -> list[Any]:
    """Types, and the words of `Literal`s."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(hint) for one in _alternatives(part)]
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [hint]


def _described(hint: Any) -> str:
    described = []
    for one in _alternatives(hint):
        if typing.get_origin(one) is tuple:
            each = _FRACTION if _kind(one) is float else ""
            described.append(f"numbers{each} with commas between")
        elif isinstance(one, str) or one in _NAMES:
            described.append(one if isinstance(one, str) else _NAMES[one])
    return ", ".join(described)


def _kind(hint: Any) -> Any:
    """What a tuple holds."""
    return _alternatives(typing.get_args(hint)[0])[0]


def _tuple(hint: Any, text: str) -> tuple[Any, ...]:
    kind = _kind(hint)
    if kind not in _READERS:
        return tuple(ast.literal_eval(text))
    words = text.strip("()[]").split(",")
    return tuple(_READERS[kind](word.strip()) for word in words if word)


def _number(text: str) -> float:
    """Reads a number, or a fraction of two."""
    number, slash, divisor = text.partition("/")
    if not slash:
        return float(text)
    parts = float(number), float(divisor)
    if not all(map(math.isfinite, parts)):
        raise ValueError(f"{text} is no fraction of finite numbers")
    return parts[0] / parts[1]


_READERS: dict[Any, Callable[[str], Any]] = {
    bool: flags.BooleanParser().parse,
    int: int,
    float: _number,
    str: str,
}
