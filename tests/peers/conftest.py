"""Networks that our attacks and other libraries' attack alike."""

import warnings

import jax
import pytest

from tests.peers import trained
from zeroone_jax import data
from zeroone_jax.models import zero_one


def needs_torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torch", reason="extra 'peers' is not installed")


@pytest.fixture(autouse=True)
def lenient():
    """Other libraries on JAX do not keep to strict promotion."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="session")
def sigmoid_mlp(cifar10_0v1):
    """Eight sigmoid networks on CIFAR-10, class 0 against 1 (docs/papers.md, A3)."""
    needs_torch()
    return trained.sigmoid_mlp(*cifar10_0v1)


@pytest.fixture(scope="session")
def small_cnn(cifar10_0v1):
    """LeNet on CIFAR-10, class 0 against 1 (docs/papers.md, A3)."""
    needs_torch()
    return trained.small_cnn(*cifar10_0v1)


@pytest.fixture(scope="session")
def mlp_10():
    """A ReLU network on the ten classes of MNIST."""
    needs_torch()
    try:
        train, test = (data.load("mnist", split) for split in ("train", "test"))
    except data.NoSourceError as error:
        pytest.skip(str(error))
    return trained.mlp_10(train, test)


@pytest.fixture(scope="session")
def zero_one_8(reference):
    """The example 01 network of 8 votes, as `zero_one.Params`."""
    return zero_one.load(reference / "example_mlp01_8votes.npz")
