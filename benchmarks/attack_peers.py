"""Networks to attack, and other libraries' attacks on them."""

import functools
import pathlib
import time
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from tests.peers import trained
from zeroone_jax import attacks, data
from zeroone_jax.attacks import adapters
from zeroone_jax.models import zero_one as networks
from zeroone_jax.types import LabelFn

Images: TypeAlias = tuple[jax.Array, jax.Array, jax.Array]
"""Images f32 [n, d], labels i32 [n], and starting points f32 [n, d]."""

NETWORK = (
    pathlib.Path(__file__).parents[2]
    / "shared"
    / "reference"
    / "example_mlp01_8votes.npz"
)
HOP_SKIP_JUMP = {"norm": 2, "max_iter": 40, "init_eval": 100, "max_eval": 10_000}
BOUNDARY = {
    "delta": 0.01,
    "epsilon": 0.01,
    "max_iter": 100,
    "num_trial": 100,
    "sample_size": 100,
    "min_epsilon": 0.0,
}
SUITE_EPSILON = 0.1


@functools.cache
def cifar10() -> tuple[data.Split, data.Split]:
    """CIFAR-10, class 0 against 1."""
    train, test = (
        data.load("cifar10", split, classes=(0, 1)) for split in ("train", "test")
    )
    return train, test


def zero_one(count: int) -> tuple[LabelFn, Images]:
    """The example 01 network, images it labels right, random starts."""
    params = networks.load(NETWORK)
    x, y = map(jnp.asarray, data.as_features(cifar10()[1]))
    labels = networks.predict(params, x)
    right = jnp.flatnonzero(labels == y)[:count]
    start = attacks.random_start(jax.random.key(1), x[right], y[right], x, labels)
    return networks.Vote.flat(params).labels, (x[right], y[right], start)


@functools.cache
def sigmoid_mlp() -> trained.Trained:
    """Eight sigmoid networks on CIFAR-10, class 0 against 1."""
    return trained.sigmoid_mlp(*cifar10())


@functools.cache
def small_cnn() -> trained.Trained:
    """LeNet on CIFAR-10, class 0 against 1."""
    return trained.small_cnn(*cifar10())


@functools.cache
def mlp_10() -> trained.Trained:
    """A ReLU network on MNIST."""
    return trained.mlp_10(*(data.load("mnist", split) for split in ("train", "test")))


