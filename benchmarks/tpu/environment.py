"""What libtpu is told of a machine without a TPU, before JAX is imported."""

import os

# Otherwise it asks the machine what TPU it is, and waits for minutes for an answer; and
# it refuses where another process of JAX has looked for a TPU, in vain.
INSTEAD_OF_A_TPU = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


def pretend() -> None:
    """Sets the environment of this process. To be called before JAX is imported."""
    os.environ.update(INSTEAD_OF_A_TPU)
