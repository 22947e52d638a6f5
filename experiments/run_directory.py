"""The run directory of a launcher: its flags, and opening it for a user."""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from zeroone_jax import hosts, runs

from . import command_line, distributed

# The flags belong to the launcher that asks for them, and so to its --help.
flags.disclaim_key_flags()


def define_flags(
    default: str,
    presets: Mapping[str, Callable[[], command_line.Settings]],
    argv: Sequence[str],
) -> Callable[[], command_line.Settings]:
    """Defines the flags of a launcher that fills a run directory.

    Args:
        default: the directory where none is given, with PRESET and SEED in it.
        presets: as for `command_line.define_settings`, which gives the rest.
        argv: the command line.
    """
    flags.DEFINE_string("run_dir", None, f"Directory to fill. Default: {default}.")
    flags.DEFINE_bool("resume", False, "Go on with what the run directory holds.")
    command_line.define_folders()
    distributed.define_flags()
    return command_line.define_settings(presets, argv)


def complete(
    default: str,
    experiment: Any,
    fill: Callable[[runs.RunDirectory], None],
    report: str,
) -> None:
    """Fills the run directory that the flags name, and prints what came out.

    Args:
        default: as for `define_flags`.
        experiment: the settings.
        fill: fills the open directory, where that is not done.
        report: its file to print.

    Raises:
        command_line.UserError: it is in use, damaged, or holds another run.
        SystemExit: the user stopped the run.
    """
    options = flags.FLAGS
    name = default.replace("PRESET", options.preset)
    name = options.run_dir or name.replace("SEED", str(experiment.seed))
    path, settings = pathlib.Path(name), runs.to_json(experiment)
    try:
        with opened_at(path, settings, options.resume) as run:
            if run.summary() is None:
                fill(run)
            tell(run, report)
    except KeyboardInterrupt:
        sys.exit(f"\nStopped. To go on: --run_dir={path} --resume, same settings.")


@contextlib.contextmanager
def opened_at(
    path: pathlib.Path, settings: Mapping[str, Any], resume: bool
) -> Iterator[runs.RunDirectory]:
    """Opens a run directory for a user.

    Args:
        path: the directory.
        settings: what the run is made from, as JSON's types.
        resume: go on with what is there, if anything is.

    Yields:
        The open directory, locked.

    Raises:
        command_line.UserError: it is in use, damaged, or holds another run.
    """
    revision = runs.git_revision(pathlib.Path(__file__))
    try:
        with runs.RunDirectory(path, settings, resume=resume, revision=revision) as run:
            yield run
    except runs.RunError as error:
        raise command_line.UserError(str(error)) from error


def tell(run: runs.RunDirectory, name: str) -> None:
    """Prints a file of a finished run.

    Of many hosts the first prints, and the others wait until it has done all it has to
    do alone.
    """
    hosts.wait("finished")
    if hosts.is_first():
        path = run.path / name
        try:
            print(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, UnicodeDecodeError) as error:
            raise command_line.UserError(
                f"{path} is missing or damaged: remove summary.json and --resume"
            ) from error
        print(f"Run directory: {run.path}")
