"""Attacks images of a saved 01 network, by any attack or suite of the library.

    python -m experiments.attack
    python -m experiments.attack --config.model=networks.npz --config.images.count=100
    python -m experiments.attack --preset=ray_s --config.attack.max_queries=2000
    python -m experiments.attack --preset=hop_skip_jump --config.attack.radius=adaptive
    python -m experiments.attack --preset=suite_decision --config.images.count=100
    python -m experiments.attack --preset=exact --config.images.count=2000
    python -m experiments.attack --run_dir=runs/mine --resume

Without flags it attacks 20 test images of the run that `python -m
experiments.train_zero_one` leaves, by HopSkipJump, in less than a minute on a laptop.

--preset names the attack or suite, --config.attack.FIELD=VALUE changes one of its
settings; what there is, --help lists for the preset given beside it. The presets exact
and certificate do not attack but compute how far the nearest adversary of a 01 network
is, or at least must be; their queries are nodes of the search.

The run directory fills with config.json (the settings), chunks (adversaries, a file for
every few images), metrics.jsonl (a line for every image), and at the end with
adversaries.npz, results.md (the table), adversaries.png, for attacks by labels
curve.png (distance against queries), for verification certified.png (images right at
every radius), and summary.json. A killed run goes on with --resume and the same
settings, and ends with the very same files.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import (
    attack_report,
    attack_task,
    command_line,
    cores,
    distributed,
    pieces,
    run_directory,
)
from experiments.configs import attack as configs
from experiments.progress import Progress
from zeroone_jax import attacks, hosts, runs, verification
from zeroone_jax.attacks import sign_network
from zeroone_jax.evaluation import query_curve

_LOOKS = 60
_NO_GRADIENTS = (
    verification.Config,
    attacks.suite.Suite,
    attacks.hyperplane_crossing,
    attacks.spsa,
    attacks.square,
    attacks.surrogate_gradient,
)
_MOST_QUERIES = 1_000_000


def define_flags(argv: Sequence[str]) -> Callable[[], configs.Experiment]:
    """Defines the flags of this launcher.

    Args:
        argv: the command line.

    Returns:
        A function that gives the settings once flags are parsed.
    """
    run_directory.define_flags("runs/attack-PRESET-seedSEED")
    command_line.define_folders()
    distributed.define_flags()
    return command_line.define_settings(configs.PRESETS, argv)


def main(settings: Callable[[], configs.Experiment]) -> None:
    """Runs the launcher.

    Args:
        settings: what `define_flags` returned.
    """
    options = flags.FLAGS
    experiment = settings()
    distributed.join()
    jax.config.update("jax_enable_x64", experiment.double)
    default = f"attack-{options.preset}-seed{experiment.seed}"
    task = attack_task.prepare(experiment, options.data_dir)
    with run_directory.opened(default, runs.to_json(experiment)) as run:
        if run.summary() is None:
            fill(experiment, task, run)
        run_directory.tell(run, "results.md")


def fill(
    experiment: configs.Experiment, task: attack_task.Task, run: runs.RunDirectory
) -> None:
    """Attacks what has not been attacked, and fills the run directory.

    Args:
        experiment: the settings.
        task: what `attack_task.prepare` gave.
        run: the open run directory.

    Raises:
        command_line.UserError: the attack cannot attack this model.
    """
    began = time.monotonic()
    run.restore(None)  # Cuts the metrics: they are written again from the chunks.
    folder = run.path / "chunks"
    folder.mkdir(exist_ok=True)
    count = len(task.x)
    firsts = range(0, count, experiment.at_a_time)
    paths = [folder / f"{first:06}.npz" for first in firsts]
    done = sum(path.exists() for path in paths)
    progress = Progress("attacking", count, min(done * experiment.at_a_time, count))
    for number, (first, path) in enumerate(zip(firsts, paths, strict=True)):
        rows = np.arange(first, min(first + experiment.at_a_time, count))
        if number % jax.process_count() == jax.process_index():
            make = functools.partial(_attacked, experiment, task, rows, progress)
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
    attack_report.write(
        runs.to_json(experiment),
        run,
        attack_report.Outcome(
            name=task.name,
            norm=task.attack.norm,
            flat=_without_slope(task),
            split=task.split,
            arrays=attack_report.joined(chunks),
        ),
        seconds,
    )


def _attacked(
    experiment: configs.Experiment,
    task: attack_task.Task,
    rows: np.ndarray,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Attacks some images, or verifies them."""
    if isinstance(task.attack, verification.Config):
        found = _verify(task.attack, task, rows, progress)
    else:
        found = _attack(experiment, task.attack, task, rows)
    adversary = jnp.asarray(found["adversary"], task.x.dtype)
    broken = int(found["success"].sum())
    progress.report(int(rows[-1]) + 1, f"{broken} of these {len(rows)} broken")
    return {
        "index": task.split.indices[rows],
        "image": np.asarray(task.x[rows]),
        "label": np.asarray(task.y[rows]),
        "label_before": np.asarray(task.label_fn(task.x[rows])),
        "label_after": np.asarray(task.label_fn(adversary)),
        **found,
    }


