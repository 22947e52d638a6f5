"""What launchers share: flags, among them a preset's fields, and users' errors."""

import dataclasses
import inspect
import logging
import os
import re
import sys
import textwrap
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import absl.logging
import jax
from absl import app, flags

from zeroone_jax import data, runs

from . import typed_flags

Settings = TypeVar("Settings")
Defined = TypeVar("Defined")


class UserError(Exception):
    """What the user asked for cannot be done; the message says why."""


# The flags belong to the launcher that asks for them, and so to its --help.
flags.disclaim_key_flags()


def module(launcher: str) -> str:
    """The name by which `python -m` knows a launcher, in a checkout or installed.

    Args:
        launcher: its file's name.
    """
    return f"{__package__}.{launcher}"


def define_settings(
    presets: Mapping[str, Callable[[], Settings]],
    argv: Sequence[str],
    flag_values: flags.FlagValues = flags.FLAGS,
) -> Callable[[], Settings]:
    """Defines --preset=NAME and --config.FIELD=VALUE for each field of the settings.

    Args:
        presets: functions that make frozen dataclasses, perhaps nested, as for
            `define_choice`.
        argv: the command line, whose preset and fields decide which flags there are.
        flag_values: where to define them.

    Returns:
        A function that gives the settings once flags are parsed. It raises
        `UserError` where they do not go together.

    Raises:
        flags.Error: an unknown preset or field, or a value of the wrong type.
    """
    chooser = flags.FlagValues()
    # Values of flags that are not known yet must not end the search.
    chooser.set_gnu_getopt(True)
    for values in (chooser, flag_values):
        define_choice("preset", presets, "Settings to start from.", values)
    chooser(argv, known_only=True)

    settings = presets[chooser.preset]()
    meanings = field_help(settings)
    for path, (owner, name, value) in _fields(settings).items():
        hint = typing.get_type_hints(type(owner))[name]
        typed_flags.define(f"config.{path}", hint, value, meanings[path], flag_values)

    def parsed() -> Settings:
        try:
            return _filled(settings, flag_values, "config.")
        except ValueError as error:
            raise UserError(str(error)) from error

    return parsed


def define_choice(
    flag: str,
    makers: Mapping[str, Callable[[], Any]],
    meaning: str,
    flag_values: flags.FlagValues = flags.FLAGS,
) -> None:
    """Defines a flag that names a function.

    Args:
        flag: its name.
        makers: the functions by name; the first is the default, the first line of
            their docstrings is the help.
        meaning: what the flag chooses.
        flag_values: where to define it.
    """
    lines = [meaning, *(f"{name}: {_first_line(one)}" for name, one in makers.items())]
    names = list(makers)
    flags.DEFINE_enum(flag, names[0], names, "\n".join(lines), flag_values=flag_values)


def parse_settings(
    presets: Mapping[str, Callable[[], Settings]], words: Sequence[str]
) -> Settings:
    """Reads settings that are not this program's own.

    Args:
        presets: as for `define_settings`.
        words: --preset=NAME and --config.FIELD=VALUE, as on a command line.

    Returns:
        The settings.

    Raises:
        UserError: they are none.
    """
    values = flags.FlagValues()
    argv = ["settings", *words]
    try:
        settings = define_settings(presets, argv, values)
        values(argv)
    except flags.Error as error:
        raise UserError(str(error)) from error
    return settings()


def define_folders() -> None:
    """Defines --data_dir and --compilation_cache."""
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of prepared data sets. Default: $TFDS_DATA_DIR, or else "
        "~/tensorflow_datasets.",
    )
    flags.DEFINE_string(
        "compilation_cache",
        None,
        "Folder in which JAX keeps what it compiled, for the next start. Default: "
        "$JAX_COMPILATION_CACHE_DIR, or else it compiles anew every time.",
    )


class Source(Protocol):
    """Settings that tell a data set."""

    @property
    def name(self) -> str:
        """As for `data.load`."""

    @property
    def classes(self) -> Sequence[int]:
        """The labels to keep; none keeps all."""


