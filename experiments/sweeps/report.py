"""What came out of a sweep: a table over seeds, and a figure for every swept field."""

import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zeroone_jax import runs
from zeroone_jax.evaluation import sweep_figures, tables

from .. import command_line, pieces
from .definition import SEED, Run, Sweep
from .language import Value


class Estimate(NamedTuple):
    """A mean over seeds.

    Attributes:
        mean: None if there are no runs, or one has no such number.
        standard_error: of the mean, from the spread over seeds; None too for one run.
    """

    mean: float | None
    standard_error: float | None


class Group(NamedTuple):
    """The runs that differ in their seeds only.

    Attributes:
        settings: the value of every swept field but the seed.
        finished: how many of them are.
        estimates: of each metric, by its name.
    """

    settings: Mapping[str, Value]
    finished: int
    estimates: Mapping[str, Estimate]


def write(name: str, sweep: Sweep, listed: Sequence[Run], folder: pathlib.Path) -> str:
    """Writes table.md, whose text it gives, table.json and a figure for every field.

    Args:
        name: the sweep's.
        sweep: the sweep.
        listed: its runs, finished or not.
        folder: where to write.

    Raises:
        command_line.UserError: a metric is not in a run's summary.
    """
    groups = grouped(sweep, listed)
    swept = list(groups[0].settings)
    varied = [
        field
        for field in swept
        if any(group.settings[field] != groups[0].settings[field] for group in groups)
    ]
    about = {
        "launcher": sweep.launcher,
        "preset": sweep.preset,
        "every run": {
            field: groups[0].settings[field] for field in swept if field not in varied
        },
        "unfinished": [run.job.name for run in listed if _summary(run) is None],
    }
    table = _table(name, sweep, groups, varied)
    runs.write_json(folder / "table.json", {**about, **tables.as_json(table)})
    text = _text(name, sweep, groups, varied, about)
    pieces.write(folder / "table.md", text)
    for field in varied:
        figure = _figure(field, varied, listed[0].help[field], sweep, groups)
        if figure is not None:
            pieces.write(folder / f"{field}.png", figure)
    return text


def grouped(sweep: Sweep, listed: Sequence[Run]) -> list[Group]:
    """Averages over seeds: a group for each of the other settings, in order.

    Raises:
        command_line.UserError: a metric is not in a run's summary.
    """
    members: dict[tuple[Any, ...], list[Run]] = {}
    for run in listed:
        key = tuple(value for field, value in run.settings.items() if field != SEED)
        members.setdefault(key, []).append(run)
    groups = []
    for same in members.values():
        finished = [run for run in same if _summary(run) is not None]
        settings = {field: v for field, v in same[0].settings.items() if field != SEED}
        estimates = {
            metric: _estimate([_metric(run, path) for run in finished])
            for metric, path in sweep.metrics.items()
        }
        groups.append(Group(settings, len(finished), estimates))
    return groups


def _summary(run: Run) -> dict[str, Any] | None:
    return runs.read_summary(pathlib.Path(run.job.run_dir))


def _metric(run: Run, path: str) -> float | None:
    """Looks a metric of a finished run up, step by step."""
    found: Any = _summary(run)
    for step in path.split("."):
        if isinstance(found, list):
            found = {str(next(iter(one.values()))): one for one in found}
        if not isinstance(found, dict) or step not in found:
            there = f": there are {', '.join(found)}" if isinstance(found, dict) else ""
            raise command_line.UserError(
                f"The summary of {run.job.run_dir} has no {path}{there}"
            )
        found = found[step]
    return None if found is None else float(found)


def _estimate(found: Sequence[float | None]) -> Estimate:
    """Averages.

    Example:
        >>> _estimate([1.0, 3.0])
        Estimate(mean=2.0, standard_error=1.0)
    """
    numbers = [value for value in found if value is not None]
    if not numbers or len(numbers) < len(found):
        return Estimate(None, None)
    mean = statistics.fmean(numbers)
    if len(numbers) == 1:
        return Estimate(mean, None)
    return Estimate(mean, statistics.stdev(numbers) / math.sqrt(len(numbers)))


def _table(
    name: str, sweep: Sweep, groups: Sequence[Group], varied: Sequence[str]
) -> tables.Table:
    """The table in full precision."""
    header, rows = [*varied], []
    for metric in sweep.metrics:
        header += [metric, f"{metric}, standard error"]
    for group in groups:
        row: list[Any] = [group.settings[field] for field in varied]
        for metric in sweep.metrics:
            row += group.estimates[metric]
        rows.append([*row, group.finished])
    return tables.Table(name, [*header, "n"], rows)


def _text(
    name: str,
    sweep: Sweep,
    groups: Sequence[Group],
    varied: Sequence[str],
    about: Mapping[str, Any],
) -> str:
    """The table for people, with what it leaves out."""
    rows = [
        [
            *(_said(group.settings[field]) for field in varied),
            *(_said_estimate(group.estimates[metric]) for metric in sweep.metrics),
            group.finished,
        ]
        for group in groups
    ]
    table = tables.Table(name, [*varied, *sweep.metrics, "n"], rows)
    fixed = [f"{field} = {_said(value)}" for field, value in about["every run"].items()]
    paragraphs = [
        tables.markdown(table),
        "Mean ± its standard error over n seeds. "
        + ", ".join([f"{sweep.launcher}, preset {sweep.preset}", *fixed])
        + ".",
    ]
    if about["unfinished"]:
        paragraphs.append(f"Not finished: {'; '.join(about['unfinished'])}.")
    return "\n\n".join(paragraphs) + "\n"


def _figure(
    field: str,
    varied: Sequence[str],
    meaning: str,
    sweep: Sweep,
    groups: Sequence[Group],
) -> Any:
    """Draws the metrics against a field; None where nothing is finished."""
    others = [other for other in varied if other != field]
    panels = {
        metric: [
            sweep_figures.Point(
                _plain(group.settings[field]),
                ", ".join(f"{one} = {_said(group.settings[one])}" for one in others),
                estimate.mean,
                estimate.standard_error or 0.0,
            )
            for group in groups
            if (estimate := group.estimates[metric]).mean is not None
        ]
        for metric in sweep.metrics
    }
    if not any(panels.values()):
        return None
    return sweep_figures.swept_field(f"{field}: {meaning.rstrip('.')}", panels)


def _plain(value: Value) -> float | str:
    """Gives a number where there is one, also alone in a tuple; else a text."""
    if isinstance(value, tuple) and len(value) == 1:
        return _plain(value[0])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return _said(value)


def _said(value: Value) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_said, value)) or "()"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _said_estimate(estimate: Estimate) -> str | None:
    if estimate.mean is None:
        return None
    if estimate.standard_error is None:
        return f"{estimate.mean:.4f}"
    return f"{estimate.mean:.4f} ± {estimate.standard_error:.4f}"
