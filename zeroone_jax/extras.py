"""Packages that come with an extra, imported where they are needed."""

import importlib
from typing import Any, Literal


def imported(module: str, package: str, extra: Literal["data", "peers"]) -> Any:
    """Imports a module of a package that may not be installed.

    Args:
        module: its name.
        package: the package that has it, for the message.
        extra: the extra of zeroone_jax that installs the package.

    Returns:
        The module.

    Raises:
        ImportError: it is not installed; the message says how to install it.

    Example:
        >>> imported("no_such_module", "nothing", "data")
        Traceback (most recent call last):
        ...
        ImportError: nothing is not installed: pip install 'zeroone_jax[data]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{package} is not installed: pip install 'zeroone_jax[{extra}]'"
        ) from error
