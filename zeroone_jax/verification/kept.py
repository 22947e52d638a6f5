"""Bounds of many images' distances, kept in a file as they come."""

import dataclasses
import functools
import hashlib
import pathlib
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import files
from zeroone_jax.models import zero_one
from zeroone_jax.verification.distances import Config, Meter
from zeroone_jax.verification.many import checked, mapped
from zeroone_jax.verification.networks import Floats, Ints, Networks

_SAVED_EVERY = 20.0
"""Seconds between two writings."""

_REMEDY = "move it away to measure again"

_YOUNGER = ("limit",)
"""Settings that older files do not know; at their defaults they change nothing."""


class Bounds(NamedTuple):
    """What is known of images' distances: the fields of `Distances` without witnesses.

    Attributes:
        lower: float64 [n], no nearer point is labelled otherwise.
        infimum: float64 [n], points labelled otherwise come as near as this.
        upper: float64 [n], the nearest point found.
        nodes: int64 [n], how many nodes of the search tree were opened.
        seconds: float64 [n], how long each image took.
    """

    lower: Floats
    infimum: Floats
    upper: Floats
    nodes: Ints
    seconds: Floats


def bounds(
    path: pathlib.Path,
    params: zero_one.Params,
    x: ArrayLike,
    y: ArrayLike,
    config: Config | None = None,
    *,
    workers: int = 1,
    report: Callable[[int], None] | None = None,
) -> Bounds:
    """Measures as `measure` does, and goes on where an earlier call was stopped.

    Args:
        path: an .npz file, which is written every 20 seconds and at the end. A call
            with the same other arguments goes on with it.
        params: as for `measure`, and so are the others.
        x: float [n, ...].
        y: int [n].
        config: what is measured, and limits.
        workers: how many processes share the images.
        report: called with the number of images done, after each.

    Returns:
        The `Bounds`.

    Raises:
        ValueError: an argument has a wrong shape or value; or the file is damaged, or
            of other networks, images or settings.
        RuntimeError: a process has died.
    """
    config = config or Config()
    networks = Networks.of(params)
    images, labels = checked(networks, x, y)
    digest = _digest(params, images, labels, config)
    columns = _read(path, digest)
    done, saved = len(columns[0]), time.monotonic()
    if done == len(images):
        return Bounds(*map(np.array, columns))
    rest = images[done:], labels[done:]
    meter = functools.partial(Meter, networks, config)
    with mapped(meter, *rest, workers) as distances:
        for place, found in enumerate(distances, done + 1):
            for column, name in zip(columns, Bounds._fields, strict=True):
                column.append(getattr(found, name))
            if time.monotonic() - saved > _SAVED_EVERY or place == len(images):
                _write(path, digest, columns)
                saved = time.monotonic()
            if report is not None:
                report(place)
    return Bounds(*map(np.array, columns))


def _digest(
    params: zero_one.Params, images: Floats, labels: Ints, config: Config
) -> str:
    """What tells other arguments from these."""
    settings = ", ".join(
        f"{field.name}={getattr(config, field.name)!r}"
        for field in dataclasses.fields(config)
        if field.name not in _YOUNGER or getattr(config, field.name) != field.default
    )
    told = f"(Config({settings}), {params.hidden_values!r})"
    digest = hashlib.sha256(told.encode())
    for array in (*jax.tree.leaves(params), images, labels):
        digest.update(repr(np.shape(array)).encode())
        digest.update(np.asarray(array, np.float64).tobytes())
    return digest.hexdigest()


def _read(path: pathlib.Path, digest: str) -> list[list[float]]:
    """The columns that are there; empty ones if there is no file."""
    if not path.exists():
        return [[] for _ in Bounds._fields]
    kept = files.read_npz(path, _REMEDY)
    if str(kept.get("digest")) != digest:
        raise ValueError(f"{path} is of other networks, images or settings: {_REMEDY}")
    return [kept[name].tolist() for name in Bounds._fields]


def _write(path: pathlib.Path, digest: str, columns: list[list[float]]) -> None:
    with files.replacing(path) as partial:
        named = dict(zip(Bounds._fields, map(np.array, columns), strict=True))
        files.write_npz(partial, {"digest": digest, **named})
