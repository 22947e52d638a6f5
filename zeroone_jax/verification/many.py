"""Distances of many images, by a pool of processes."""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jax.typing import ArrayLike

from zeroone_jax.models import zero_one
from zeroone_jax.verification.distances import Config, Meter
from zeroone_jax.verification.networks import Floats, Ints, Networks

T = TypeVar("T")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Distances(NamedTuple):
    """What is known of images' distances: lower <= the true one <= infimum <= upper.

    Attributes:
        lower: float64 [n], no nearer point is labelled otherwise.
        infimum: float64 [n], points labelled otherwise come as near as this. Equal to
            `lower`, to 1e-6 of it, where the search was finished: the exact distance.
        upper: float64 [n], the witness's distance, a little more than `infimum` because
            it keeps the margin from every hyperplane; infinite where none was found.
        witness: float64 [n, ...], of the images' shape, labelled otherwise; the image
            where none was found.
        nodes: int64 [n], how many nodes of the search tree were opened.
        seconds: float64 [n], how long each image took.
    """

    lower: Floats
    infimum: Floats
    upper: Floats
    witness: Floats
    nodes: Ints
    seconds: Floats


def measure(
    params: zero_one.Params,
    x: ArrayLike,
    y: ArrayLike,
    config: Config | None = None,
    *,
    workers: int = 1,
    report: Callable[[int], None] | None = None,
) -> Distances:
    """Measures how far images are from the nearest point with another label.

    The numbers are those of the networks in exact arithmetic. A score that the
    networks' own dtype may round to either side of 0 counts as on both sides, so that
    neither bound depends on rounding.

    Args:
        params: networks of two classes, [votes, ...].
        x: float [n, d], or images [n, ...] of d numbers each, in [0,1], n at least 1.
        y: int [n], labels, 0 or 1. Where the networks say the other label, the distance
            is 0 and the witness is the image itself.
        config: what is measured, and limits; by default the exact L2 distance in the
            box, with a minute an image.
        workers: how many processes share the images; 1 is this one alone. A program
            that asks for more must have its main module guarded by
            `if __name__ == "__main__"`, as always with processes.
        report: called with the number of images done, after each.

    Returns:
        The `Distances`.

    Raises:
        ValueError: an argument has a wrong shape or value.
        RuntimeError: a process has died.

    Example:
        >>> import jax.numpy as jnp
        >>> params = zero_one.linear(jnp.array([[3.0, 4.0]]), jnp.array([-5.0]))
        >>> found = measure(params, [[0.5, 0.5]], [0])
        >>> found.lower.round(6), found.witness.round(3)
        (array([0.3]), array([[0.68, 0.74]]))
    """
    config = config or Config()
    networks = Networks.of(params)
    images, labels = checked(networks, x, y)
    found = []
    meter = functools.partial(Meter, networks, config)
    with mapped(meter, images, labels, workers) as distances:
        for distance in distances:
            found.append(distance)
            if report is not None:
                report(len(found))
    measured = Distances(*map(np.array, zip(*found, strict=True)))
    return measured._replace(witness=measured.witness.reshape(np.shape(x)))


def checked(
    networks: Networks, x: ArrayLike, y: ArrayLike, classes: int = 2
) -> tuple[Floats, Ints]:
    """Checks images, float64 [n, d], and labels, int64 [n]; see `measure`."""
    images = np.asarray(x, np.float64)
    features = networks.normals.shape[1]
    if images.ndim < 2 or not len(images) or images[0].size != features:
        raise ValueError(
            f"x has shape {images.shape}, but must be [n, {features}], n at least 1"
        )
    images = images.reshape(len(images), -1)
    outside = images[~((images >= 0) & (images <= 1))]
    if outside.size:
        raise ValueError(f"x holds {outside[0]}, but pixels must be in [0,1]")
    labels = np.asarray(y)
    if labels.shape != images.shape[:1]:
        raise ValueError(f"y has shape {labels.shape}, but must be [{len(images)}]")
    wrong = labels[~np.isin(labels, range(classes))]
    if wrong.size:
        allowed = "0 or 1" if classes == 2 else f"0 to {classes - 1}"
        raise ValueError(f"y holds {wrong[0]}, but labels must be {allowed}")
    return images, labels.astype(np.int64)


@contextlib.contextmanager
def mapped(
    make: Callable[[], Callable[[Floats, int], T]],
    images: Floats,
    labels: Ints,
    workers: int,
) -> Iterator[Iterator[T]]:
    """Measures images in order, here or by processes, each with a meter of its own."""
    if workers < 1:
        raise ValueError(f"workers is {workers}, but must be at least 1")
    if workers == 1:
        yield map(make(), images, labels)
        return
    context = multiprocessing.get_context("spawn")
    with (
        _one_thread_each(),
        concurrent.futures.ProcessPoolExecutor(
            workers, context, _start, (make,)
        ) as pool,
    ):
        yield _from_pool(pool.map(_measured, images, labels), workers)


def _from_pool(distances: Iterator[T], workers: int) -> Iterator[T]:
    try:
        yield from distances
    except concurrent.futures.process.BrokenProcessPool as error:
        raise RuntimeError(
            f"one of {workers} processes has died: is the main module guarded by "
            '`if __name__ == "__main__":`? Or is memory short? workers=1 needs neither'
        ) from error


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside use one thread for their small matrices."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_process: dict[str, Any] = {}
"""What a process of the pool measures with."""


def _start(make: Callable[[], Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _process["meter"] = make()


def _end_with_parent() -> None:
    """Ends this process where its parent was killed, and could not end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _measured(x: Floats, label: int) -> Any:
    return _process["meter"](x, label)
