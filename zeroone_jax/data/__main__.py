"""Prepares a data set by hand: `python -m zeroone_jax.data prepare cifar10`."""

import argparse
import sys
from collections.abc import Sequence

from absl import logging

from zeroone_jax.data.catalog import available
from zeroone_jax.data.prepare import NoSourceError, prepare


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: the words after the program's name; None takes them from it.

    Returns:
        The exit status: 0 if the data set is prepared.
    """
    parser = argparse.ArgumentParser("python -m zeroone_jax.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    preparing = commands.add_parser("prepare", help="bring a data set to disk")
    preparing.add_argument("name", choices=available())
    preparing.add_argument(
        "--data_dir", help="TFDS folder (TFDS_DATA_DIR, or ~/tensorflow_datasets)"
    )
    preparing.add_argument(
        "--manual_dir",
        help="folder with the official archives (<data_dir>/downloads/manual)",
    )
    options = parser.parse_args(arguments)
    logging.set_verbosity(logging.INFO)
    try:
        print(prepare(options.name, options.data_dir, options.manual_dir))
    except NoSourceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
