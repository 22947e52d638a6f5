"""The models whose certified accuracy is compared, and how each is trained."""

import dataclasses
from typing import Any

from zeroone_jax import coordinate_descent
from zeroone_jax.training import Adam, Config, objectives

from ...configs import network, zero_one
from ...studies.study import Scale
from ...studies.target import Target
from ..paper_a import targets as paper_a
from .proofs import Norm


def sign_networks(scale: Scale) -> list[Target]:
    """Lists 01 networks, the ordinary one first."""
    return [paper_a.described("mlp01", 0.0, scale), *paper_a.certified(scale)]


def other_networks(scale: Scale) -> list[Target]:
    """Lists certified networks of other classes, and by other seeds."""
    _, certified, _ = sign_networks(scale)
    trained: Any = certified.trained
    pairs = [(3, 5), (1, 9), (4, 7)]
    return [
        *(
            dataclasses.replace(
                certified.of(pair), name="certified_{}v{}".format(*pair)
            )
            for pair in (pairs[:1] if scale == "smoke" else pairs)
        ),
        *(
            dataclasses.replace(
                certified,
                name=f"certified_seed{seed}",
                trained=dataclasses.replace(trained, seed=seed),
            )
            for seed in ((1,) if scale == "smoke" else (1, 2))
        ),
    ]


def sensible_networks(scale: Scale) -> list[Target]:
    """Lists certified networks by radius: plain, and sensible by either reference.

    The references are the same search without a radius, and with one.
    """
    ordinary, certified, _ = sign_networks(scale)
    found = []
    for epsilon in (0.5,) if scale == "smoke" else (0.25, 0.5, 1.0):
        trained: Any = certified.trained
        solver = dataclasses.replace(trained.solver, epsilon=epsilon)
        trained = dataclasses.replace(trained, solver=solver)
        found += [
            Target(f"{name}_{epsilon}", 0.0, trained, reference)
            for name, reference in (
                ("certified", None),
                ("sensible_to_ordinary", ordinary),
                ("sensible_to_certified", certified),
            )
        ]
    return found


def cube_networks(scale: Scale) -> list[Target]:
    """Lists 01 networks that are certified in Linf, by radius."""
    solver = coordinate_descent.PRESETS["certified_linf"]()
    few: dict[str, Any] = {"iterations": 4, "votes": 2} if scale == "smoke" else {}
    return [
        Target(
            f"certified_linf_{levels}",
            0.0,
            zero_one.Experiment(
                solver=dataclasses.replace(solver, epsilon=levels / 255, **few)
            ),
        )
        for levels in (2, 8)
    ]


def linear_against_pgd(scale: Scale) -> Target:
    """A linear classifier that is trained on its worst images in Linf, within 8/255.

    One step across the ball finds them.
    """
    epochs = {"smoke": 1, "laptop": 40, "paper": 200}[scale]
    trained = _trained(
        "lipschitz_linear",
        objectives.projected_gradient(epsilon=8 / 255, step_size=16 / 255, steps=1),
        Config(epochs=epochs, optimizer=Adam(learning_rate=1e-3)),
        scale,
    )
    return Target("linear_pgd_8", 0.0, trained)


def digit_networks(scale: Scale) -> dict[Norm, Target]:
    """Lists networks of MNIST's ten classes, one against all, by the norm they keep.

    A laptop trains on the first 20,000 images.
    """
    laptop: dict[str, Any] = {"iterations": 1000, "features": 128}
    smoke: dict[str, Any] = {"iterations": 4, "features": 32, "votes": 2}
    few = {"smoke": smoke, "laptop": laptop, "paper": {}}[scale]
    count = {"smoke": 1000, "laptop": 20_000, "paper": 0}[scale]
    data = zero_one.Data("mnist", classes=(), count=count)

    def trained(norm: Norm, preset: str, epsilon: float) -> Target:
        solver = coordinate_descent.PRESETS[preset]()
        solver = dataclasses.replace(solver, epsilon=epsilon, **few)
        return Target(f"certified_{norm}", 0.0, zero_one.Experiment(data, solver))

    return {
        "l2": trained("l2", "certified", 1.0),
        "linf": trained("linf", "certified_linf", 0.1),
    }


def margin_networks(scale: Scale) -> list[Target]:
    """Lists Lipschitz networks: linear ones, and of two hidden layers."""
    linear: dict[str, Any] = {"width": 0.25, "first_width": 8.0}
    deep: dict[str, Any] = {"width": 0.5, "first_width": 4.0}
    return [
        Target(f"{name}_{epsilon}", 0.0, _lipschitz(name, epsilon, rate, ramp, scale))
        for name, rate, ramp, epsilons in (
            ("lipschitz_linear", 1e-3, linear, (0.1, 0.5)),
            ("lipschitz_mlp", 1e-4, deep, (0.25, 0.5)),
        )
        for epsilon in epsilons
    ]


def noisy_networks(scale: Scale) -> list[Target]:
    """Lists LeNets trained under noise, to be smoothed by it."""
    return [
        Target(f"lenet_smoothed_{sigma}", 0.0, _noisy(sigma, scale)) for sigma in SIGMAS
    ]


SIGMAS = (0.25, 0.5)
"""Standard deviations of the noise that networks are smoothed by."""


def _lipschitz(
    name: str, epsilon: float, rate: float, ramp: dict[str, Any], scale: Scale
) -> network.Experiment:
    laptop = 40 if name == "lipschitz_mlp" else 200
    epochs = {"smoke": 1, "laptop": laptop, "paper": 200}[scale]
    return _trained(
        name,
        objectives.certified_margin(epsilon=epsilon, anneal=epochs / 2, **ramp),
        Config(epochs=epochs, optimizer=Adam(learning_rate=rate)),
        scale,
    )


def _noisy(sigma: float, scale: Scale) -> network.Experiment:
    epochs = {"smoke": 1, "laptop": 30, "paper": 100}[scale]
    return _trained(
        "lenet",
        objectives.gaussian_noise(sigma=sigma),
        Config(epochs=epochs, optimizer=Adam(learning_rate=1e-3)),
        scale,
    )


def _trained(
    name: str, objective: objectives.Objective, training: Config, scale: Scale
) -> network.Experiment:
    return network.Experiment(
        data=network.Data("cifar10", (0, 1), 1000 if scale == "smoke" else 0),
        network=name,
        objective=objective,
        training=training,
    )
