"""The torch twins are the same functions, and the networks have learnt something."""

import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import losses
from zeroone_jax.models import zero_one

torch = pytest.importorskip("torch", reason="extra 'peers' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("name", "accuracy"), [("sigmoid_mlp", 0.84), ("small_cnn", 0.83), ("mlp_10", 0.9)]
)
def test_torch_gives_the_same_logits(name, accuracy, request):
    network = request.getfixturevalue(name)
    logits = np.asarray(network.logits_fn(network.x))
    with torch.no_grad():
        x = torch.tensor(np.asarray(network.x)).permute(0, 3, 1, 2)
        twin = network.torch_module(x).numpy()
    np.testing.assert_allclose(twin, logits, atol=1e-4)
    labels = losses.labels(jnp.asarray(logits))
    assert len(network.x) == 1000
    assert np.mean(np.asarray(labels == network.y)) > accuracy


def test_the_example_network(zero_one_8, cifar10_0v1):
    x, y = (cifar10_0v1[1].images.reshape(2000, -1), cifar10_0v1[1].labels)
    labels = zero_one.predict(zero_one_8, jnp.asarray(x, jnp.float32) / 255)
    assert np.mean(np.asarray(labels) == y) == pytest.approx(0.841)
