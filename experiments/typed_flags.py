"""Flags for settings: fractions, and more than one type (`int | None`, `Literal`)."""

import math
import types
import typing
from typing import Any

from absl import flags
from ml_collections import config_flags

_PLAIN: tuple[type, ...] = (bool, int, float, str, tuple)
_NUMBER = "a number (as 0.03 or 8/255)"


def flag_type(hint: Any) -> Any:
    """Finds the type by which ml_collections' flags know how to read a setting.

    Args:
        hint: what the setting's field says it is.

    Returns:
        The hint itself where the flags can read it or where it is a dataclass;
        otherwise a new type, registered with a parser of the hint.

    Example:
        >>> flag_type(tuple[int, ...]), flag_type(str), flag_type(float) is float
        (tuple[int, ...], <class 'str'>, False)
    """
    alternatives = typing.get_origin(hint) in (typing.Union, types.UnionType)
    literal = typing.get_origin(hint) is typing.Literal
    # The flags' own parser of numbers knows no fractions.
    fractions = _has_numbers(hint)
    if not alternatives and not literal and not fractions:
        return hint
    return config_flags.register_flag_parser_for_type(
        type(str(hint), (), {}), _Parser(hint, _described(hint))
    )


def parse(hint: Any, text: str) -> Any:
    """Reads a setting.

    Args:
        hint: a plain type, `Literal`, None, a tuple of one plain type, or a union.
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
        if isinstance(alternative, str):
            if text == alternative:
                return text
        elif alternative is types.NoneType:
            if text.lower() == "none":
                return None
        elif typing.get_origin(alternative) is tuple:
            try:
                words = text.strip("()[]").split(",")
                kind = _alternatives(typing.get_args(alternative)[0])[0]
                return tuple(_plain(kind, word.strip()) for word in words if word)
            except ValueError:
                continue
            except ZeroDivisionError:
                why = ", which divides by 0,"
        elif alternative in _PLAIN:
            try:
                return _plain(alternative, text)
            except ValueError:
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


def _has_numbers(hint: Any) -> bool:
    return hint is float or any(map(_has_numbers, typing.get_args(hint)))


def _alternatives(hint: Any) -> list[Any]:
    """Types, and the words of `Literal`s."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(hint) for one in _alternatives(part)]
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [hint]


def _described(hint: Any) -> str:
    names = {types.NoneType: "none", int: "a whole number", float: _NUMBER}
    described = []
    for one in _alternatives(hint):
        if isinstance(one, str):
            described.append(one)
        elif typing.get_origin(one) is tuple:
            kind = _alternatives(typing.get_args(one)[0])[0]
            each = " (as 0.03 or 8/255)" if kind is float else ""
            described.append(f"numbers{each} with commas between")
        elif one in names:
            described.append(names[one])
    return ", ".join(described)


def _plain(kind: type, text: str) -> Any:
    if kind is bool:
        return flags.BooleanParser().parse(text)
    return _number(text) if kind is float else kind(text)


def _number(text: str) -> float:
    """Reads a number, or a fraction of two."""
    number, slash, divisor = text.partition("/")
    if not slash:
        return float(text)
    parts = float(number), float(divisor)
    if not all(map(math.isfinite, parts)):
        raise ValueError(f"{text} is no fraction of finite numbers")
    return parts[0] / parts[1]
