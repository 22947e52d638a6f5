"""The models of paper A's tables: how each is trained, and the trained model.

Every model is an ensemble of as many votes as the scale has (on a laptop convolutional
networks are alone), trained on CIFAR-10, class 0 against 1 (A2, A3), with and without
the training images doubled by Gaussian noise.
"""

import dataclasses
from typing import Any

from zeroone_jax import coordinate_descent
from zeroone_jax.training import Adam, Config, Sgd

from ... import attacked_models
from ...configs import network, zero_one
from ...studies.study import Scale
from ...studies.target import REFERENCE, Foreign, Target
from .classical import Classical

_AUTHORS = REFERENCE / "authors_mlp01_8votes.npz"
"""The authors' 8 networks of 2021, where a checkout has them beside it."""

COMPARED = ("mlp01", "sigmoid", "binarized")
"""The models of the abstract, by name."""

CONVOLUTIONAL = ("lenet", "simple_net")
"""The convolutional networks, which CPUs ask slowly, by name."""

_VOTES: dict[Scale, int] = {"smoke": 2, "laptop": 8, "paper": 100}


@dataclasses.dataclass(frozen=True)
class _Authors(Foreign):
    """The networks that the authors trained, which hang on rounding."""

    double = True

    def settings(self) -> dict[str, Any]:
        return {"trained": "authors"}

    def missing(self) -> str:
        there = _AUTHORS.exists()
        return "" if there else f"the authors' networks are not at {_AUTHORS}"

    def model(self) -> attacked_models.Model:
        return attacked_models.load(str(_AUTHORS), self.double)


def targets(scale: Scale) -> list[Target]:
    """Lists the models of a scale, those without noise first.

    A laptop trains some with noise of .1 too, and those that the abstract compares with
    .004 and .2. The authors' networks can be attacked where their file is.
    """
    return [
        described(name, noise, scale)
        for noise, names in _NAMES[scale].items()
        for name in names
    ]


def certified(scale: Scale) -> list[Target]:
    """Lists our networks of the certified 01 loss, which stand beside the paper's."""
    return [described(name, 0.0, scale) for name in _OURS]


def with_certified(scale: Scale) -> list[Target]:
    """Lists the models of a scale, and our certified ones but in a smoke test."""
    return targets(scale) + ([] if scale == "smoke" else certified(scale))


def directories(scale: Scale) -> list[str]:
    """Names the run directories of a scale's models."""
    return [target.directory for target in targets(scale)]


def with_classical(scale: Scale) -> list[Target]:
    """Lists the models of a scale, our certified ones, and scikit-learn's.

    Few attacks meet those of scikit-learn, which a smoke test has none of.
    """
    names = () if scale == "smoke" else ("linear_svm", "random_forest")
    classical = [described(name, 0.0, scale) for name in names]
    return with_certified(scale) + classical


def compared(
    classes: tuple[int, int] = (0, 1), scale: Scale = "laptop", **epochs: int
) -> list[Target]:
    """Gives the three models of the abstract, of 8 votes unless for a smoke test.

    Args:
        classes: which are told apart.
        scale: in whose size.
        **epochs: of those trained by gradients, by name.
    """
    found = []
    for name in COMPARED:
        target = described(name, 0.0, scale).of(classes)
        if isinstance(target.trained, network.Experiment):
            training = dataclasses.replace(target.trained.training, epochs=epochs[name])
            trained = dataclasses.replace(target.trained, training=training)
            target = dataclasses.replace(target, trained=trained)
        found.append(target)
    return found


def described(name: str, noise: float, scale: Scale) -> Target:
    """Gives a model by name, on classes 0 and 1.

    Args:
        name: one of those that some scale has.
        noise: standard deviation of the noise on the training images; 0 is none.
        scale: in whose size.
    """
    make = (_TRAINED | _OURS).get(name)
    return Target(name, noise, make(noise, scale) if make else _FOREIGN[name])


def _zero_one(preset: str, **laptop: Any) -> Any:
    """Makes what trains 01 networks by a preset of the solver."""

    def made(noise: float, scale: Scale) -> zero_one.Experiment:
        smoke: dict[str, Any] = {"iterations": 12}
        changes = {"smoke": smoke, "laptop": laptop, "paper": {}}[scale]
        solver = coordinate_descent.PRESETS[preset]()
        return zero_one.Experiment(
            data=zero_one.Data(noise=noise, count=1000 if scale == "smoke" else 0),
            solver=dataclasses.replace(solver, votes=_VOTES[scale], **changes),
        )

    return made


def _network(
    name: str, config: Config, laptop: int, combine: Any = "probabilities"
) -> Any:
    """Makes what trains networks by gradients, on a laptop for so many epochs."""
    convolutional = name in CONVOLUTIONAL

    def made(noise: float, scale: Scale) -> network.Experiment:
        epochs = {"smoke": 1, "laptop": laptop, "paper": config.epochs}[scale]
        if scale == "laptop" and noise:
            # Of twice as many images: as many updates as without noise.
            epochs //= 2
        count = 1000 if convolutional and scale == "smoke" else 0
        alone = convolutional and scale != "paper"
        return network.Experiment(
            data=network.Data("cifar10", (0, 1), count, noise),
            network=name,
            training=dataclasses.replace(config, epochs=epochs),
            evaluation=network.Evaluation(epsilon=8 / 255),
            members=1 if alone else _VOTES[scale],
            combine=combine,
        )

    return made


_ADAM = Config(epochs=100, batch_size=64, optimizer=Adam(learning_rate=1e-3))
# scikit-learn's rule, by which the paper trains, divides the penalty 1e-4 by the batch.
_SIGMOID = Config(
    epochs=1000,
    batch_size=200,
    optimizer=Sgd(
        learning_rate=0.01, nesterov=True, weight_decay=1e-4 / 200, decay_all=False
    ),
    patience=10,
)
_BINARIZED = dataclasses.replace(_ADAM, optimizer=Adam(learning_rate=1e-3, limit=1.0))
_TRAINED = {
    "mlp01": _zero_one("default"),
    "mlp01-blind": _zero_one("paper_2020"),
    "scdce": _zero_one("scdce"),
    # 10,000 iterations take a laptop an hour, with noise two.
    "01bnn": _zero_one("01bnn", iterations=2500),
    "sigmoid": _network("mlp_sigmoid20", _SIGMOID, 200),
    "binarized": _network("binarized20", _BINARIZED, 100, "votes"),
    "lenet": _network("lenet", _ADAM, 10),
    "simple_net": _network("simple_net", _ADAM, 10),
}
"""By name, what makes the settings of a model for a noise and a scale."""

_OURS = {name: _zero_one(name) for name in ("certified", "certified_clean")}
"""By name, what makes the settings of networks of the certified 01 loss."""

_FOREIGN: dict[str, Foreign] = {
    "authors": _Authors(),
    "linear_svm": Classical("linear_svm"),
    "random_forest": Classical("random_forest"),
}

_NAMES: dict[Scale, dict[float, tuple[str, ...]]] = {
    "smoke": {0.0: ("mlp01", "sigmoid")},
    "laptop": {
        0.0: (
            *("mlp01", "mlp01-blind", "scdce", "01bnn", "sigmoid", "binarized"),
            *("lenet", "authors"),
        ),
        0.1: ("mlp01", "mlp01-blind", "sigmoid", "binarized", "lenet"),
        0.004: COMPARED,
        0.2: COMPARED,
    },
    "paper": {
        0.0: (*_TRAINED, "authors"),
        **dict.fromkeys((0.004, 0.1, 0.2), tuple(_TRAINED)),
    },
}
"""By scale and noise, the models of the tables."""
