import dataclasses
import math
import os
import types
from typing import Literal

import jax
import pytest
from absl import flags

from experiments import command_line
from experiments.sweeps import definition
from zeroone_jax import runs


@dataclasses.dataclass(frozen=True)
class Inner:
    """Settings within settings.

    Attributes:
        size: how large,
            in pixels.
        steps: several numbers.
    """

    size: int = 3
    steps: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"size={self.size}: must not be negative")


@dataclasses.dataclass(frozen=True)
class Outer:
    """Settings.

    Attributes:
        inner: more settings.
        name: a word.
        loud: whether it shouts.
    """

    inner: Inner = dataclasses.field(default_factory=Inner)
    name: str = "plain"
    loud: bool = False


def plain() -> Outer:
    """The plain one."""
    return Outer()


def large() -> Outer:
    """The large one.

    More about it.
    """
    return Outer(inner=Inner(size=30))


def parse(*words: str) -> Outer:
    values = flags.FlagValues()
    argv = ["program", *words]
    settings = command_line.define_settings(
        {"plain": plain, "large": large}, argv, values
    )
    values(argv)
    return settings()


def test_the_first_preset_is_the_default():
    assert parse() == Outer()


def test_fields_change_a_preset_wherever_it_is_named():
    expected = Outer(Inner(size=30, steps=(0.1, 0.2)), name="x", loud=True)
    fields = ["--config.inner.steps=0.1,0.2", "--config.name=x", "--config.loud"]
    assert parse("--preset=large", *fields) == expected
    assert parse(*fields, "--preset", "large") == expected


def test_false_can_be_said_both_ways():
    assert parse("--config.loud", "--noconfig.loud") == Outer()
    assert parse("--config.loud=false") == Outer()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "--config.inner.sise=3",
            r"config\.inner\.sise.*Did you mean.*config\.inner\.size",
        ),
        ("--config.inner=3", "config.inner"),
        ("--config.inner.size=big", "big"),
        ("--preset=huge", "one of <plain|large>"),
        ("--presett=large", "presett"),
    ],
)
def test_mistakes_are_errors(word, message):
    with pytest.raises(flags.Error, match=message):
        parse(word)


def test_settings_that_do_not_go_together_are_the_users_error():
    with pytest.raises(command_line.UserError, match="must not be negative"):
        parse("--config.inner.size=-1")


def test_help_describes_presets_and_fields():
    values = flags.FlagValues()
    command_line.define_settings({"plain": plain, "large": large}, ["program"], values)
    assert "large: The large one.\n" in values["preset"].help + "\n"
    described = values.get_help()
    assert "--config.inner.size: how large, in pixels." in described
    assert "(default: '3')\n    (a whole number)" in described
    assert "--[no]config.loud: whether it shouts.\n    (default: 'false')" in described


@dataclasses.dataclass(frozen=True)
class Base:
    """What others add to.

    Attributes:
        norm: how distance is measured.
    """

    norm: Literal["l2", "linf"] = "l2"


@dataclasses.dataclass(frozen=True)
class Mixed(Base):
    """Settings of several types.

    Attributes:
        radius: a number or a word.
        budget: a number or nothing.
    """

    radius: float | Literal["adaptive"] = 0.01
    budget: int | None = None


def parse_mixed(*words: str) -> Mixed:
    values = flags.FlagValues()
    argv = ["program", *words]
    settings = command_line.define_settings({"mixed": Mixed}, argv, values)
    values(argv)
    return settings()


def test_settings_of_several_types():
    assert parse_mixed() == Mixed()
    words = ["--config.radius=adaptive", "--config.budget=7", "--config.norm", "linf"]
    assert parse_mixed(*words) == Mixed(norm="linf", radius="adaptive", budget=7)
    again = parse_mixed("--config.radius=0.3", "--config.budget=none")
    assert again == Mixed(radius=0.3)
    for word, message in [
        ("--config.radius=wide", "a number .as 0.03 or 8/255., adaptive"),
        ("--config.norm=l3", "l2, linf"),
        ("--config.budget=1.5", "a whole number, none"),
    ]:
        with pytest.raises(flags.Error, match=message):
            parse_mixed(word)


