"""The standard suite is as strong as AutoAttack, on the same weights."""

import jax
import numpy as np
import pytest

from zeroone_jax import losses
from zeroone_jax.attacks import suite

peer = pytest.importorskip("pyautoattack", reason="extra 'peers' is not installed")
torch = pytest.importorskip("torch", reason="extra 'peers' is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")

IMAGES = 500


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.08)])
def test_robust_accuracy_is_autoattacks(mlp_10, norm, epsilon):
    """A radius that leaves few images: Square is slow on those that are left."""
    x, y = mlp_10.x[:IMAGES], mlp_10.y[:IMAGES]
    report = suite.standard(norm, epsilon)(jax.random.key(0), mlp_10.logits_fn, x, y)
    attack = peer.AutoAttack(
        mlp_10.torch_module,
        norm=norm.capitalize(),
        eps=epsilon,
        device="cpu",
        seed=0,
    )
    images = torch.tensor(np.moveaxis(np.asarray(x), 3, 1))
    labels = torch.tensor(np.asarray(y, np.int64))
    adversaries, _ = attack.run_standard_evaluation(images, labels, batch_size=250)
    with torch.no_grad():
        right = mlp_10.torch_module(adversaries).argmax(1) == labels
    theirs = float(right.float().mean())
    ours = report.robust_accuracy
    print(f"{norm} {epsilon}: clean {report.clean_accuracy}, {ours} against {theirs}")
    print(report.stages, report.warnings)
    assert 0.02 < ours < 0.6
    assert abs(ours - theirs) <= 0.01
    assert ours <= theirs + 0.005
    wrong = losses.labels(mlp_10.logits_fn(report.adversary)) != y
    np.testing.assert_array_equal(report.success, wrong)
