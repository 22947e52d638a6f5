"""Attacks images of a saved 01 network, by any attack or suite of the library.

    python -m experiments.attack
    python -m experiments.attack --config.model=networks.npz --config.images.count=100
    python -m experiments.attack --config.model=mnist_linf --preset=suite_standard
    python -m experiments.attack --preset=ray_s --config.attack.max_queries=2000
    python -m experiments.attack --preset=hop_skip_jump --config.attack.radius=adaptive
    python -m experiments.attack --preset=suite_decision --config.images.count=100
    python -m experiments.attack --preset=attack_bench --config.attack.norm=linf
    python -m experiments.attack --preset=exact --config.images.count=2000
    python -m experiments.attack --run_dir=runs/mine --resume

Without flags it attacks 20 test images of the run that `python -m
experiments.train_zero_one` leaves, by HopSkipJump, in less than a minute on a laptop.

--preset names the attack or suite, --config.attack.FIELD=VALUE changes one of its
settings. --help lists the settings of the preset that is given with it. The presets
exact and certificate do not attack. They compute the distance of the nearest adversary
of a 01 network, or a lower bound of it; their queries are nodes of the search. The
preset attack_bench runs every attack for the least distance in a norm, each within the
same cap of propagations, and scores them (zeroone_jax.evaluation.optimality).

The run directory fills with config.json (the settings), digest.json (of the model and
the images, so that no others are joined with them), chunks (adversaries, a file for
every few images), metrics.jsonl (a line for every image), and at the end with
adversaries.npz, results.md (the table), adversaries.png, for attacks by labels
curve.png (distance against queries), for verification certified.png (images right at
every radius), for attack_bench optimality.png (robust accuracy at every epsilon), and
summary.json. A killed run goes on with --resume and the same settings, and ends with
exactly the same files.
"""

import functools
import hashlib
import pathlib
import re
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import hosts, runs

from . import (
    attack_report,
    attack_task,
    command_line,
    distributed,
    pieces,
    run_directory,
)
from .configs import attack as configs
from .progress import Progress

_RUN_DIR = "runs/attack-PRESET-seedSEED"


def define_flags(argv: Sequence[str]) -> Callable[[], configs.Experiment]:
    """Defines the flags of this launcher."""
    return run_directory.define_flags(_RUN_DIR, configs.PRESETS, argv)


def main(settings: Callable[[], configs.Experiment]) -> None:
    """Runs the launcher."""
    experiment = settings()
    distributed.join()
    jax.config.update("jax_enable_x64", experiment.double)
    task = attack_task.prepare(experiment)
    fill_it = functools.partial(fill, experiment, task)
    run_directory.complete(_RUN_DIR, experiment, fill_it, "results.md")


def fill(
    experiment: configs.Experiment, task: attack_task.Task, run: runs.RunDirectory
) -> None:
    """Attacks what has not been attacked, and fills the run directory.

    Args:
        experiment: the settings.
        task: what `attack_task.prepare` gave.
        run: the open run directory.

    Raises:
        command_line.UserError: the attack cannot attack this model; or the run goes on
            with another model, or other images, than it began with.
    """
    began = time.monotonic()
    run.restore(None)  # Cuts the metrics: they are written again from the chunks.
    _refuse_another(run.path / "digest.json", task)
    folder = run.path / "chunks"
    folder.mkdir(exist_ok=True)
    count = len(task.images.x)
    firsts = range(0, count, experiment.at_a_time)
    paths = [folder / f"{first:06}.npz" for first in firsts]
    done = sum(path.exists() for path in paths)
    progress = Progress("attacking", count, min(done * experiment.at_a_time, count))
    for number, (first, path) in enumerate(zip(firsts, paths, strict=True)):
        rows = np.arange(first, min(first + experiment.at_a_time, count))
        if number % jax.process_count() == jax.process_index():
            make = functools.partial(_attacked, task, rows, progress)
            try:
                pieces.arrays(path, make)
            except (TypeError, ValueError) as error:
                raise command_line.UserError(str(error)) from error
    hosts.wait("attacked")
    if not hosts.is_first():
        return
    chunks = []
    for path in paths:
        chunks.append(runs.read_npz(path))
        attacked = sum(len(chunk["index"]) for chunk in chunks)
        run.append_metrics(attack_report.records(chunks[-1], attacked))
    seconds = time.monotonic() - began
    outcome = attack_report.Outcome(
        name=task.work.name,
        norm=task.work.norm,
        flat=task.work.without_slope(task.images),
        in_ball=task.work.in_ball and not experiment.images.indices,
        only_correct=experiment.images.only_correct,
        targeted=task.work.wants_targets,
        split=task.split,
        arrays=attack_report.joined(chunks),
    )
    attack_report.write(run, outcome, seconds)


def _refuse_another(path: pathlib.Path, task: attack_task.Task) -> None:
    """Refuses to join what was found for another model or for other images."""
    leaves, structure = jax.tree.flatten(task.images)
    # Of functions the structure shows addresses, which every process has of its own.
    digest = hashlib.sha256(re.sub("0x[0-9a-f]+", "", str(structure)).encode())
    for leaf in leaves:
        digest.update(np.asarray(leaf).tobytes())
    own = {"model and images": digest.hexdigest()}

    def first() -> dict[str, str]:
        if not path.exists():
            runs.write_json(path, own)
        found: dict[str, str] = runs.read_json(path)
        return found

    if hosts.from_first(first, command_line.UserError) != own:
        raise command_line.UserError(
            f"{path.parent}: the model or the images are not those that this run began "
            "with: give another --run_dir"
        )


def _attacked(
    task: attack_task.Task, rows: np.ndarray, progress: Progress
) -> dict[str, np.ndarray]:
    """Does the work on some images."""
    batch = task.batch(rows)
    found = task.work.do(batch, lambda done: progress.report(int(rows[0]) + done))
    adversary = jnp.asarray(found["adversary"], batch.x.dtype)
    broken = int(found["success"].sum())
    progress.report(int(rows[-1]) + 1, f"{broken} of these {len(rows)} broken")
    return {
        "index": task.split.indices[rows],
        "image": np.asarray(batch.x),
        "label": np.asarray(batch.y),
        "label_before": np.asarray(batch.label_fn(batch.x)),
        "label_after": np.asarray(batch.label_fn(adversary)),
        **found,
    }


if __name__ == "__main__":
    command_line.run(main, define_flags)