def _verify(
    config: verification.Config,
    task: attack_task.Task,
    rows: np.ndarray,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Computes distances; witnesses count as adversaries, nodes as queries."""
    found = verification.measure(
        sign_network.networks(task.model),
        task.x[rows],
        task.y[rows],
        config,
        workers=cores.verifiers(len(rows)),
        report=lambda done: progress.report(int(rows[0]) + done),
    )
    return {
        "adversary": found.witness.astype(task.x.dtype),
        "success": np.isfinite(found.upper),
        "distance": found.upper,
        "queries": found.nodes,
        "lower": found.lower,
        "infimum": found.infimum,
    }


def _attack(
    experiment: configs.Experiment,
    attack: attacks.Attack | attacks.suite.Suite,
    task: attack_task.Task,
    rows: np.ndarray,
) -> dict[str, np.ndarray]:
    """Attacks some images, compiled for as many as there are at most at a time."""
    key = jax.random.key(experiment.seed)
    x, goal, start = jax.tree.map(lambda a: a[rows], (task.x, task.goal, task.start))
    devices = jax.local_devices()
    room = min(experiment.at_a_time, len(task.x))
    others: dict[str, Any] = {}
    if isinstance(attack, attacks.suite.Suite):
        report = attack(key, task.fn, x, goal, start, devices=devices)
        result = attacks.AttackResult(*report[:4])
        others = {
            "strongest": np.asarray(report.strongest),
            "stages": np.array([stage.name for stage in report.stages]),
            "warnings": np.array(report.warnings, dtype=str),
        }
    elif attack.needs == "labels":
        most = getattr(attack, "max_queries", None) or _MOST_QUERIES
        budgets = query_curve.budgets(most, _LOOKS)
        result, curve = query_curve.record(
            attack, key, task.fn, x, goal, start, budgets, devices=devices, room=room
        )
        others = {"budgets": budgets, "curve": np.asarray(curve)}
    else:
        result = attack.watch(
            key, task.fn, x, goal, start, devices=devices, room=room
        ).result
    if experiment.polish:
        result = _polished(task, rows, result)
    found = {name: np.asarray(array) for name, array in result._asdict().items()}
    return {**found, **others}


def _polished(
    task: attack_task.Task, rows: np.ndarray, result: attacks.AttackResult
) -> attacks.AttackResult:
    """Moves adversaries nearer; what is none stays as the attack left it."""
    if task.attack.norm == "l1":
        raise ValueError("polish knows the norms l2 and linf, but the attack is in l1")
    polishing = verification.cell_polishing(norm=task.attack.norm)
    key, x, y = jax.random.key(0), task.x[rows], task.y[rows]
    near = polishing(key, task.model, x, y, result.adversary)
    return attacks.AttackResult(
        jnp.where(near.success[:, None], near.adversary, result.adversary),
        result.success,
        jnp.where(near.success, near.distance, result.distance),
        result.queries + near.queries,
    )


def _without_slope(task: attack_task.Task) -> float | None:
    """The share of images without gradient; None for attacks that do not follow it.

    Suites look for themselves, and warn.
    """
    if isinstance(task.attack, _NO_GRADIENTS) or task.attack.needs == "labels":
        return None
    slopes = jax.grad(lambda x: jnp.sum(task.fn(x) ** 2 + task.fn(x)))(task.x)
    return float(np.mean(~np.asarray(slopes != 0).any(axis=1)))


if __name__ == "__main__":
    command_line.run(main, define_flags)