@dataclasses.dataclass(frozen=True)
class Ball:
    """Settings that are real numbers.

    Attributes:
        epsilon: its radius.
        steps: several numbers.
        limit: a number or nothing.
    """

    epsilon: float = 0.3
    steps: tuple[float, ...] = (0.5,)
    limit: float | None = None


def parse_ball(*words: str) -> Ball:
    return command_line.parse_settings({"ball": Ball}, words)


def test_numbers_may_be_fractions():
    words = ["--config.epsilon=8/255", "--config.steps=1/255,0.5", "--config.limit=1/4"]
    assert parse_ball(*words) == Ball(8 / 255, (1 / 255, 0.5), 0.25)
    assert parse_ball("--config.epsilon", "1.5/255") == Ball(1.5 / 255)
    assert parse_ball("--config.epsilon=1", "--config.steps=()") == Ball(1.0, ())
    for field, text in [
        ("epsilon", "8/0"),
        ("steps", "8/0"),
        ("epsilon", "8/"),
        ("epsilon", "eight"),
        ("limit", "1/2/3"),
    ]:
        with pytest.raises(command_line.UserError, match=r"as 0\.03 or 8/255"):
            parse_ball(f"--config.{field}={text}")


def test_help_says_that_numbers_may_be_fractions():
    values = flags.FlagValues()
    command_line.define_settings({"ball": Ball}, ["program"], values)
    described = values.get_help()
    assert "(default: '0.3')\n    (a number (as 0.03 or 8/255))" in described


@pytest.mark.parametrize("launcher", definition.LAUNCHERS)
def test_every_real_number_of_a_launcher_may_be_a_fraction(launcher):
    presets = definition.LAUNCHERS[launcher].presets
    written = 0
    for name, make in presets.items():
        words = [f"--preset={name}"]
        for path, (_, _, value) in command_line._fields(make()).items():
            if type(value) is float and math.isfinite(value):
                words.append(f"--config.{path}={value!r}/1")
        assert command_line.parse_settings(presets, words) == make()
        written += len(words) - 1
    assert written > 0


def test_help_describes_inherited_fields():
    values = flags.FlagValues()
    command_line.define_settings({"mixed": Mixed}, ["program"], values)
    described = values.get_help()
    assert "--config.norm: how distance is measured." in described
    assert "(default: 'l2')\n    (l2, linf)" in described
    assert (
        "--config.budget: a number or nothing.\n    (a whole number, none)" in described
    )


def test_folders_are_those_of_started_processes_too(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    monkeypatch.setenv("TFDS_DATA_DIR", "elsewhere")
    before = jax.config.jax_compilation_cache_dir
    options = types.SimpleNamespace(compilation_cache="cache", data_dir="images")
    monkeypatch.setattr(command_line.flags, "FLAGS", options)
    try:
        command_line._use_folders()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "cache")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "cache")
    assert os.environ["TFDS_DATA_DIR"] == "images"


def exit_of(monkeypatch, main, *words):
    """What a launcher says last, called with words."""

    def run(start, flags_parser):
        start(flags_parser(["program", *words]))

    monkeypatch.setattr(command_line.app, "run", run)
    monkeypatch.setattr(command_line.app, "parse_flags_with_usage", list)
    monkeypatch.setattr(command_line, "_use_folders", lambda: None)
    with pytest.raises(SystemExit) as caught:
        command_line.run(main, lambda argv: None)
    return caught.value.code


@pytest.mark.parametrize("error", [command_line.UserError, runs.DamagedError])
def test_what_the_user_can_mend_is_one_line(monkeypatch, error):
    def main(_):
        raise error("a.json is damaged: remove it")

    assert exit_of(monkeypatch, main) == "a.json is damaged: remove it"


def test_words_that_are_no_flags_end_it(monkeypatch):
    def main(_):
        raise AssertionError

    assert exit_of(monkeypatch, main, "train", "it") == "Not a flag: train it"