def art(name: str, label_fn: Any, images: Images, settings: dict) -> dict[str, float]:
    """Runs an attack of ART on the example 01 network in numpy, its fastest form."""
    from art.attacks import evasion
    from art.estimators.classification import BlackBoxClassifier

    x, y, start = map(np.asarray, images)
    asked = []

    def one_hot(points: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return np.eye(2, dtype=np.float32)[numpy_labels(points)]

    if (numpy_labels(x) != np.asarray(label_fn(images[0]))).any():
        raise AssertionError("the two forms of the network disagree")
    classifier = BlackBoxClassifier(
        one_hot, input_shape=x.shape[1:], nb_classes=2, clip_values=(0.0, 1.0)
    )
    attack = getattr(evasion, name)(
        classifier, targeted=False, verbose=False, **settings
    )
    np.random.seed(0)  # noqa: NPY002 - the peer draws from numpy's global state
    began = time.perf_counter()
    adversaries = attack.generate(x, x_adv_init=start)
    seconds = time.perf_counter() - began
    if (numpy_labels(adversaries) == y).any():
        raise AssertionError("ART's adversaries are none")
    distance = np.linalg.norm(adversaries - x, axis=1)
    return {
        "seconds": seconds,
        "queries": sum(asked) / len(x),
        "median": float(np.median(distance)),
    }


@functools.cache
def _numpy_network() -> tuple[np.ndarray, ...]:
    params = networks.load(NETWORK)
    votes, units, features = params.w1.shape
    flat = np.asarray(params.w1).reshape(votes * units, features).T.copy()
    return flat, *(np.asarray(a) for a in (params.b1, params.w2, params.b2))


def numpy_labels(x: np.ndarray) -> np.ndarray:
    """The example 01 network's labels."""
    w1, b1, w2, b2 = _numpy_network()
    hidden = np.asarray(x, np.float32) @ w1 + b1.reshape(-1) > 0
    on = hidden.reshape(len(x), *b1.shape).astype(np.float32)
    votes = np.einsum("nvh,vh->nv", on, w2) + b2 > 0
    return (2 * votes.sum(1) > len(b2)).astype(np.int32)


def foolbox_hop_skip_jump(images: Images, steps: int) -> dict[str, float]:
    """Runs foolbox's HopSkipJump on the example 01 network, image by image."""
    import eagerpy
    import foolbox

    params = networks.load(NETWORK)
    asked = []

    @jax.jit
    def logits(points: jax.Array) -> jax.Array:
        return jax.nn.one_hot(networks.predict(params, points), 2)

    def counted(points: jax.Array) -> jax.Array:
        asked.append(len(points))
        return logits(points)

    model = foolbox.JAXModel(counted, bounds=(0, 1))
    attack = foolbox.attacks.HopSkipJumpAttack(
        steps=steps, initial_gradient_eval_steps=100, constraint="l2"
    )

    def run() -> np.ndarray:
        asked.clear()
        found = [
            attack.run(
                model,
                eagerpy.astensor(x[None]),
                foolbox.criteria.Misclassification(eagerpy.astensor(y[None])),
                starting_points=eagerpy.astensor(start[None]),
            ).raw
            for x, y, start in zip(*images, strict=True)
        ]
        return np.concatenate(found)

    run()  # compiles
    began = time.perf_counter()
    adversaries = run()
    seconds = time.perf_counter() - began
    distance = np.linalg.norm(adversaries - np.asarray(images[0]), axis=1)
    return {
        "seconds": seconds,
        "queries": sum(asked) / len(distance),
        "median": float(np.median(distance)),
    }


def foolbox_pgd(
    network: trained.Trained, count: int, times: int
) -> tuple[float, float]:
    """Robust accuracy and median seconds of foolbox's PGD-40 on the JAX network."""
    import foolbox

    model = adapters.foolbox_model(jax.jit(network.logits_fn))
    attack = foolbox.attacks.LinfPGD(abs_stepsize=2 / 255, steps=40)
    x, y = network.x[:count], network.y[:count]
    attack(model, x, y, epsilons=8 / 255)
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        success = np.asarray(attack(model, x, y, epsilons=8 / 255)[2])
        seconds.append(time.perf_counter() - began)
    return float(1 - success.mean()), float(np.median(seconds))


def auto_attack(network: trained.Trained, count: int) -> tuple[float, float]:
    """Robust accuracy and seconds of pyautoattack's standard suite, in torch."""
    import torch
    from pyautoattack import AutoAttack

    x = torch.from_numpy(np.moveaxis(np.array(network.x[:count]), 3, 1).copy())
    y = torch.from_numpy(np.array(network.y[:count])).long()
    attack = AutoAttack(
        network.torch_module,
        norm="Linf",
        eps=SUITE_EPSILON,
        version="standard",
        device=torch.device("cpu"),
        seed=0,
    )
    began = time.perf_counter()
    adversaries = attack.run_standard_evaluation(x, y, batch_size=count)[0]
    seconds = time.perf_counter() - began
    with torch.no_grad():
        robust = (network.torch_module(adversaries).argmax(1) == y).float().mean()
    return float(robust), seconds


def torch_gradient(network: trained.Trained, count: int) -> float:
    """Seconds of a gradient in x of the cross-entropy, in torch."""
    import torch

    x = torch.from_numpy(np.moveaxis(np.array(network.x[:count]), 3, 1).copy())
    y = torch.from_numpy(np.array(network.y[:count])).long()
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        point = x.clone().requires_grad_()
        outputs = network.torch_module(point)
        loss = torch.nn.functional.cross_entropy(outputs, y, reduction="sum")
        torch.autograd.grad(loss, point)
        seconds.append(time.perf_counter() - began)
    return min(seconds)
