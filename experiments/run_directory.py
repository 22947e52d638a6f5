"""The run directory of a launcher: its flags, and opening it for a user."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from absl import flags

from experiments import command_line
from zeroone_jax import hosts, runs


def define_flags(default: str) -> None:
    """Defines --run_dir and --resume.

    Args:
        default: what the help says about the directory where none is given.
    """
    flags.DEFINE_string("run_dir", None, f"Directory to fill. Default: {default}.")
    flags.DEFINE_bool("resume", False, "Go on with what the run directory holds.")


@contextlib.contextmanager
def opened(default: str, settings: Mapping[str, Any]) -> Iterator[runs.RunDirectory]:
    """Opens the run directory that the flags name.

    Args:
        default: its name below runs/ where the flags name none.
        settings: what the run is made from, as JSON's types.

    Yields:
        The open directory, locked.

    Raises:
        command_line.UserError: it is in use, damaged, or holds another run.
        SystemExit: the user stopped the run.
    """
    given = flags.FLAGS.run_dir
    path = pathlib.Path("runs", default) if given is None else pathlib.Path(given)
    try:
        with opened_at(path, settings, flags.FLAGS.resume) as run:
            yield run
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
    """Prints what came out of a finished run.

    Of many hosts the first prints, and the others wait until it has done all it has to
    do alone.

    Args:
        run: the open run directory.
        name: its file to print.
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
