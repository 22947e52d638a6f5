"""Settings as JSON: dataclasses as their fields and the name of their class.

Example:
    >>> @register("point")
    ... @dataclasses.dataclass(frozen=True)
    ... class Point:
    ...     place: tuple[int, ...] = (0, 0)
    >>> to_json(Point((3, 4)))
    {'type': 'point', 'place': [3, 4]}
    >>> from_json(to_json(Point((3, 4))))
    Point(place=(3, 4))
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Settings = TypeVar("Settings")

TYPE = "type"
"""Where an object of JSON has the name of its class."""

_CLASSES: dict[str, type] = {}
_NAMES: dict[type, str] = {}


def register(name: str) -> Callable[[type[Settings]], type[Settings]]:
    """Gives a dataclass the name that it has in JSON, for good.

    A decorator, which goes above that of the dataclass. It raises ValueError where
    another class has the name.
    """

    def named(settings: type[Settings]) -> type[Settings]:
        known = _CLASSES.get(name, settings)
        # A module that is loaded again defines its classes again.
        if (known.__module__, known.__qualname__) != (
            settings.__module__,
            settings.__qualname__,
        ):
            raise ValueError(f"{name!r} is the name of {known.__qualname__} already")
        _CLASSES[name] = settings
        _NAMES[settings] = name
        return settings

    return named


def name_of(settings: type) -> str:
    """The name that a class was registered by, or its own."""
    return _NAMES.get(settings, settings.__name__)


def to_json(settings: Any) -> Any:
    """Gives settings as JSON's types.

    Args:
        settings: a registered dataclass of numbers, texts, None, tuples of them and
            registered dataclasses; or any of these.

    Returns:
        What `from_json` reads; a new object of dictionaries and lists.

    Raises:
        TypeError: there is something else in them.
    """
    if settings is None or isinstance(settings, bool | int | float | str):
        return settings
    # Named tuples would come back as plain ones.
    if type(settings) is tuple:
        return [to_json(value) for value in settings]
    if type(settings) not in _NAMES:
        raise TypeError(
            f"settings hold a {type(settings).__qualname__}, but can be stored only of "
            "numbers, texts, None, tuples of them and registered dataclasses"
        )
    fields = dataclasses.fields(settings)
    values = {field.name: to_json(getattr(settings, field.name)) for field in fields}
    return {TYPE: _NAMES[type(settings)], **values}


def from_json(value: Any, kind: Any = Any) -> Any:
    """Reads what `to_json` gave, now or at any time before.

    Fields that a class did not have then get their defaults.

    Args:
        value: of JSON's types.
        kind: what it should be, a type as fields have it. Objects stored before types
            were are of the one registered class of that kind whose name they have as
            their "name", or which has all their fields.

    Returns:
        The settings; lists come back as tuples.

    Raises:
        ValueError: an object is of no class, or has fields that its class has not, or
            values out of their range.
    """
    if isinstance(value, list | tuple):
        return tuple(from_json(each) for each in value)
    if not isinstance(value, Mapping):
        return value
    settings, fields = _recognised(dict(value), kind)
    hints = typing.get_type_hints(settings)
    unknown = ", ".join(fields.keys() - {f.name for f in dataclasses.fields(settings)})
    if unknown:
        raise ValueError(f"{_NAMES[settings]!r} has no settings called {unknown}")
    return settings(
        **{name: from_json(each, hints[name]) for name, each in fields.items()}
    )


def _recognised(value: dict[str, Any], kind: Any) -> tuple[Any, dict[str, Any]]:
    """Finds an object's class, and its fields."""
    if TYPE in value:
        name = value.pop(TYPE)
        if name not in _CLASSES:
            raise ValueError(f"{name!r} is not one of: {', '.join(sorted(_CLASSES))}")
        return _CLASSES[name], value
    is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    kinds = typing.get_args(kind) if is_union else (kind,)
    kinds = tuple(one for one in kinds if isinstance(one, type))
    own = {
        settings: {field.name for field in dataclasses.fields(settings)}
        for settings in _NAMES
        if issubclass(settings, kinds)
    }
    fitting = [settings for settings, names in own.items() if value.keys() <= names]
    if not fitting and "name" in value:
        name = value.pop("name")
        fitting = [settings for settings in own if settings.__name__ == name]
    # A class itself goes before those that extend it.
    fitting = [settings for settings in fitting if settings in kinds] or fitting
    if len(fitting) != 1:
        raise ValueError(f"settings {value} are without their {TYPE!r}")
    return fitting[0], value
