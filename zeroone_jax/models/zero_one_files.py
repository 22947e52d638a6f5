"""01 networks on disk: plain `.npz` files."""

import math
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from zeroone_jax import files
from zeroone_jax.models.zero_one_params import Params, check

_NAMES = ("w1", "b1", "w2", "b2")


def save(path: str | os.PathLike[str], params: Params) -> None:
    """Saves networks, in their own dtype.

    Args:
        path: where, ending in ".npz"; the caller sees to it that no half file is left.
        params: the networks.

    Raises:
        ValueError: if the networks are not valid: shapes, dtypes, NaN or infinity.
    """
    _check_values(params, "params")
    arrays = jax.device_get({name: getattr(params, name) for name in _NAMES})
    files.write_npz(path, {"hidden_values": params.hidden_values, **arrays})


def load(
    path: str | os.PathLike[str],
    hidden_values: str | None = None,
    dtype: DTypeLike | None = None,
) -> Params:
    """Reads what `save` wrote, and the authors' `.npz` files (docs/papers.md, A5).

    The file holds w1, b1, w2, b2 with the axes of `Params`, or without the votes axis
    for a single network. It may also hold

    - `hidden_values`, a string, see `Params`;
    - `hidden_scale` s, a number, of networks whose hidden values are -s and s. That
      is "pm" for any s, as w2 is rescaled (in float64) so that every score stays
      what it was. The authors' s is 0.2236, and taking that for 1/sqrt(20) would
      change labels: their vote falls from .8535 to .8075 on the test images.

    Args:
        path: the file.
        hidden_values: needed if the file does not tell; "01" if nobody does.
        dtype: what to compute in; JAX's default float dtype if not given, so read
            the authors' networks under `jax_enable_x64`.

    Returns:
        The networks.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not an `.npz` or damaged, an array is missing, has
            the wrong shape or is not finite, `hidden_values` is unknown or is not
            what the file says, or `dtype` is float64 and `jax_enable_x64` is off.
    """
    path = os.fspath(path)
    stored = files.read_npz(pathlib.Path(path))
    missing = [name for name in _NAMES if name not in stored]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}; it has {sorted(stored)}")
    arrays = {}
    for name in _NAMES:
        kind = stored[name].dtype
        if kind.kind not in "fiu":
            raise ValueError(f"{path}: {name} is {kind}, not real numbers")
        arrays[name] = stored[name].astype(np.float64)
    if arrays["w1"].ndim == 2:
        arrays = {name: array[None] for name, array in arrays.items()}

    told = str(stored["hidden_values"]) if "hidden_values" in stored else None
    if "hidden_scale" in stored:
        told = told or "pm"
        scale = stored["hidden_scale"]
        if told != "pm" or scale.shape or not 0 < scale < math.inf:
            found = f"hidden_scale is {scale} and hidden_values {told}"
            raise ValueError(f"{path}: {found}")
        arrays["w2"] *= float(scale) * math.sqrt(arrays["w2"].shape[-1])
    if None not in (told, hidden_values) and told != hidden_values:
        raise ValueError(
            f"{path} is of hidden_values {told!r}, not {hidden_values!r} as asked"
        )
    if dtype is None:
        dtype = jnp.zeros(()).dtype
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    return _params(arrays, hidden_values or told or "01", path)


def _params(arrays: dict[str, np.ndarray], hidden_values: str, path: str) -> Params:
    params = Params(
        **{name: jnp.asarray(arrays[name]) for name in _NAMES},
        hidden_values=hidden_values,
    )
    if params.w1.dtype != arrays["w1"].dtype:
        raise ValueError(
            f"{path}: networks in {arrays['w1'].dtype} need jax_enable_x64, or they "
            f"would be rounded to {params.w1.dtype}"
        )
    _check_values(params, path)
    return params


def _check_values(params: Params, source: str) -> None:
    try:
        check(params)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    for name in _NAMES:
        if not np.isfinite(jax.device_get(getattr(params, name))).all():
            raise ValueError(f"{source}: {name} has values that are NaN or infinite")
