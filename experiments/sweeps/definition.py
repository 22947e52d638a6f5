"""What a sweep is, and its runs, checked before any of them begins."""

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from zeroone_jax import runs

from .. import command_line, train_zero_one
from ..configs import attack as attack_configs
from ..configs import network_presets
from ..configs import zero_one as zero_one_configs
from . import process
from .language import Overrides, Value

SEED = "seed"
"""The setting over which results are averaged."""

_LONGEST_NAME = 120
_INSIDE = ("process", "device")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Many runs of one launcher.

    Attributes:
        launcher: one of `LAUNCHERS`, the module that `python -m` runs.
        preset: one of the launcher's, which every run starts from.
        overrides: what is different in each run.
        metrics: what to tabulate: what to call it, with its unit, and where it stands
            in a run's summary, as in "accuracy.test.majority". In a list of results, a
            step of the way names the one whose first entry it is.
        inside: what each run has to itself: a "process", or only a place on the
            "device", in one process with all runs that can share a program.
    """

    launcher: str
    preset: str
    overrides: Sequence[Overrides]
    metrics: Mapping[str, str]
    inside: str = "process"


class Launcher(NamedTuple):
    """What a sweep must know of a launcher.

    Attributes:
        presets: makers of its settings, by name.
        together: how its runs share a process, if they can.
    """

    presets: Mapping[str, Callable[[], Any]]
    together: process.Together | None = None


LAUNCHERS: dict[str, Launcher] = {
    command_line.module("train_zero_one"): Launcher(
        zero_one_configs.PRESETS,
        process.Together(
            command_line.module("train_zero_one_grid"), train_zero_one.shared
        ),
    ),
    command_line.module("train_network"): Launcher(network_presets.PRESETS),
    command_line.module("attack"): Launcher(attack_configs.PRESETS),
}
"""Every launcher that can be swept, by its module."""


class Run(NamedTuple):
    """A run of a sweep.

    Attributes:
        job: its process.
        settings: the value of every field that any run of the sweep overrides; where
            this one does not, the preset's.
        config: all settings, as its config.json has them.
        help: what each of these fields means, by its name.
    """

    job: process.Job
    settings: Mapping[str, Value]
    config: Mapping[str, Any]
    help: Mapping[str, str]


def runs_of(
    sweep: Sweep, folder: pathlib.Path, data_dir: str | None = None
) -> list[Run]:
    """Lists the runs of a sweep, each with its command.

    Args:
        sweep: the sweep.
        folder: where its run directories and logs go.
        data_dir: folder of prepared data sets, for every run; None for the usual one.

    Returns:
        The runs, in the sweep's order.

    Raises:
        command_line.UserError: an unknown launcher, preset or field; a value of the
            wrong type; settings that do not go together; no runs; two runs that are
            the same or would fill one directory; a directory with other settings; a
            launcher whose runs cannot share a process, where they should.
    """
    if sweep.launcher not in LAUNCHERS:
        known = ", ".join(LAUNCHERS)
        raise command_line.UserError(f"{sweep.launcher} is not one of: {known}")
    if not sweep.overrides:
        raise command_line.UserError("The sweep is empty: it has no overrides")
    launcher = LAUNCHERS[sweep.launcher]
    swept = list(dict.fromkeys(field for each in sweep.overrides for field in each))
    short = _short_names(swept, sweep.overrides)
    planned = []
    for overrides in sweep.overrides:
        words = [f"--preset={sweep.preset}"]
        words += [_word(field, value) for field, value in overrides.items()]
        experiment = _parsed(launcher, words, overrides)
        planned.append(process.Planned(_name(overrides, short), words, experiment))
    data = [] if data_dir is None else [f"--data_dir={data_dir}"]
    jobs = process.jobs(sweep.launcher, _together(sweep), planned, folder, data)
    listed = [
        Run(
            job,
            {field: _value(run.settings, field) for field in swept},
            runs.to_json(run.settings),
            command_line.field_help(run.settings),
        )
        for run, job in zip(planned, jobs, strict=True)
    ]
    _check_different(listed)
    _check_directories(listed)
    return listed


def _together(sweep: Sweep) -> process.Together | None:
    """Finds how the runs share a process, if they shall."""
    if sweep.inside not in _INSIDE:
        raise command_line.UserError(
            f"inside={sweep.inside!r} is not one of: {', '.join(_INSIDE)}"
        )
    if sweep.inside == "process":
        return None
    if (together := LAUNCHERS[sweep.launcher].together) is None:
        able = [name for name, other in LAUNCHERS.items() if other.together is not None]
        raise command_line.UserError(
            f'inside="device": {sweep.launcher} cannot make several runs in one '
            f"process, only {', '.join(able)} can"
        )
    return together


def _word(field: str, value: Value) -> str:
    """Writes an override as a flag."""
    if isinstance(value, tuple):
        text = ",".join(map(_text, value)) or "()"
    else:
        text = _text(value)
    return f"--config.{field}={text}"


def _text(value: Value) -> str:
    # As flags spell none, true and false.
    return str(value).lower() if value in (None, True, False) else str(value)


def _parsed(launcher: Launcher, words: Sequence[str], overrides: Overrides) -> Any:
    """Reads a command line as the launcher will, and checks that types are kept."""
    try:
        experiment = command_line.parse_settings(launcher.presets, words)
    except command_line.UserError as error:
        raise command_line.UserError(f"{dict(overrides)}: {error}") from error
    for field, value in overrides.items():
        read = _value(experiment, field)
        is_number = type(read) is float and type(value) is int
        if read != value or not (type(read) is type(value) or is_number):
            raise command_line.UserError(
                f"{dict(overrides)}: {field} is {value!r}, a {type(value).__name__}, "
                f"but the setting is a {type(read).__name__}: {read!r}"
            )
    return experiment


def _value(settings: Any, field: str) -> Any:
    for name in field.split("."):
        settings = getattr(settings, name)
    return settings


def _short_names(swept: Sequence[str], every: Sequence[Overrides]) -> dict[str, str]:
    """Names the fields that differ between runs, by their last parts where those do."""
    varied = [
        field for field in swept if len({each.get(field, ...) for each in every}) > 1
    ]
    last = [field.rpartition(".")[2] for field in varied]
    return {
        field: name if last.count(name) == 1 else field
        for field, name in zip(varied, last, strict=True)
    }


def _name(overrides: Overrides, short: Mapping[str, str]) -> str:
    """Names a run directory by what is special about it."""
    parts = []
    for field, value in overrides.items():
        if field in short:
            words = value if isinstance(value, tuple) else (value,)
            parts.append(f"{short[field]}={'_'.join(map(_text, words))}")
    name = re.sub(r"[^\w.,=+-]", "_", ",".join(parts)) or "run"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(json.dumps(dict(overrides)).encode()).hexdigest()[:10]
    return f"{name[:_LONGEST_NAME]}-{digest}"


def _check_different(listed: Sequence[Run]) -> None:
    by_name: dict[str, Run] = {}
    by_config: dict[str, Run] = {}
    for run in listed:
        config = json.dumps(run.config, sort_keys=True)
        if run.job.name in by_name:
            raise command_line.UserError(
                f"Two runs would fill one directory, {run.job.run_dir}: "
                f"{dict(by_name[run.job.name].settings)} and {dict(run.settings)}"
            )
        if config in by_config:
            raise command_line.UserError(
                f"Two runs have the same settings: {by_config[config].job.name} and "
                f"{run.job.name}"
            )
        by_name[run.job.name] = by_config[config] = run


def _check_directories(listed: Sequence[Run]) -> None:
    for run in listed:
        path = pathlib.Path(run.job.run_dir)
        if (path / "config.json").exists():
            there = runs.read_settings(path)
            differences = runs.differences(there, run.config)
            if differences:
                raise command_line.UserError(
                    f"{run.job.run_dir} holds a run with other settings "
                    f"({'; '.join(differences)}): move it away, or choose another "
                    "--runs_dir"
                )
