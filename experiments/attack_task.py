"""What `experiments.attack` attacks: a saved model, and images picked for it."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import command_line
from experiments.configs import attack as configs
from zeroone_jax import attacks, data
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array

_POOL = 1000


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
        name: what to call the attack.
        attack: the attack, or the suite.
        fn: the model, as the attack needs it.
        label_fn: the model's labels.
        split: the images chosen, for their shape, indices and class names.
        x: float [n, d], the images.
        y: i32 [n], their labels.
        goal: i32 [n], the labels, or of a targeted attack the targets.
        start: float [n, d], where to start, or None.
    """

    name: str
    attack: attacks.Attack | attacks.suite.Suite
    fn: jax.tree_util.Partial
    label_fn: jax.tree_util.Partial
    split: data.Split
    x: Array
    y: Array
    goal: Array
    start: Array | None


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
        attack = _built(experiment.attack, split)
        goal = y
        if isinstance(attack, attacks.Attack) and attack.targeted:
            goal = (y + 1) % len(split.class_names)
        start = None
        if _takes_starts(attack) and experiment.start != "noise":
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
    name = type(experiment.attack).__name__
    return Task(name, attack, fn, label_fn, chosen, x, y, goal, start)


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


def _built(
    settings: attacks.Attack | configs.Suite, split: data.Split
) -> attacks.Attack | attacks.suite.Suite:
    """Makes the attack, which may want to know the shape of flat images."""
    height, width, channels = split.images.shape[1:]
    if isinstance(settings, configs.Suite):
        return settings.build((height, width, channels))
    if isinstance(settings, attacks.square) and settings.image_shape is None:
        return dataclasses.replace(settings, image_shape=(height, width, channels))
    return settings


def _takes_starts(attack: attacks.Attack | attacks.suite.Suite) -> bool:
    if isinstance(attack, attacks.suite.Suite):
        return all(stage.attack.starts_from_adversary for stage in attack.stages)
    return attack.starts_from_adversary


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
    attack: attacks.Attack | attacks.suite.Suite,
    x: Array,
    goal: Array,
    pool: Array,
    labels: Array,
) -> Array:
    targeted = isinstance(attack, attacks.Attack) and attack.targeted
    if experiment.start == "nearest":
        return attacks.nearest_start(x, goal, pool, labels, attack.norm, targeted)
    key = jax.random.key(experiment.seed)
    return attacks.random_start(key, x, goal, pool, labels, targeted)
