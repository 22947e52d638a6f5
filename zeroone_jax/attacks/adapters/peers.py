"""What bridges to other libraries share: batches of any size."""

import numpy as np


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
