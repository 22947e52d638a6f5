"""What a run notes of each start: when, by which code, on what."""

import datetime
import pathlib
import subprocess

import jax


def session(revision: str) -> dict[str, str]:
    """Says when (UTC), by which revision and JAX, and on what a process runs."""
    device = jax.devices()[0]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "revision": revision,
        "jax": jax.__version__,
        "device": f"{jax.device_count()} x {device.device_kind}",
    }


def git_revision(path: pathlib.Path) -> str:
    """Finds the revision of the code that a file belongs to.

    Returns:
        The commit, with "-dirty" behind it where tracked files have been changed;
        "unknown" if git does not know the file.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(path.parent), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        # An installed copy may lie inside a repository that is not its own.
        git("ls-files", "--error-unmatch", path.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
