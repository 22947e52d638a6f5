"""AutoPGD is as strong as AutoAttack's own, on the same weights."""

import jax
import numpy as np
import pytest

from zeroone_jax import attacks, losses

peer = pytest.importorskip("pyautoattack", reason="extra 'peers' is not installed")
torch = pytest.importorskip("torch", reason="extra 'peers' is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")

KEY = jax.random.key(0)
IMAGES = 500
LOSSES = {"cross_entropy": "ce", "dlr": "dlr"}


def peer_accuracy(trained, norm, epsilon, loss):
    from pyautoattack import autopgd_base

    # The peer takes views, for which channels must lie first in memory too.
    channels_first = np.ascontiguousarray(np.moveaxis(trained.x[:IMAGES], 3, 1))
    images = torch.tensor(channels_first)
    labels = torch.tensor(np.asarray(trained.y[:IMAGES], np.int64))
    module = trained.torch_module
    settings = {"norm": norm.capitalize(), "eps": epsilon, "seed": 0, "device": "cpu"}
    if loss == "targeted_dlr":
        attack = autopgd_base.APGDAttack_targeted(module, **settings)
    else:
        attack = autopgd_base.APGDAttack(module, **settings, loss=LOSSES[loss])
    adversaries = attack.perturb(images, labels)
    with torch.no_grad():
        outputs = module(adversaries)
    return float((outputs.argmax(1) == labels).float().mean())


@pytest.mark.parametrize(
    ("model", "norm", "epsilon", "loss"),
    [
        ("mlp_10", "linf", 0.04, "cross_entropy"),
        ("mlp_10", "linf", 0.04, "targeted_dlr"),
        ("mlp_10", "l2", 0.6, "dlr"),
        ("sigmoid_mlp", "l2", 0.8, "cross_entropy"),
        ("small_cnn", "linf", 0.012, "cross_entropy"),
    ],
)
def test_robust_accuracy_is_autoattacks(request, model, norm, epsilon, loss):
    trained = request.getfixturevalue(model)
    attack = attacks.apgd(norm=norm, epsilon=epsilon, loss=loss, fit_box=False)
    x, y = trained.x[:IMAGES], trained.y[:IMAGES]
    out = attack(KEY, trained.logits_fn, x, y)
    clean = float((losses.labels(trained.logits_fn(x)) == y).mean())
    ours = 1 - float(out.success.mean())
    theirs = peer_accuracy(trained, norm, epsilon, loss)
    print(f"{model} {norm} {epsilon} {loss}: clean {clean}, {ours} against {theirs}")
    assert 0.2 * clean < ours < 0.8 * clean
    assert abs(ours - theirs) <= 0.01
    assert ours <= theirs + 0.005
