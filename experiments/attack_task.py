"""What `experiments.attack` attacks: a saved model, and images picked for it."""

import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import attacks, data
from zeroone_jax.types import Array

from . import attack_work, attacked_models, command_line
from .attack_work import Batch, Work
from .configs import attack as configs

_POOL = 1000


class Task(NamedTuple):
    """Everything that the launcher needs.

    Attributes:
        work: what is to be done.
        split: the images chosen, for their indices and class names.
        images: all of them.
    """

    work: Work
    split: data.Split
    images: Batch

    def batch(self, rows: np.ndarray) -> Batch:
        """Some of the images, by their places."""
        model, *arrays = self.images
        return Batch(model, *jax.tree.map(operator.itemgetter(rows), arrays))


def prepare(experiment: configs.Experiment) -> Task:
    """Loads the model, and picks the images.

    Args:
        experiment: the settings.

    Returns:
        The task.

    Raises:
        command_line.UserError: the model or the images cannot be had, or they or the
            settings do not go together.
    """
    model = attacked_models.load(experiment.model, experiment.double)
    wanted = experiment.images
    source = model.source
    if wanted.name:
        source = attacked_models.Source(wanted.name, wanted.classes)
    split = command_line.load(source, wanted.split)
    try:
        chosen = _choose(wanted, split, model)
        x, y = model.images(chosen), jnp.asarray(chosen.labels)
        todo = attack_work.work(experiment)
        goal = (y + 1) % len(split.class_names) if todo.wants_targets else y
        start = None
        if todo.takes_starts and experiment.start != "noise":
            training = command_line.load(source, "train")
            pool = model.images(training.take(slice(_POOL)))
            start = _starts(todo, experiment, x, goal, pool, model.label_fn(pool))
    except ValueError as error:
        raise command_line.UserError(str(error)) from error
    return Task(todo, chosen, Batch(model.logits_fn, x, y, goal, start))


def _choose(
    wanted: configs.Images, split: data.Split, model: attacked_models.Model
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
        labels = np.asarray(model.label_fn(model.images(split.take(rows))))
        rows = rows[labels == split.labels[rows]]
    if not wanted.indices:
        rows = rows[: wanted.count]
    if not len(rows):
        raise ValueError("of the images asked for, the model labels none correctly")
    return split.take(rows)


def _starts(
    todo: Work,
    experiment: configs.Experiment,
    x: Array,
    goal: Array,
    pool: Array,
    labels: Array,
) -> Array:
    images, targeted = (x, goal, pool, labels), todo.wants_targets
    if experiment.start == "nearest":
        return attacks.nearest_start(*images, todo.norm, targeted)
    return attacks.random_start(jax.random.key(experiment.seed), *images, targeted)
