"""The models that `experiments.attack` can attack: what training runs leave behind."""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from experiments import command_line, train_network
from experiments.configs import network as network_configs
from zeroone_jax import attacks, data, runs
from zeroone_jax.models import network as networks
from zeroone_jax.models import zero_one
from zeroone_jax.types import Array, LabelFn, LogitsFn

_Read = TypeVar("_Read")


class Source(NamedTuple):
    """A data set.

    Attributes:
        name: as for `data.load`.
        classes: the labels to keep; none keeps all.
    """

    name: str = "cifar10"
    classes: Sequence[int] = (0, 1)


class Model(NamedTuple):
    """A trained model.

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

    def images(self, split: data.Split) -> Array:
        """Images [n, height, width, channels] in [0,1], in the model's type."""
        rows = jnp.asarray(data.as_features(split)[0], self.dtype)
        return rows.reshape(split.images.shape)


def load(path: str, double: bool) -> Model:
    """Loads a model, and says what it was trained on.

    Args:
        path: a run directory, or an .npz file of 01 networks.
        double: whether in float64.

    Returns:
        The model; an .npz, which does not know, was trained on CIFAR-10 0v1.

    Raises:
        command_line.UserError: there is none.
    """
    place = pathlib.Path(path).expanduser()
    dtype = jnp.dtype(jnp.float64 if double else jnp.float32)
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
        "finished, or an .npz file of w1, b1, w2 and b2"
    )


def _zero_one(params: zero_one.Params, source: Source, dtype: jnp.dtype) -> Model:
    return Model(zero_one.Vote.flat(zero_one.astype(params, dtype)), source, dtype)


def _network(place: pathlib.Path, dtype: jnp.dtype) -> Model:
    source = _source(place)
    split = command_line.load(source, "test")
    experiment = runs.from_json(runs.read_settings(place), network_configs.Experiment)
    network = train_network.build(experiment, split)
    variables = jax.tree.map(
        lambda array: array.astype(dtype),
        _read(lambda: networks.load(place / "network.npz", network)),
    )
    return Model(network.bind(variables), source, dtype)


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
