"""Attacks images of a saved 01 network, by any attack of the library.

    python -m experiments.attack
    python -m experiments.attack --config.model=networks.npz --config.images.count=100
    python -m experiments.attack --preset=ray_s --config.attack.max_queries=2000
    python -m experiments.attack --preset=hop_skip_jump --config.attack.radius=adaptive
    python -m experiments.attack --run_dir=runs/mine --resume

Without flags it attacks 20 test images of the run that `python -m
experiments.train_zero_one` leaves, by HopSkipJump, in less than a minute on a laptop.

--preset names the attack, --config.attack.FIELD=VALUE changes one of its settings; what
there is, --help lists for the preset given beside it. The run directory fills with
config.json (the settings), chunks (adversaries, image by image, a file for every few),
metrics.jsonl (a line for every image), and at the end with adversaries.npz, results.md
(the table), adversaries.png, for attacks by labels curve.png (distance against
queries), and summary.json. A killed run goes on with --resume and the same settings,
and ends with the very same files.
"""

import dataclasses
import json
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import attack_report, command_line
from experiments.configs import attack as configs
from experiments.progress import Progress
from zeroone_jax import attacks, data, runs
from zeroone_jax.evaluation import query_curve
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array

_POOL = 1000
_LOOKS = 60
_NO_GRADIENTS = (
    attacks.hyperplane_crossing,
    attacks.spsa,
    attacks.square,
    attacks.surrogate_gradient,
)
_MOST_QUERIES = 1_000_000


class Source(NamedTuple):
    """A data set.

    Attributes:
        name: as for `data.load`.
        classes: the labels to keep; none keeps all.
    """

    name: str = "cifar10"
    classes: Sequence[int] = (0, 1)


class Task(NamedTuple):
    """Everything that the attack needs.

    Attributes:
        attack: the attack.
        fn: the model, as the attack needs it.
        label_fn: the model's labels.
        split: the images chosen, for their shape, indices and class names.
        x: float [n, d], the images.
        y: i32 [n], their labels.
        goal: i32 [n], the labels, or of a targeted attack the targets.
        start: float [n, d], where to start, or None.
    """

    attack: attacks.Attack
    fn: jax.tree_util.Partial
    label_fn: jax.tree_util.Partial
    split: data.Split
    x: Array
    y: Array
    goal: Array
    start: Array | None


def define_flags(argv: Sequence[str]) -> Callable[[], configs.Experiment]:
    """Defines the flags of this launcher.

    Args:
        argv: the command line.

    Returns:
        A function that gives the settings once flags are parsed.
    """
    flags.DEFINE_string(
        "run_dir", None, "Directory to fill. Default: runs/attack-PRESET-seedSEED."
    )
    flags.DEFINE_bool("resume", False, "Go on with what the run directory holds.")
    command_line.define_data_dir()
    return command_line.define_settings(configs.PRESETS, argv)


def main(settings: Callable[[], configs.Experiment]) -> None:
    """Runs the launcher.

    Args:
        settings: what `define_flags` returned.
    """
    options = flags.FLAGS
    experiment = settings()
    jax.config.update("jax_enable_x64", experiment.double)
    default = pathlib.Path("runs") / f"attack-{options.preset}-seed{experiment.seed}"
    path = default if options.run_dir is None else pathlib.Path(options.run_dir)
    try:
        task = prepare(experiment, options.data_dir)
        with runs.RunDirectory(
            path,
            as_json(experiment),
            resume=options.resume,
            revision=runs.git_revision(pathlib.Path(__file__)),
        ) as run:
            if run.summary() is None:
                fill(experiment, task, run)
            print((path / "results.md").read_text())
            print(f"Run directory: {path}")
    except runs.RunError as error:
        raise command_line.UserError(str(error)) from error
    except KeyboardInterrupt:
        sys.exit(f"\nStopped. To go on: --run_dir={path} --resume, same settings.")


