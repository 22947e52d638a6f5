"""How launchers use the cores of a processor."""

import os

import jax
from absl import flags

_WORTH_A_POOL = 64

# The flag belongs to the launcher that asks for it, and so to its --help.
flags.disclaim_key_flags()


def define_devices() -> None:
    """Defines --devices."""
    flags.DEFINE_integer(
        "devices",
        None,
        "Devices to make of the processor's cores; votes are spread over them. "
        "Default: one a core, but no more than votes.",
        lower_bound=1,
    )


def use_cores(votes: int) -> None:
    """Makes as many devices of the processor as --devices says.

    Call it before JAX computes anything. Other hardware is not affected.

    Args:
        votes: the size of the ensemble: more devices would only idle.
    """
    devices = flags.FLAGS.devices or min(os.cpu_count() or 1, votes)
    jax.config.update("jax_num_cpu_devices", devices)


def verifiers(images: int) -> int:
    """Decides how many processes verify images.

    Args:
        images: how many there are.

    Returns:
        One a core, but for few images none beside this one: it takes seconds to start.
    """
    return (os.cpu_count() or 1) if images >= _WORTH_A_POOL else 1
