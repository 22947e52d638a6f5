"""DeepFool and Carlini-Wagner against foolbox's, FAB against its authors' program.

The same images and weights, ours in JAX and theirs in torch. Every adversary, ours and
theirs, is judged by the JAX network and measured alike.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks, losses

torch = pytest.importorskip("torch", reason="extra 'peers' is not installed")
foolbox = pytest.importorskip("foolbox", reason="extra 'peers' is not installed")
fab_pt = pytest.importorskip(
    "pyautoattack.fab_pt", reason="extra 'peers' is not installed"
)
pytestmark = pytest.mark.filterwarnings("ignore")

KEY = jax.random.key(0)
ORDER = {"linf": np.inf, "l2": 2, "l1": 1}


@pytest.fixture(params=["mlp_10", "small_cnn"])
def network(request):
    return request.getfixturevalue(request.param)


def right_images(network, count):
    """The first images that the network labels right."""
    right = losses.labels(network.logits_fn(network.x)) == network.y
    rows = np.flatnonzero(right)[:count]
    return network.x[rows], network.y[rows]


def in_torch(x, y):
    return (
        torch.tensor(np.asarray(x)).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(np.asarray(y)).long(),
    )


def distances(network, adversary, x, y, norm):
    """Of adversaries in torch's layout; infinite where they are none."""
    adversary = jnp.asarray(adversary.detach().permute(0, 2, 3, 1).numpy())
    broken = losses.labels(network.logits_fn(adversary)) != y
    move = np.asarray(adversary - x).reshape(len(x), -1)
    return np.where(broken, np.linalg.norm(move, ORDER[norm], axis=1), np.inf)


def of_foolbox(attack, network, x, y, norm):
    model = foolbox.PyTorchModel(network.torch_module, bounds=(0, 1), device="cpu")
    # Without clipping to an epsilon.
    images, labels = in_torch(x, y)
    return distances(network, attack.run(model, images, labels), x, y, norm)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_deep_fool_is_as_near_as_foolbox(network, norm):
    x, y = right_images(network, 40)
    ours = attacks.deep_fool(norm=norm)(KEY, network.logits_fn, x, y)
    theirs = {
        "l2": foolbox.attacks.L2DeepFoolAttack(),
        "linf": foolbox.attacks.LinfDeepFoolAttack(),
    }[norm]
    peer = of_foolbox(theirs, network, x, y, norm)
    assert ours.success.mean() > 0.9
    print(f"deep_fool {norm}: {np.median(ours.distance):.5f} / {np.median(peer):.5f}")
    assert np.median(ours.distance) <= np.median(peer)


def test_carlini_wagner_is_as_near_as_foolbox(mlp_10):
    network = mlp_10
    x, y = right_images(network, 12)
    ours = attacks.carlini_wagner(iterations=300)(KEY, network.logits_fn, x, y)
    theirs = foolbox.attacks.L2CarliniWagnerAttack(steps=300)
    peer = of_foolbox(theirs, network, x, y, "l2")
    assert ours.success.all()
    print(f"carlini_wagner: {np.median(ours.distance):.5f} / {np.median(peer):.5f}")
    assert np.median(ours.distance) <= np.median(peer)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("target_classes", [None, 3])
def test_fab_is_as_near_as_autoattacks(network, norm, target_classes):
    if target_classes and network.y.max() == 1:
        pytest.skip("of two classes there is one to go after")
    x, y = right_images(network, 30)
    attack = attacks.fab(norm=norm, target_classes=target_classes, iterations=30)
    ours = attack(KEY, network.logits_fn, x, y)
    theirs = fab_pt.FABAttack_PT(
        network.torch_module,
        norm={"linf": "Linf", "l2": "L2", "l1": "L1"}[norm],
        n_iter=30,
        device="cpu",
    )
    images, labels = in_torch(x, y)
    runs = []
    for number in range(target_classes or 1):
        theirs.target_class = number + 2
        adversary = theirs.attack_single_run(
            images, labels, is_targeted=target_classes is not None
        )
        runs.append(distances(network, adversary, x, y, norm))
    peer = np.min(runs, axis=0)
    print(f"fab {norm}: {np.median(ours.distance):.5f} / {np.median(peer):.5f}")
    # One image may be lost to rounding: L1's moves of single pixels are erratic.
    assert ours.success.sum() >= np.isfinite(peer).sum() - 1
    assert np.median(ours.distance) <= np.median(peer) * 1.01
