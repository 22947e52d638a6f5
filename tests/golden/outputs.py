"""Computes what must not change: a few seconds of everything that has stored results.

    python -m tests.golden.outputs

writes `outputs.npz` beside it. Where it changes, stored results change: CHANGELOG says
so.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax import (
    attacks,
    coordinate_descent,
    losses,
    models,
    training,
    verification,
)
from zeroone_jax.models import zero_one
from zeroone_jax.training import objectives

PATH = pathlib.Path(__file__).with_name("outputs.npz")
KEY = jax.random.key(7)
SHAPE, CLASSES = (4, 4, 3), 5
_GENERATOR = np.random.default_rng(0)
_W1 = (_GENERATOR.normal(size=(48, 32)) / 4).astype(np.float32)
_W2 = _GENERATOR.normal(size=(32, CLASSES)).astype(np.float32)
_X = _GENERATOR.uniform(size=(16, *SHAPE)).astype(np.float32)
_X[:8] = np.round(_X[:8])


_PAPERS = {"loss": "cross_entropy", "fit_box": False}

ATTACKS = {
    "pgd": attacks.pgd(epsilon=0.05, iterations=10, restarts=2, **_PAPERS),
    "pgd_momentum_l2": attacks.pgd(
        epsilon=0.3, norm="l2", iterations=10, momentum=0.9, **_PAPERS
    ),
    "pgd_l1": attacks.pgd(epsilon=2.0, norm="l1", iterations=10, loss="dlr"),
    "pgd_targeted": attacks.pgd(epsilon=0.1, iterations=10, targeted=True),
    "fgsm": attacks.fgsm(epsilon=0.05),
    "apgd": attacks.apgd(epsilon=0.05, iterations=20, **_PAPERS),
    "apgd_l2": attacks.apgd(epsilon=0.3, norm="l2", iterations=20),
    "apgd_targeted_dlr": attacks.apgd(
        epsilon=0.05, iterations=10, loss="targeted_dlr", target_classes=2
    ),
    "fab": attacks.fab(norm="linf", epsilon=0.05, iterations=20),
    "fab_l2": attacks.fab(norm="l2", iterations=10, restarts=2),
    "fab_l1": attacks.fab(norm="l1", iterations=10, target_classes=2),
    "deep_fool": attacks.deep_fool(norm="l2"),
    "carlini_wagner": attacks.carlini_wagner(iterations=60, search_steps=3),
    "square": attacks.square(epsilon=0.05, max_queries=100),
    "square_l2": attacks.square(epsilon=0.3, norm="l2", max_queries=100),
    "spsa": attacks.spsa(epsilon=0.05, iterations=5, samples=16),
    "hop_skip_jump": attacks.hop_skip_jump(iterations=4),
    "hop_skip_jump_adaptive": attacks.hop_skip_jump(
        iterations=4, radius="adaptive", norm="linf"
    ),
    "boundary": attacks.boundary(iterations=10),
    "ray_s": attacks.ray_s(max_queries=200),
}
"""Attacks of a small network, with the settings of stored results where they differ."""

OBJECTIVES = {
    "natural": objectives.natural(),
    "gaussian_noise": objectives.gaussian_noise(sigma=0.1),
    "projected_gradient": objectives.projected_gradient(steps=2),
    "fast_gradient_sign": objectives.fast_gradient_sign(epsilon=0.05),
    "trades": objectives.trades(steps=2),
    "mart": objectives.mart(steps=2),
    "instance_adaptive": objectives.instance_adaptive(
        epsilon=0.1, step_size=0.05, steps=2, radius_step=0.02, warm_up=1
    ),
    "friendly": objectives.friendly(steps=2),
    "max_margin": objectives.max_margin(steps=2),
    "sense": objectives.sense(steps=3, warm_up=1, confidence=0.2),
    "sense_trade": objectives.sense_trade(steps=3, warm_up=1, confidence=0.2),
}
"""Every objective, for 20 updates of a small network."""

DESCENTS = {
    name: coordinate_descent.PRESETS[name]
    for name in ("default", "paper_2020", "paper_2021", "scdce", "01bnn")
}
"""Coordinate descent by the presets whose networks are stored."""


def logits(x):
    """Images [n, 4, 4, 3] to logits [n, 5]."""
    hidden = jnp.matmul(x.reshape(len(x), -1) - 0.5, _W1, precision="highest")
    return jnp.matmul(jnp.tanh(hidden), _W2, precision="highest")


def attacked(name):
    """What an attack finds: the fields of its result."""
    attack = ATTACKS[name]
    x = jnp.asarray(_X)
    y = losses.labels(logits(x))
    y = (y + 2) % CLASSES if attack.targeted else y.at[0].set((y[0] + 1) % CLASSES)
    fn = logits if attack.needs == "logits" else attacks.as_label_fn(logits)
    return attack(KEY, fn, x, y)._asdict()


def trained(name):
    """The parameters after 20 updates."""
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (80, *SHAPE), np.uint8)
    labels = generator.integers(0, 3, 80).astype(np.int32)
    network = models.build("mlp_sigmoid20", SHAPE, classes=3)
    config = training.Config(epochs=2, batch_size=8)
    state = training.fit(KEY, network, OBJECTIVES[name], images, labels, config)
    kernels = jax.tree.leaves(state.params)
    return {"params": np.concatenate([np.ravel(leaf) for leaf in kernels])}


def blobs():
    """8-bit images of two classes: float32 [60, 20] and i32 [60]."""
    generator = np.random.default_rng(5)
    y = generator.permutation(np.arange(60) % 2)
    x = generator.integers(0, 200, (60, 20))
    x[np.arange(60), y] += 55
    return (x / 255).astype(np.float32), y.astype(np.int32)


def fitted(name):
    """The networks after 12 iterations, and their training accuracy on the way."""
    config = DESCENTS[name]()
    config = type(config)(
        **{
            **vars(config),
            "votes": 3,
            "hidden": 4,
            "iterations": 12,
            "features": 10,
            "candidates": 3,
        }
    )
    result = coordinate_descent.fit(KEY, *blobs(), config)
    params = result.params
    arrays = {name: getattr(params, name) for name in ("w1", "b1", "w2", "b2")}
    return {**arrays, "pocket_accuracy": result.history.pocket_accuracy}


def measured(norm):
    """Exact distances of a vote."""
    x, _ = blobs()
    generator = np.random.default_rng(9)
    w1 = generator.normal(size=(3, 4, 20))
    w2 = generator.normal(size=(3, 4))
    # Thresholds amid the images, so that every network has both labels.
    arrays = (w1, -w1 @ x.mean(axis=0), w2, -w2.sum(axis=1) / 2)
    params = zero_one.Params(*(jnp.asarray(array, jnp.float32) for array in arrays))
    y = zero_one.predict(params, x[:6])
    found = verification.measure(params, x[:6], y, verification.Config(norm=norm))
    return {"lower": found.lower, "infimum": found.infimum, "upper": found.upper}


FAMILIES = {
    "attacks": (ATTACKS, attacked),
    "objectives": (OBJECTIVES, trained),
    "descents": (DESCENTS, fitted),
    "distances": (("l2", "linf"), measured),
}
"""Names of each kind, and what computes one of them."""


def main():
    """Writes the file."""
    arrays = {
        f"{family}/{name}/{field}": np.asarray(value)
        for family, (names, compute) in FAMILIES.items()
        for name in names
        for field, value in compute(name).items()
    }
    np.savez_compressed(PATH, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
