"""Many hosts, each with a process of its own, that run the same program in step.

Only the first process writes files and prints. It also reads files, and sends what it
read to the other processes, so that all decide alike. Without `jax.distributed` there
is one process, which is the first.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

_SECONDS_MORE = 60


class HostsError(Exception):
    """The processes of a run do not come together; the message says why."""


def connect(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    seconds: int = 300,
) -> None:
    """Joins the processes of a run; call it before JAX computes anything.

    Args:
        coordinator: the first process's host and a free port there, as in "node1:4321";
            None, as all three, to find out from Slurm, MPI, Kubernetes or a TPU's
            environment.
        processes: how many there are.
        process: which of them this is, 0 the first.
        seconds: how long to wait for the others.

    Raises:
        HostsError: the arguments do not go together, or there is nothing to find out
            from.
        SystemExit: the others do not come in time.
    """
    named = (coordinator, processes, process)
    if None in named and any(one is not None for one in named):
        raise HostsError(
            f"coordinator {coordinator}, process count {processes} and process id "
            f"{process} must all be given, or none of them where Slurm, MPI, "
            "Kubernetes or a TPU tells them"
        )
    if processes is not None and process is not None and not 0 <= process < processes:
        raise HostsError(f"process {process} of {processes}: they count from 0")
    # JAX would end this process itself, by an abort that does not say whom it awaited.
    watch = threading.Timer(seconds, _give_up, (coordinator, processes, seconds))
    watch.daemon = True
    watch.start()
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=seconds + _SECONDS_MORE,
        )
    except (RuntimeError, ValueError) as error:
        raise HostsError(
            f"no run of many processes can be joined: {error} Give the coordinator, "
            "the process count and the process id."
        ) from error
    finally:
        watch.cancel()
    if jax.device_count() < jax.process_count():
        raise HostsError(
            f"{jax.process_count()} processes share {jax.device_count()} devices: "
            "start one process a host, or one a device"
        )


def _give_up(coordinator: str | None, processes: int | None, seconds: int) -> None:
    """Ends the process, which JAX holds."""
    whom = coordinator or "the coordinator that the environment names"
    sys.stderr.write(
        f"Not all {processes or ''} processes of the run met at {whom} within the "
        f"time-out of {seconds} s. Is the first process running, and does its port "
        "answer?\n".replace("  ", " ")
    )
    sys.stderr.flush()
    os._exit(1)


def is_first() -> bool:
    """Whether this is the process that acts on the outside."""
    return bool(jax.process_index() == 0)


def from_first(make: Callable[[], Any], failure: type[Exception]) -> Any:
    """Does something in the first process, and tells all what came of it.

    Every process must call it at the same place.

    Args:
        make: gives something of JSON's types; called in the first process only.
        failure: what it may raise, an exception made from a text. The others raise it
            too, where they would otherwise wait for ever.
    """
    if jax.process_count() == 1:
        return make()
    answer: dict[str, Any] = {}
    error = None
    if is_first():
        try:
            answer = {"made": make()}
        except failure as raised:
            error = raised
            answer = {"failure": str(raised)}
    told = json.loads(_broadcast(json.dumps(answer).encode()))
    if error is not None:
        raise error
    if "failure" in told:
        raise failure(told["failure"])
    return told["made"]


def wait(place: str) -> None:
    """Waits until every process has come here; each place has a name of its own."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(place)


def _broadcast(text: bytes) -> bytes:
    """Sends the first process's bytes to all."""
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    padded = np.zeros(length, np.uint8)
    if is_first():
        padded[:] = np.frombuffer(text, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()
