"""A run's settings: config.json, and how two of them differ."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from zeroone_jax import files, tagged

CONFIG = "config.json"
REMEDY = (
    "choose another directory, or copy the file from a run that was begun with the "
    "same settings"
)


def read_settings(directory: pathlib.Path) -> dict[str, Any]:
    """Reads the settings of a run directory, which need not be open.

    Raises:
        FileNotFoundError: there are none.
        files.DamagedError: config.json is damaged.
    """
    return files.read_json(directory / CONFIG, REMEDY)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Says which settings differ, by their dotted names.

    Settings stored before their classes had a type in JSON, or some of their fields,
    count as what they meant.

    Args:
        old: settings read from a run directory.
        new: settings, of JSON's types or tuples.

    Returns:
        A text for each setting that differs; none if they are the same.
    """
    # Through JSON, so that tuples compare equal to the lists they became.
    new = json.loads(json.dumps(new))
    before, now = _flatten(_as_of_now(old, new)), _flatten(new)
    return [
        f"{name} is {before.get(name)!r} there, {now.get(name)!r} here"
        for name in sorted(before.keys() | now.keys())
        if name not in before or name not in now or before[name] != now[name]
    ]


def _as_of_now(old: Any, new: Any) -> Any:
    """Old settings in the form of the new ones, as far as they can be read."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return old
    if tagged.TYPE in new:
        try:
            kind = type(tagged.from_json(new))
            return tagged.to_json(tagged.from_json(old, kind))
        except (TypeError, ValueError):
            return old
    return {name: _as_of_now(value, new.get(name)) for name, value in old.items()}


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