def as_json(experiment: configs.Experiment) -> dict[str, Any]:
    """Gives the settings as JSON's types, with the attack's name."""
    settings = dataclasses.asdict(experiment)
    name = type(experiment.attack).__name__
    return {**settings, "attack": {"name": name, **settings["attack"]}}


def prepare(experiment: configs.Experiment, data_dir: str | None = None) -> Task:
    """Loads the model, and picks the images.

    Args:
        experiment: the settings.
        data_dir: folder of prepared data sets; None for the usual one.

    Returns:
        The task.

    Raises:
        command_line.UserError: the model or the images cannot be had, or they or the
            settings do not go together.
    """
    params, trained_on = load_networks(experiment.model, experiment.double)
    wanted = experiment.images
    source = Source(wanted.name, wanted.classes) if wanted.name else trained_on
    split = command_line.load(source.name, wanted.split, source.classes, data_dir)
    label_fn = jax.tree_util.Partial(zero_one.predict, params)
    dtype = params.w1.dtype
    try:
        chosen = _choose(wanted, split, label_fn, dtype)
        x, y = _features(chosen, dtype), jnp.asarray(chosen.labels)
        attack, goal = experiment.attack, y
        if attack.targeted:
            goal = (y + 1) % len(split.class_names)
        if isinstance(attack, attacks.square) and attack.image_shape is None:
            height, width, channels = split.images.shape[1:]
            attack = dataclasses.replace(attack, image_shape=(height, width, channels))
        start = None
        if attack.starts_from_adversary and experiment.start != "noise":
            training = command_line.load(source.name, "train", source.classes, data_dir)
            pool = _features(
                _rows(training, np.arange(len(training.labels))[:_POOL]), dtype
            )
            start = _starts(experiment, attack, x, goal, pool, label_fn(pool))
    except ValueError as error:
        raise command_line.UserError(str(error)) from error
    fn = label_fn
    if attack.needs == "logits":
        fn = jax.tree_util.Partial(zero_one.vote_scores, params)
    return Task(attack, fn, label_fn, chosen, x, y, goal, start)


def load_networks(path: str, double: bool) -> tuple[zero_one.Params, Source]:
    """Loads 01 networks, and says what they were trained on.

    Args:
        path: a run directory, or an .npz file.
        double: whether in float64.

    Returns:
        The networks, and the data set; of an .npz, which does not know, CIFAR-10 0v1.

    Raises:
        command_line.UserError: there are none.
    """
    place = pathlib.Path(path).expanduser()
    dtype = jnp.float64 if double else jnp.float32
    try:
        if place.suffix == ".npz":
            return zero_one.from_npz(place, dtype=dtype), Source()
        if (place / "params").is_dir():
            settings = json.loads((place / "config.json").read_text())["data"]
            trained_on = Source(settings["name"], tuple(settings["classes"]))
            params = zero_one.load(place / "params")
            return zero_one.astype(params, dtype), trained_on
    except (OSError, ValueError, KeyError) as error:
        raise command_line.UserError(f"{path}: no networks: {error}") from error
    raise command_line.UserError(
        f"There is no model at {path}: give --config.model a run directory of "
        "python -m experiments.train_zero_one that has finished (without flags, that "
        "fills runs/cifar10_0v1-seed0), or an .npz file of w1, b1, w2 and b2"
    )


