"""Networks for `benchmarks.minimum_norm`, and adv-lib's attacks for the least distance.

adv-lib imports torchvision and visdom at its start, for data and live plots that no
attack here needs; neither is installed beside it. While adv-lib is imported, and only
then, these names stand for empty modules.
"""

import contextlib
import functools
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tests.peers import trained
from zeroone_jax import data, losses
from zeroone_jax.types import LogitsFn

EPSILON = 0.2
"""The Linf radius that the robust network was trained in."""

_ABSENT = ("torchvision", "visdom")
_ORDER: dict[str, float] = {"linf": np.inf, "l2": 2, "l1": 1, "l0": 0}
_LARGEST: dict[str, float] = {"linf": 1, "l2": 10, "l1": 50}
"""Where adv-lib's bisections of AutoPGD begin."""


class Network(NamedTuple):
    """A network twice, and images that it labels rightly.

    Attributes:
        logits_fn: f32 [n, h, w, c] to logits [n, k].
        torch_module: the same, f32 [n, c, h, w] to logits [n, k].
        x: f32 [n, h, w, c].
        y: i32 [n].
    """

    logits_fn: LogitsFn
    torch_module: Any
    x: jax.Array
    y: jax.Array


class Found(NamedTuple):
    """What an attack of adv-lib came to.

    Attributes:
        adversary: f32 [n, h, w, c].
        seconds: of processor time.
        forward: how often it ran the network over the images.
        backward: how often back.
    """

    adversary: np.ndarray
    seconds: float
    forward: int
    backward: int


@functools.cache
def _data(name: str) -> tuple[data.Split, data.Split]:
    train, test = (data.load(name, split) for split in ("train", "test"))
    return train, test


NETWORKS: dict[str, tuple[str, Callable[[], trained.Trained]]] = {
    "mnist_mlp": ("MNIST perceptron", lambda: trained.mlp_10(*_data("mnist"))),
    "mnist_cnn": ("MNIST CNN", lambda: trained.cnn_10(*_data("mnist"))),
    "mnist_cnn_pgd": (
        "MNIST CNN, PGD-trained",
        lambda: trained.cnn_10(*_data("mnist"), epsilon=EPSILON),
    ),
    "cifar10_cnn": ("CIFAR-10 CNN", lambda: trained.cnn_10(*_data("cifar10"))),
}
"""Titles, and what trains them, in seconds to minutes: the same weights every time."""


@functools.cache
def network(name: str, count: int) -> Network:
    """Trains a network, and takes the first test images that it labels rightly."""
    import torch

    fn, module, x, y = NETWORKS[name][1]()
    right = np.asarray(losses.labels(fn(x)) == y)
    with torch.no_grad():
        labels = module(_to_torch(x)).argmax(1).numpy()
    rows = np.flatnonzero(right & (labels == np.asarray(y)))[:count]
    return Network(fn, module, x[rows], y[rows])


def attack(name: str, norm: str, cap: int, of: Network) -> Found:
    """Runs an attack of adv-lib within about `cap` propagations, half of them back."""
    import torch

    counts = {"forward": 0, "backward": 0}

    def counted(points: Any) -> Any:
        counts["forward"] += 1
        z = of.torch_module(points)
        if z.requires_grad:
            z.register_hook(lambda _: counts.update(backward=counts["backward"] + 1))
        return z

    torch.manual_seed(0)
    run = _settings(name, norm, cap)
    x, y = _to_torch(of.x), torch.from_numpy(np.array(of.y)).long()
    began = time.process_time()
    adversary = run(counted, x.clone(), y).detach()
    seconds = time.process_time() - began
    moved = np.moveaxis(adversary.numpy(), 1, 3)
    return Found(np.ascontiguousarray(moved), seconds, **counts)


def gradients(of: Network, count: int) -> float:
    """Processor seconds of so many gradients in x in torch, one after another."""
    import torch

    x, y = _to_torch(of.x), torch.from_numpy(np.array(of.y)).long()
    began = time.process_time()
    for _ in range(count):
        point = x.requires_grad_()
        z = of.torch_module(point)
        loss = torch.nn.functional.cross_entropy(z, y, reduction="sum")
        x = (point + 1e-6 * torch.autograd.grad(loss, point)[0]).detach()
    return time.process_time() - began


def distances(adversary: Any, of: Network, norm: str) -> np.ndarray:
    """How far adversaries lie, float64 [n]; infinite where the label did not turn."""
    wrong = np.asarray(losses.labels(of.logits_fn(jnp.asarray(adversary))) != of.y)
    move = np.float64(adversary) - np.float64(of.x)
    length = np.linalg.norm(move.reshape(len(move), -1), _ORDER[norm], axis=1)
    return np.where(wrong, length, np.inf)


def _settings(name: str, norm: str, cap: int) -> Callable[..., Any]:
    """The attack with its authors' settings, as many steps as the cap allows."""
    library = _library()
    steps, order = cap // 2, _ORDER[norm]
    make: dict[str, Callable[[], Callable[..., Any]]] = {
        "ddn": lambda: functools.partial(library.ddn, steps=steps, levels=None),
        "fmn": lambda: functools.partial(library.fmn, norm=order, steps=steps),
        "sigma_zero": lambda: functools.partial(library.sigma_zero, num_steps=steps),
        "pdgd": lambda: functools.partial(library.pdgd, num_steps=steps),
        "pdpgd": lambda: functools.partial(
            library.pdpgd,
            norm=order,
            num_steps=steps,
            # The operator of |d|^(2/3), the best of their three for L0.
            proximal_operator=23 if norm == "l0" else None,
        ),
        "minimal_apgd": lambda: functools.partial(
            library.minimal_apgd,
            norm=order,
            max_eps=_LARGEST[norm],
            binary_search_steps=20,
            n_iter=steps // 20 - 1,
        ),
        "super_deep_fool": lambda: library.sdf,
    }
    return make[name]()


@functools.cache
def _library() -> types.SimpleNamespace:
    with _stand_ins(*_ABSENT):
        from adv_lib import attacks
        from adv_lib.attacks.auto_pgd import minimal_apgd
        from adv_lib.attacks.primal_dual_gradient_descent import pdgd, pdpgd
    return types.SimpleNamespace(
        ddn=attacks.ddn,
        fmn=attacks.fmn,
        sigma_zero=attacks.sigma_zero,
        sdf=attacks.sdf,
        pdgd=pdgd,
        pdpgd=pdpgd,
        minimal_apgd=minimal_apgd,
    )


@contextlib.contextmanager
def _stand_ins(*names: str) -> Iterator[None]:
    """Lets packages that are absent, and what is in them, be imported as nothing."""

    class Nothing(types.ModuleType):
        def __getattr__(self, name: str) -> type:
            return type(name, (), {})

    missing = [name for name in names if name not in sys.modules]
    sys.modules.update({name: Nothing(name) for name in missing})
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def _to_torch(x: jax.Array) -> Any:
    import torch

    return torch.from_numpy(np.moveaxis(np.array(x), 3, 1).copy())