def load(source: Source, split: str) -> data.Split:
    """Loads a split for a user, who may have misspelt it.

    Args:
        source: the data set.
        split: "train" or "test".

    Returns:
        The split.

    Raises:
        UserError: it cannot be had.
    """
    try:
        classes = source.classes or None
        return data.load(source.name, split, classes=classes)
    except (OSError, ValueError, data.NoSourceError, data.DamagedError) as error:
        raise UserError(str(error)) from error


def load_both(source: Source) -> list[data.Split]:
    """Loads "train" and "test", as `load` does."""
    return [load(source, split) for split in ("train", "test")]


def run(
    main: Callable[[Defined], None], define_flags: Callable[[Sequence[str]], Defined]
) -> None:
    """Runs a launcher: defines its flags, parses them, calls it.

    Args:
        main: takes what `define_flags` returns.
        define_flags: takes the command line.
    """

    def parse(argv: Sequence[str]) -> tuple[Defined, list[str]]:
        try:
            defined = define_flags(argv)
        except flags.Error as error:
            sys.exit(f"{error}\nPass --help to see what there is.")
        return defined, app.parse_flags_with_usage(list(argv))

    def start(parsed: tuple[Defined, list[str]]) -> None:
        defined, (_, *words) = parsed
        if words:
            sys.exit(f"Not a flag: {' '.join(words)}")
        _use_folders()
        try:
            main(defined)
        except (UserError, runs.DamagedError) as error:
            sys.exit(_as_called(str(error)))

    started = sys.modules["__main__"]
    started.__doc__ = _as_called(started.__doc__ or "")
    # Orbax tells of every step of a checkpoint, JAX of the hardware that is missing.
    chatty = re.compile(r"[/\\](jax|orbax)[/\\]")
    absl.logging.get_absl_handler().addFilter(
        lambda record: (
            record.levelno > logging.INFO or not chatty.search(record.pathname)
        )
    )
    app.run(start, flags_parser=parse)


def _as_called(text: str) -> str:
    """Names launchers as they are called here; texts have the names of a checkout."""
    return text.replace("python -m experiments.", f"python -m {module('')}")


def _use_folders() -> None:
    """Has this process use the folders of the flags, and those that it starts."""
    if flags.FLAGS.data_dir is not None:
        os.environ["TFDS_DATA_DIR"] = flags.FLAGS.data_dir
    folder = flags.FLAGS.compilation_cache
    if folder is not None:
        folder = os.path.abspath(folder)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        jax.config.update("jax_compilation_cache_dir", folder)


def field_help(settings: Any) -> dict[str, str]:
    """Describes fields by their entries in their dataclasses' "Attributes:" sections.

    Args:
        settings: a dataclass, perhaps with others in it.

    Returns:
        What each field means, by its dotted name.
    """
    return {
        path: _attribute_help(type(owner)).get(name, "")
        for path, (owner, name, _) in _fields(settings).items()
    }


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _fields(settings: Any, prefix: str = "") -> dict[str, tuple[Any, str, Any]]:
    """Lists dotted field name -> (owner, field name, value), leaves only."""
    fields = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            fields.update(_fields(value, f"{prefix}{field.name}."))
        else:
            fields[prefix + field.name] = (settings, field.name, value)
    return fields


def _attribute_help(documented: type) -> dict[str, str]:
    """Reads the "Attributes:" sections of a class's docstring and of its bases'."""
    described: dict[str, str] = {}
    for base in reversed(documented.__mro__):
        _, _, section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        entries = re.split(r"^(\w+): ", textwrap.dedent(section), flags=re.MULTILINE)
        texts = (" ".join(text.split()) for text in entries[2::2])
        described.update(zip(entries[1::2], texts, strict=True))
    return described


def _filled(settings: Any, values: flags.FlagValues, prefix: str) -> Any:
    """Makes the settings again with the flags' values, which checks them."""
    filled = {}
    for field in dataclasses.fields(settings):
        value, name = getattr(settings, field.name), prefix + field.name
        is_group = dataclasses.is_dataclass(value)
        filled[field.name] = (
            _filled(value, values, f"{name}.") if is_group else values[name].value
        )
    return type(settings)(**filled)