def fill(experiment: configs.Experiment, task: Task, run: runs.RunDirectory) -> None:
    """Attacks what has not been attacked, and fills the run directory.

    Args:
        experiment: the settings.
        task: what `prepare` gave.
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
    chunks = []
    for first, path in zip(firsts, paths, strict=True):
        rows = np.arange(first, min(first + experiment.at_a_time, count))
        if not path.exists():
            try:
                arrays = _attack(experiment, task, rows)
            except (TypeError, ValueError) as error:
                raise command_line.UserError(str(error)) from error
            with runs.replacing(path) as partial:
                np.savez(partial, allow_pickle=False, **arrays)
            broken = int(arrays["success"].sum())
            progress.report(int(rows[-1]) + 1, f"{broken} of these {len(rows)} broken")
        with np.load(path) as file:
            chunks.append({name: file[name] for name in file.files})
        run.append_metrics(attack_report.records(chunks[-1], int(rows[-1]) + 1))
    together = {
        name: chunks[0][name]
        if name == "budgets"
        else np.concatenate([chunk[name] for chunk in chunks])
        for name in chunks[0]
    }
    seconds = time.monotonic() - began
    attack_report.write(
        as_json(experiment),
        run,
        attack_report.Outcome(
            name=type(task.attack).__name__,
            norm=task.attack.norm,
            in_ball=task.attack.in_ball,
            flat=_without_slope(task),
            split=task.split,
            arrays=together,
        ),
        seconds,
    )


def _attack(
    experiment: configs.Experiment, task: Task, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Attacks some images; the same number every time, so that it compiles once."""
    count, size = len(rows), min(experiment.at_a_time, len(task.x))
    filled = np.concatenate([rows, np.repeat(rows[:1], size - count)])
    key = jax.random.key(experiment.seed)
    x, goal = task.x[filled], task.goal[filled]
    start = None if task.start is None else task.start[filled]
    curve = {}
    if task.attack.needs == "labels":
        most = getattr(task.attack, "max_queries", None) or _MOST_QUERIES
        budgets = query_curve.budgets(most, _LOOKS)
        result, distances = query_curve.record(
            task.attack, key, task.fn, x, goal, start, budgets
        )
        curve = {"budgets": budgets, "curve": np.asarray(distances)[:count]}
    else:
        result = task.attack(key, task.fn, x, goal, start)
    found = {
        name: np.asarray(array)[:count] for name, array in result._asdict().items()
    }
    return {
        "index": task.split.indices[rows],
        "image": np.asarray(task.x[rows]),
        "label": np.asarray(task.y[rows]),
        "label_before": np.asarray(task.label_fn(x))[:count],
        "label_after": np.asarray(task.label_fn(result.adversary))[:count],
        **found,
        **curve,
    }


def _choose(
    wanted: configs.Images,
    split: data.Split,
    label_fn: jax.tree_util.Partial,
    dtype: jnp.dtype,
) -> data.Split:
    """Picks images; raises ValueError where there are none."""
    total = len(split.labels)
    rows = np.arange(total)
    if wanted.indices:
        rows = np.array(wanted.indices)
        if rows.min() < 0 or rows.max() >= total:
            raise ValueError(
                f"images.indices are {wanted.indices}, but there are {total} images"
            )
    if wanted.only_correct:
        labels = np.asarray(label_fn(_features(_rows(split, rows), dtype)))
        rows = rows[labels == split.labels[rows]]
    if not wanted.indices:
        rows = rows[: wanted.count]
    if not len(rows):
        raise ValueError("of the images asked for, the model labels none correctly")
    return _rows(split, rows)


def _rows(split: data.Split, rows: np.ndarray) -> data.Split:
    return split._replace(
        images=split.images[rows],
        labels=split.labels[rows],
        indices=split.indices[rows],
    )


def _features(split: data.Split, dtype: jnp.dtype) -> Array:
    return jnp.asarray(data.as_features(split)[0], dtype)


def _starts(
    experiment: configs.Experiment,
    attack: attacks.Attack,
    x: Array,
    goal: Array,
    pool: Array,
    labels: Array,
) -> Array:
    if experiment.start == "nearest":
        return attacks.nearest_start(
            x, goal, pool, labels, attack.norm, attack.targeted
        )
    key = jax.random.key(experiment.seed)
    return attacks.random_start(key, x, goal, pool, labels, attack.targeted)


def _without_slope(task: Task) -> float | None:
    """The share of images without gradient, None for attacks that need none there."""
    if task.attack.needs == "labels" or isinstance(task.attack, _NO_GRADIENTS):
        return None
    slopes = jax.grad(lambda x: jnp.sum(task.fn(x) ** 2 + task.fn(x)))(task.x)
    return float(np.mean(~np.asarray(slopes != 0).any(axis=1)))


if __name__ == "__main__":
    command_line.run(main, define_flags)
