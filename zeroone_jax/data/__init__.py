"""One functional pipeline of data, used by every trainer and attack.

`load` brings a data set to disk if needed and gives arrays on the host; the rest are
pure functions on arrays. One image goes through the modules in this order: `catalog`
(what a data set is), `sources` (where its raw files come from), `raw` (raw files to
arrays), `tfds_writer` (to a standard TFDS directory), `tfds_reader` (and back),
`cache` (decoded arrays), `split` and `pipeline` (what callers use).
"""

from zeroone_jax.data.catalog import available
from zeroone_jax.data.on_disk import OnDisk, open_split
from zeroone_jax.data.pipeline import (
    add_gaussian_noise,
    augment,
    check_features,
    epoch_batches,
    load,
)
from zeroone_jax.data.prepare import NoSourceError, prepare
from zeroone_jax.data.split import Split, as_features, select
from zeroone_jax.files import DamagedError

__all__ = [
    "DamagedError",
    "NoSourceError",
    "OnDisk",
    "Split",
    "add_gaussian_noise",
    "as_features",
    "augment",
    "available",
    "check_features",
    "epoch_batches",
    "load",
    "open_split",
    "prepare",
    "select",
]
