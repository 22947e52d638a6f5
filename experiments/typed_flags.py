"""Flags for settings of more than one type: `int | None`, `Literal["a", "b"]`."""

import types
import typing
from typing import Any

from absl import flags
from ml_collections import config_flags

_PLAIN: tuple[type, ...] = (bool, int, float, str, tuple)


def flag_type(hint: Any) -> Any:
    """Finds the type by which ml_collections' flags know how to read a setting.

    Args:
        hint: what the setting's field says it is.

    Returns:
        The hint itself where the flags can read it or where it is a dataclass;
        otherwise a new type, registered with a parser of the hint.

    Example:
        >>> flag_type(tuple[int, ...]), flag_type(float)
        (tuple[int, ...], <class 'float'>)
    """
    alternatives = typing.get_origin(hint) in (typing.Union, types.UnionType)
    literal = typing.get_origin(hint) is typing.Literal
    if not alternatives and not literal:
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
        >>> parse(float | None, "none"), parse(float | None, "0.5")
        (None, 0.5)
        >>> parse(typing.Literal["l2", "linf"], "l3")
        Traceback (most recent call last):
        ...
        ValueError: 'l3' is not one of: l2, linf
    """
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
                kind = typing.get_args(alternative)[0]
                return tuple(_plain(kind, word.strip()) for word in words if word)
            except ValueError:
                continue
        elif alternative in _PLAIN:
            try:
                return _plain(alternative, text)
            except ValueError:
                continue
    raise ValueError(f"{text!r} is not one of: {_described(hint)}")


class _Parser(flags.ArgumentParser):
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
    names = {types.NoneType: "none", int: "a whole number", float: "a number"}
    described = []
    for one in _alternatives(hint):
        if isinstance(one, str):
            described.append(one)
        elif typing.get_origin(one) is tuple:
            described.append("numbers with commas between")
        elif one in names:
            described.append(names[one])
    return ", ".join(described)


def _plain(kind: type, text: str) -> Any:
    if kind is bool:
        return flags.BooleanParser().parse(text)
    return kind(text)
