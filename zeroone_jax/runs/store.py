"""Checkpoints as orbax writes and reads them.

A module of its own, which is imported when a run begins: orbax takes half a second.
"""

import pathlib
from typing import Any

import orbax.checkpoint as ocp


class Store:
    """The last two states of a run, named by their steps."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Opens a folder; made if missing."""
        self._manager = ocp.CheckpointManager(
            folder.absolute(),
            options=ocp.CheckpointManagerOptions(
                preservation_policy=ocp.checkpoint_managers.LatestN(2),
                enable_async_checkpointing=False,
            ),
        )

    def latest_step(self) -> int | None:
        """The step of the last state, None if there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any) -> None:
        """Writes a pytree, all or nothing."""
        self._manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, step: int, template: Any) -> Any:
        """Reads the state of a step, a pytree like the template."""
        return self._manager.restore(step, args=ocp.args.StandardRestore(template))

    def close(self) -> None:
        """Ends what orbax does in the background."""
        self._manager.close()
