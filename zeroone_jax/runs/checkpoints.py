"""What orbax leaves to do about checkpoints: what is unfinished, and what is damaged.

Orbax does not notice a flipped bit in an array. So `checksums.json` has the crc32 of
every file of every checkpoint. A checkpoint without an entry (of an earlier version, or
of a process killed just then) is taken as whole.
"""

import pathlib
import shutil
from collections.abc import Mapping

from absl import logging

from zeroone_jax import files

CHECKSUMS = "checksums.json"
FOLDER = "checkpoints"
_UNFINISHED = "*.orbax-checkpoint-tmp*"


def remove_unfinished(directory: pathlib.Path) -> None:
    """Removes what a killed process had not finished.

    Orbax would do it in the background, where it fails if the process ends meanwhile.
    The run directory is to be open in this process only.
    """
    for unfinished in (directory / FOLDER).glob(_UNFINISHED):
        shutil.rmtree(unfinished)


def record(directory: pathlib.Path, step: int) -> None:
    """Notes the checksums of a step's new checkpoint, and forgets what is gone."""
    there = _steps(directory)
    known = {name: sums for name, sums in _known(directory).items() if name in there}
    known[str(step)] = _sums(directory / FOLDER / str(step))
    files.write_json(directory / CHECKSUMS, known)


def remove_damaged(directory: pathlib.Path) -> None:
    """Removes checkpoints whose files have changed, and says so.

    Raises:
        files.DamagedError: not one checkpoint is whole; nothing is removed then.
    """
    there, known = _steps(directory), _known(directory)
    changes = {}
    for name in there & known.keys():
        if change := _change(directory / FOLDER / name, known[name]):
            changes[name] = change
    if there and len(changes) == len(there):
        last = max(changes, key=int)
        raise files.damaged(
            directory / FOLDER,
            f"of {len(there)} checkpoints none is whole; of {last}, {changes[last]}",
            "remove this folder, and the run begins anew",
        )
    whole = there - changes.keys()
    goes_on = f"step {max(whole, key=int)}" if whole else "the beginning"
    for name, change in changes.items():
        place = directory / FOLDER / name
        logging.warning("checkpoint %s is damaged and removed: %s", place, change)
        shutil.rmtree(place)
    # A checkpoint that is older than another was removed for a newer one.
    newest = max(map(int, whole), default=-1)
    lost = [name for name in known.keys() - there if int(name) > newest]
    for name in lost:
        logging.warning("checkpoint %s is missing", directory / FOLDER / name)
    if changes or lost:
        logging.warning("the run goes on from %s", goes_on)


def _steps(directory: pathlib.Path) -> set[str]:
    entries = (directory / FOLDER).glob("*")
    return {entry.name for entry in entries if entry.name.isdigit()}


def _known(directory: pathlib.Path) -> dict[str, dict[str, int]]:
    """Reads the checksums; without them, checkpoints are taken as whole."""
    try:
        return files.read_json(directory / CHECKSUMS)
    except FileNotFoundError:
        return {}
    except files.DamagedError as error:
        logging.warning("%s: checkpoints are taken as whole", error)
        return {}


def _sums(checkpoint: pathlib.Path) -> dict[str, int]:
    """The checksum of each file, by its place in the checkpoint."""
    return {
        path.relative_to(checkpoint).as_posix(): files.checksum(path)
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file()
    }


def _change(checkpoint: pathlib.Path, noted: Mapping[str, int]) -> str | None:
    """Says what has changed in a checkpoint, None if nothing that is known of."""
    sums = _sums(checkpoint)
    missing = sorted(noted.keys() - sums.keys())
    if missing:
        return f"{missing[0]} is missing"
    other = sorted(place for place in noted if noted[place] != sums[place])
    return f"{other[0]} has changed" if other else None
