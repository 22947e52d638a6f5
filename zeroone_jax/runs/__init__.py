"""A run's directory: settings, metrics, checkpoints; one run fills it at a time.

    config.json      the settings; a run resumes only under the same ones
    sessions.jsonl   one line a start or resume: date, git revision, versions, device
    metrics.jsonl    one line a measurement, in the order of its "step"
    checkpoints/     the last two states (orbax), named by their step
    checksums.json   of the checkpoints' files, so that damage is noticed
    summary.json     what came out; its presence says that the run is finished

After a process was killed, `RunDirectory.restore` goes back to the last checkpoint and
cuts the metrics there. So the files of a resumed run equal those of an uninterrupted
run, apart from sessions.jsonl. A checkpoint that is damaged is removed, and the run
goes on from the one before.

In a run on many hosts all processes open the same directory and call its methods at the
same places. The first process writes files; all save and restore checkpoints together.
The run may go on with another number of hosts.
"""

from zeroone_jax.files import (
    DamagedError,
    read_json,
    read_npz,
    replacing,
    write_json,
    write_npz,
)
from zeroone_jax.runs.directory import RunDirectory, RunError, read_summary
from zeroone_jax.runs.session import git_revision, session
from zeroone_jax.runs.settings import differences, read_settings
from zeroone_jax.tagged import from_json, to_json

__all__ = [
    "DamagedError",
    "RunDirectory",
    "RunError",
    "differences",
    "from_json",
    "git_revision",
    "read_json",
    "read_npz",
    "read_settings",
    "read_summary",
    "replacing",
    "session",
    "to_json",
    "write_json",
    "write_npz",
]
