"""Who distributes a sweep's processes: this machine, a Ray cluster, or Slurm.

All need the same files under the same paths on every node: the code, the data, and the
folder of the runs.
"""

import abc
import concurrent.futures
import importlib
import logging
import os
import pathlib
import socket
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from . import process

# Only lost nodes count, not runs that fail: those have ended.
_RETRIES_ON_LOST_NODES = 10
_SECONDS_TO_ANSWER = 10


class EngineError(Exception):
    """An engine cannot be used; the message says why."""


class Needs(NamedTuple):
    """What a run needs of a node.

    Attributes:
        cpus: processor cores.
        gpus: GPUs.
    """

    cpus: int
    gpus: int


class Task(Protocol):
    """A job that an engine has."""

    def done(self) -> bool:
        """Whether it is over, one way or another."""

    def exception(self) -> BaseException | None:
        """Why the engine gave it up, once it is over; None if it did not."""


class Engine(abc.ABC):
    """Runs jobs somewhere."""

    @abc.abstractmethod
    def start(self, jobs: Sequence[process.Job]) -> Sequence[Task]:
        """Takes jobs, to be run as there is room, and gives what stands for each.

        Raises:
            EngineError: there is no such cluster.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """Ends what runs, takes nothing more, and lets go of the cluster."""


class Local(Engine):
    """Processes of this machine, each held by a thread of a pool."""

    def __init__(self, workers: int) -> None:
        """Makes room for so many at once."""
        self._pool = concurrent.futures.ThreadPoolExecutor(workers)
        self._stopped = threading.Event()

    def start(self, jobs: Sequence[process.Job]) -> Sequence[Task]:
        """Queues jobs."""
        return [
            self._pool.submit(process.execute, job, self._stopped.is_set)
            for job in jobs
        ]

    def stop(self) -> None:
        """Kills what runs."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)


class Ray(Engine):
    """Remote tasks of a Ray cluster; those of a lost node go on on another."""

    def __init__(self, address: str | None, needs: Needs) -> None:
        """Connects to a cluster.

        Args:
            address: the cluster's; None is $RAY_ADDRESS or the cluster of this machine,
                which is started if there is none.
            needs: what each run needs.

        Raises:
            EngineError: Ray is not installed, or does not answer.
        """
        self._ray = _extra("ray", "ray")
        _check_answers(address or os.environ.get("RAY_ADDRESS", "auto"))
        try:
            self._ray.init(
                address=address, log_to_driver=False, logging_level=logging.WARNING
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EngineError(f"Ray: {error}") from error
        # Workers look for modules where they like.
        self._ray.cloudpickle.register_pickle_by_value(process)
        self._needs = needs

    def start(self, jobs: Sequence[process.Job]) -> Sequence[Task]:
        """Submits jobs, after a look whether any node is large enough."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(
            node.get("CPU", 0) >= self._needs.cpus
            and node.get("GPU", 0) >= self._needs.gpus
            for node in nodes
        ):
            raise EngineError(
                f"Ray: no node has {self._needs.cpus} cores and {self._needs.gpus} GPUs"
            )
        execute = self._ray.remote(
            num_cpus=self._needs.cpus,
            num_gpus=self._needs.gpus,
            max_retries=_RETRIES_ON_LOST_NODES,
        )(process.execute)
        return [execute.remote(job).future() for job in jobs]

    def stop(self) -> None:
        """Disconnects; Ray ends the workers of who is gone, and they their runs."""
        self._ray.shutdown()


class Slurm(Engine):
    """A job array of Slurm, through submitit; preempted jobs queue again and resume."""

    def __init__(
        self,
        folder: pathlib.Path,
        needs: Needs,
        *,
        workers: int,
        hours: int,
        partition: str | None,
        cluster: str = "slurm",
    ) -> None:
        """Looks for Slurm.

        Args:
            folder: where submitit keeps its own files.
            needs: what each run needs.
            workers: how many run at once.
            hours: how long a run may take; then it queues again and resumes.
            partition: where to queue; None is Slurm's default.
            cluster: submitit's name of the engine; "local" does without Slurm.

        Raises:
            EngineError: submitit is not installed, or Slurm not there.
        """
        submitit = _extra("submitit", "slurm")
        try:
            self._executor = submitit.AutoExecutor(folder, cluster=cluster)
        except RuntimeError as error:
            raise EngineError(f"Slurm: {error}") from error
        self._executor.update_parameters(
            name="sweep",
            timeout_min=60 * hours,
            cpus_per_task=needs.cpus,
            gpus_per_node=needs.gpus,
            slurm_partition=partition,
            slurm_array_parallelism=workers,
        )
        self._tasks: list[Any] = []

    def start(self, jobs: Sequence[process.Job]) -> Sequence[Task]:
        """Submits one array of jobs."""
        self._tasks = self._executor.map_array(Requeued(), jobs)
        return self._tasks

    def stop(self) -> None:
        """Cancels what is not done."""
        for task in self._tasks:
            if not task.done():
                task.cancel()


class Requeued:
    """`process.execute` for submitit, which asks it what to do when it is preempted."""

    def __call__(self, job: process.Job) -> int:
        """Runs a job."""
        return process.execute(job)

    def checkpoint(self, job: process.Job) -> Any:
        """Says what to run instead: the same, for runs resume by themselves."""
        return _extra("submitit", "slurm").helpers.DelayedSubmission(self, job)


def _check_answers(address: str) -> None:
    """Asks whether somebody listens at an address; Ray would wait for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not (host and port.isdecimal()):
        raise EngineError(f"Ray: {address} is not like HOST:PORT")
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise EngineError(
            f"Ray: nobody answers at {address} within {_SECONDS_TO_ANSWER} s: {error}"
        ) from error


def _extra(module: str, extra: str) -> Any:
    """Imports what is not installed without an extra."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise EngineError(
            f"--launcher={extra} needs {module}: pip install 'zeroone_jax[{extra}]' "
            f"({error})"
        ) from error
