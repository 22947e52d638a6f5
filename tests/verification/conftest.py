"""The networks and images that verification is tried on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import data
from zeroone_jax.models import zero_one


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


class Trained(NamedTuple):
    """The network of docs/papers.md, A5, in float64, and images that it gets right."""

    params: zero_one.Params
    x: np.ndarray
    y: np.ndarray

    def votes(self, count: int) -> zero_one.Params:
        return jax.tree.map(lambda array: array[:count], self.params)

    def right(self, count: int) -> tuple[zero_one.Params, np.ndarray, np.ndarray]:
        """The first votes, and 200 images that they label right."""
        params = self.votes(count)
        labels = np.asarray(zero_one.predict(params, self.x))
        chosen = np.flatnonzero(labels == self.y)[:200]
        return params, self.x[chosen], self.y[chosen]


@pytest.fixture(scope="session")
def trained(reference, cifar10_0v1) -> Trained:
    with jax.enable_x64(True):
        loaded = zero_one.load(reference / "example_mlp01_8votes.npz")
        params = zero_one.astype(loaded, jnp.float64)
        x, y = data.as_features(cifar10_0v1[1])
        x = np.asarray(x, np.float64)
        right = np.flatnonzero(np.asarray(zero_one.predict(params, x) == y))
        return Trained(params, x[right], np.asarray(y)[right])
