"""Environments that hold what a wheel declares and nothing else.

No package is downloaded: those that the tests run with are linked to.
"""

import importlib.metadata
import pathlib
import sys
import venv
import zipfile
from collections.abc import Iterable

from packaging import requirements


def with_wheel(folder: pathlib.Path, wheel: pathlib.Path) -> pathlib.Path:
    """Makes an environment of a wheel and what it requires.

    Args:
        folder: where to make it.
        wheel: the wheel, of Python code alone.

    Returns:
        Its Python.
    """
    venv.create(folder)
    site = _site(folder)
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    (metadata,) = site.glob("*.dist-info")
    declared = importlib.metadata.Distribution.at(metadata).requires or ()
    require(folder, declared)
    return folder / "bin" / "python"


def require(folder: pathlib.Path, declared: Iterable[str], extra: str = "") -> None:
    """Links an environment to what is installed here of some requirements.

    Args:
        folder: the environment.
        declared: requirements, as a package's metadata has them.
        extra: an extra, whose requirements count as well.

    Raises:
        importlib.metadata.PackageNotFoundError: one is not installed here.
        AssertionError: one is installed here in a version that is not allowed.
    """
    site = _site(folder)
    seen = set()
    waiting = [(line, extra) for line in declared]
    while waiting:
        line, extra = waiting.pop()
        wanted = requirements.Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
            continue
        distribution = importlib.metadata.distribution(wanted.name)
        assert wanted.specifier.contains(distribution.version, prereleases=True), line
        for each in ("", *wanted.extras):
            if (wanted.name, each) not in seen:
                seen.add((wanted.name, each))
                waiting += [(below, each) for below in distribution.requires or ()]
        for file in distribution.files or ():
            top = file.parts[0]
            link = site / top
            if top not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(distribution.locate_file(top))


def _site(folder: pathlib.Path) -> pathlib.Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return folder / "lib" / version / "site-packages"
