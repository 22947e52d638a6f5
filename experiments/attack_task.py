"""What `experiments.attack` attacks: a saved model, and images picked for it."""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from experiments import attacked_models, command_line
from experiments.configs import attack as configs
from zeroone_jax import attacks, data, verification
from zeroone_jax.types import Array, LabelFn, LogitsFn

_POOL = 1000

Attacking: TypeAlias = attacks.Attack | attacks.suite.Suite | verification.Config
"""What the launcher can do to images."""


class Task(NamedTuple):
    """Everything that the attack needs.

    Attributes:
        name: what to call the attack.
        attack: the attack, the suite, or what is to be verified.
        model: the classifier.
        fn: the classifier, or its labels, as the attack needs it.
        label_fn: its labels.
        split: the images chosen, for their shape, indices and class names.
        x: float [n, d] or [n, height, width, channels], the images.
        y: i32 [n], their labels.
        goal: i32 [n], the labels, or of a targeted attack the targets.
        start: float, of x's shape, where to start, or None.
    """

    name: str
    attack: Attacking
    model: LogitsFn
    fn: LogitsFn | LabelFn
    label_fn: LabelFn
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
    model = attacked_models.load(experiment.model, experiment.double, data_dir)
    wanted = experiment.images
    source = model.source
    if wanted.name:
        source = attacked_models.Source(wanted.name, wanted.classes)
    split = command_line.load(source.name, wanted.split, source.classes, data_dir)
    try:
        chosen = _choose(wanted, split, model)
        x, y = model.images(chosen), jnp.asarray(chosen.labels)
        attack = _built(experiment.attack)
        goal = y
        if _wants_targets(attack):
            goal = (y + 1) % len(split.class_names)
        start = None
        if _takes_starts(attack) and experiment.start != "noise":
            training = command_line.load(source.name, "train", source.classes, data_dir)
            some = picked(training, np.arange(len(training.labels))[:_POOL])
            pool = model.images(some)
            start = _starts(experiment, attack, x, goal, pool, model.label_fn(pool))
    except ValueError as error:
        raise command_line.UserError(str(error)) from error
    labels = isinstance(attack, verification.Config) or attack.needs == "labels"
    return Task(
        name=name_of(experiment.attack),
        attack=attack,
        model=model.logits_fn,
        fn=model.label_fn if labels else model.logits_fn,
        label_fn=model.label_fn,
        split=chosen,
        x=x,
        y=y,
        goal=goal,
        start=start,
    )


def name_of(settings: attacks.Attack | configs.Suite | verification.Config) -> str:
    """What to call an attack, a suite, or verification."""
    if isinstance(settings, verification.Config):
        return "Verification"
    return type(settings).__name__


def _built(settings: attacks.Attack | configs.Suite | verification.Config) -> Attacking:
    return settings.build() if isinstance(settings, configs.Suite) else settings


def _wants_targets(attack: Attacking) -> bool:
    """Whether it is given the classes to reach in the place of labels."""
    if isinstance(attack, verification.Config):
        return False
    every = isinstance(attack, attacks.suite.Suite) and attack.every_class
    return attack.targeted and not every


def _takes_starts(attack: Attacking) -> bool:
    if isinstance(attack, verification.Config):
        return False
    if isinstance(attack, attacks.suite.Suite):
        return all(stage.attack.starts_from_adversary for stage in attack.stages)
    return attack.starts_from_adversary


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
        labels = np.asarray(model.label_fn(model.images(picked(split, rows))))
        rows = rows[labels == split.labels[rows]]
    if not wanted.indices:
        rows = rows[: wanted.count]
    if not len(rows):
        raise ValueError("of the images asked for, the model labels none correctly")
    return picked(split, rows)


def picked(split: data.Split, rows: np.ndarray | slice) -> data.Split:
    """Picks some images of a split.

    Args:
        split: the images.
        rows: which, by their places.
    """
    return split._replace(
        images=split.images[rows],
        labels=split.labels[rows],
        indices=split.indices[rows],
    )


def _starts(
    experiment: configs.Experiment,
    attack: Attacking,
    x: Array,
    goal: Array,
    pool: Array,
    labels: Array,
) -> Array:
    targeted = _wants_targets(attack)
    if experiment.start == "nearest":
        return attacks.nearest_start(x, goal, pool, labels, attack.norm, targeted)
    key = jax.random.key(experiment.seed)
    return attacks.random_start(key, x, goal, pool, labels, targeted)
