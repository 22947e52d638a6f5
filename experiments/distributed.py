"""Launchers on many hosts: flags, and joining the other processes.

Every host runs the same command. Where Slurm, MPI, Kubernetes or a TPU's environment
tells who is there, --distributed is enough; elsewhere each process is told:

    python -m experiments.train_zero_one --distributed --coordinator=node1:4321 \
        --process_count=2 --process_id=0        # on node1; with 1 on the other host
"""

from absl import flags

from zeroone_jax import hosts

from . import command_line

# The flags belong to the launcher that asks for them, and so to its --help.
flags.disclaim_key_flags()


def define_flags() -> None:
    """Defines --distributed, --coordinator, --process_count and --process_id."""
    flags.DEFINE_bool(
        "distributed",
        False,
        "Run on many hosts: every one of them starts this command, with the run "
        "directory on a file system that they share.",
    )
    flags.DEFINE_string(
        "coordinator",
        None,
        "Host and free port of the first process, as in node1:4321. Default: what "
        "Slurm, MPI, Kubernetes or a TPU tells.",
    )
    flags.DEFINE_integer("process_count", None, "Processes of the run.", lower_bound=1)
    flags.DEFINE_integer(
        "process_id", None, "Which of them this is, from 0.", lower_bound=0
    )
    flags.DEFINE_integer(
        "coordinator_seconds",
        300,
        "How long to wait for the other processes to come.",
        lower_bound=1,
    )


def join() -> None:
    """Joins the other processes if the flags say so; call it before JAX computes.

    Raises:
        command_line.UserError: the flags do not go together.
    """
    options = flags.FLAGS
    given = (options.coordinator, options.process_count, options.process_id)
    if not options.distributed:
        if any(one is not None for one in given):
            raise command_line.UserError(
                "--coordinator, --process_count and --process_id need --distributed"
            )
        return
    try:
        hosts.connect(*given, seconds=options.coordinator_seconds)
    except hosts.HostsError as error:
        raise command_line.UserError(str(error)) from error
