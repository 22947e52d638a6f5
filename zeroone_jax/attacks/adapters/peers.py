"""What bridges to other libraries share: importing them, and batches of any size."""

import importlib
from typing import Any

import numpy as np


def imported(module: str, package: str) -> Any:
    """Imports a module of another library.

    Args:
        module: its name.
        package: the package that brings it, for the message.

    Returns:
        The module.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{package} is not installed: it comes with the extra 'peers' "
            "(pip install 'zeroone_jax[peers]')"
        ) from error


def padded(rows: np.ndarray) -> np.ndarray:
    """Repeats the first row until there are a power of two.

    Other libraries ask for batches of many sizes, each of which XLA would compile.

    Args:
        rows: [n, ...], n at least 1.

    Returns:
        [m, ...], m the power of two not below n.

    Example:
        >>> padded(np.array([[1], [2], [3]])).ravel()
        array([1, 2, 3, 1])
    """
    missing = (1 << (len(rows) - 1).bit_length()) - len(rows)
    return np.concatenate([rows, np.repeat(rows[:1], missing, axis=0)])
