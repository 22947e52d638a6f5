"""A run's settings: config.json, and how two of them differ."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from zeroone_jax import files

CONFIG = "config.json"
REMEDY = (
    "choose another directory, or copy the file from a run that was begun with the "
    "same settings"
)


def read_settings(directory: pathlib.Path) -> dict[str, Any]:
    """Reads the settings of a run, which need not be open.

    Args:
        directory: the run directory.

    Returns:
        The settings, of JSON's types.

    Raises:
        FileNotFoundError: there are none.
        files.DamagedError: config.json is damaged.
    """
    return files.read_json(directory / CONFIG, REMEDY)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Says which settings differ, by their dotted names.

    Args:
        old: settings read from a run directory.
        new: settings, of JSON's types or tuples.

    Returns:
        A text for each setting that differs; none if they are the same.
    """
    # Through JSON, so that tuples compare equal to the lists they became.
    before, now = _flatten(old), _flatten(json.loads(json.dumps(new)))
    return [
        f"{name} is {before.get(name)!r} there, {now.get(name)!r} here"
        for name in sorted(before.keys() | now.keys())
        if name not in before or name not in now or before[name] != now[name]
    ]


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
