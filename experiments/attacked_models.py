"""The models that `experiments.attack` can attack: what training runs leave behind."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from zeroone_jax import attacks, data, models, runs
from zeroone_jax.models import network as networks
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array, LabelFn, LogitsFn

from . import command_line, train_network
from .configs import network as network_configs

_Read = TypeVar("_Read")

_POOL, _CHUNK = 1000, 1000


class Source(NamedTuple):
    """A data set.

    Attributes:
        name: as for `data.load`.
        classes: the labels to keep; none keeps all.
    """

    name: str = "cifar10"
    classes: Sequence[int] = (0, 1)


class Images(NamedTuple):
    """Images for a model.

    Attributes:
        x: float [n, height, width, channels].
        y: i32 [n].
        start: float, of x's shape, images of the other class; None to start from noise.
    """

    x: Array
    y: Array
    start: Array | None = None


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained model, and the images of its own data.

    Attributes:
        logits_fn: the classifier.
        source: what it was trained on.
        dtype: the type of the images it takes.
    """

    logits_fn: LogitsFn
    source: Source
    dtype: jnp.dtype

    @property
    def label_fn(self) -> LabelFn:
        """Its labels."""
        return attacks.as_label_fn(self.logits_fn)

    @functools.cached_property
    def networks(self) -> zero_one.Params | None:
        """A sign network's parameters as those of 01 networks, None of others."""
        return models.sign_networks(self.logits_fn)

    def images(self, split: data.Split) -> Array:
        """Images [n, height, width, channels] in [0,1], in the model's type."""
        rows = jnp.asarray(data.as_features(split)[0], self.dtype)
        return rows.reshape(split.images.shape)

    def fooled(self, adversary: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Tells of which images its labels are not y, bool [n]."""
        labels = self.label_fn(jnp.asarray(adversary))
        return np.asarray(labels) != np.asarray(y)

    def split(self, name: str) -> data.Split:
        """Loads its data, "train" or "test"."""
        return command_line.load(self.source, name)

    def test(self, rows: np.ndarray | slice = slice(None)) -> Images:
        """Loads test images, by their places."""
        chosen = self.split("test").take(rows)
        return Images(self.images(chosen), jnp.asarray(chosen.labels))

    def test_from_others(self, rows: np.ndarray) -> Images:
        """Loads test images, with training images of the other class to start from."""
        x, y, _ = self.test(rows)
        pool = self.images(self.split("train").take(slice(_POOL)))
        labels = self.label_fn(pool)
        start = attacks.random_start(jax.random.key(0), x, y, pool, labels)
        return Images(x, y, start)

    def right(self, name: str) -> np.ndarray:
        """Tells which images of "train" or "test" it labels rightly, bool [n]."""
        loaded = self.split(name)
        labels = attacks.predict(self.logits_fn, self.images(loaded), _CHUNK)
        return np.asarray(labels) == loaded.labels


def load(path: str, double: bool) -> Model:
    """Loads a model, and says what it was trained on.

    Args:
        path: a run directory, an .npz file of 01 networks, or the name of a network
            that comes with the library.
        double: whether in float64.

    Returns:
        The model; an .npz, which does not know, was trained on CIFAR-10 0v1.

    Raises:
        command_line.UserError: there is none.
    """
    place = pathlib.Path(path).expanduser()
    dtype = jnp.dtype(jnp.float64 if double else jnp.float32)
    if path in models.PRETRAINED:
        source = Source(models.PRETRAINED[path].data, ())
        return Model(_astype(models.pretrained(path), dtype), source, dtype)
    try:
        if place.suffix == ".npz":
            return _zero_one(zero_one.load(place, dtype=dtype), Source(), dtype)
        if (place / "networks.npz").exists():
            found = _read(lambda: zero_one.load(place / "networks.npz", dtype=dtype))
            return _zero_one(found, _source(place), dtype)
        if (place / "network.npz").exists():
            return _network(place, dtype)
    except (OSError, ValueError) as error:
        raise command_line.UserError(f"{path}: no model: {error}") from error
    except KeyError as error:
        raise command_line.UserError(
            f"{path}: no model: its config.json has no {error}"
        ) from error
    raise command_line.UserError(
        f"There is no model at {path}: give --config.model a run directory of "
        "python -m experiments.train_zero_one (without flags, that fills "
        "runs/cifar10_0v1-seed0) or of python -m experiments.train_network that has "
        "finished, an .npz file of w1, b1, w2 and b2, or one of "
        f"{', '.join(models.PRETRAINED)}"
    )


def _zero_one(params: zero_one.Params, source: Source, dtype: jnp.dtype) -> Model:
    return Model(zero_one.Vote.flat(zero_one.astype(params, dtype)), source, dtype)


def _network(place: pathlib.Path, dtype: jnp.dtype) -> Model:
    source = _source(place)
    split = command_line.load(source, "test")
    experiment = runs.from_json(runs.read_settings(place), network_configs.Experiment)
    network = train_network.build(experiment, split)
    variables = _read(lambda: networks.load(place / "network.npz", network))
    return Model(_astype(network.bind(variables), dtype), source, dtype)


def _astype(trained: models.Trained, dtype: jnp.dtype) -> models.Trained:
    return jax.tree.map(lambda array: array.astype(dtype), trained)


def _read(read: Callable[[], _Read]) -> _Read:
    """Reads what a training run has left, or says how it is written again."""
    try:
        return read()
    except runs.DamagedError as error:
        raise command_line.UserError(
            f"{error}: remove it and the summary.json beside it, and the training's "
            "command with --resume writes it again"
        ) from error


def _source(place: pathlib.Path) -> Source:
    settings = runs.read_settings(place)["data"]
    return Source(settings["name"], tuple(settings["classes"]))
