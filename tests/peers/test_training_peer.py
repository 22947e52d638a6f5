"""The networks that PyTorch trains beside ours compute the same."""

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import preact_resnet

torch = pytest.importorskip("torch", reason="extra 'peers' is not installed")
training_peer = pytest.importorskip("benchmarks.training_peer")

# Ours by theirs, within a block and outside of one.
_PARTS = {
    "BatchNorm_0": "first_norm",
    "Convolution_0": "first",
    "BatchNorm_1": "second_norm",
    "Convolution_1": "second",
    "shortcut": "shortcut",
}
_OUTSIDE = {"Convolution_0": "first", "BatchNorm_0": "norm", "Dense_0": "last"}
_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def in_torch(variables):
    """Flax variables as a torch state dict."""
    found = {}
    for path, array in flax.traverse_util.flatten_dict(variables).items():
        _, *modules, leaf = path
        if modules[0].startswith("Block_"):
            name = f"blocks.{modules[0][6:]}.{_PARTS[modules[1]]}"
        else:
            name = _OUTSIDE[modules[0]]
        values = np.asarray(array)
        if leaf == "kernel":
            values = values.transpose((3, 2, 0, 1) if values.ndim == 4 else (1, 0))
        found[f"{name}.{_LEAVES[leaf]}"] = torch.tensor(values.copy())
    return found


def test_wide_network_has_our_logits():
    ours = preact_resnet.Wide(depth=16, width=2)
    x = jax.random.uniform(jax.random.key(0), (4, 8, 8, 3))
    variables = ours.init(jax.random.key(1), x)
    # Statistics that are not 0 and 1.
    moved = ours.apply(variables, x, train=True, mutable=["batch_stats"])[1]
    variables = {**variables, **moved}
    theirs = training_peer.WideResNet(16, 2).eval()
    missing = theirs.load_state_dict(in_torch(variables), strict=False)
    assert not missing.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in missing.missing_keys)
    with torch.no_grad():
        logits = theirs(torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(logits, ours.apply(variables, x), atol=1e-5)


def test_an_update_trains_all_weights():
    model = training_peer.WideResNet(10, 1)
    before = [weights.clone() for weights in model.parameters()]
    images = np.random.default_rng(0).random((2, 4, 8, 8, 3), np.float32)
    labels = np.arange(8).reshape(2, 4)
    seconds, parameters = training_peer.seconds_a_step(
        model, images, labels, epsilon=0.1, step_size=0.1, steps=1
    )
    assert seconds > 0
    x = jnp.zeros((1, 8, 8, 3))
    shapes = jax.eval_shape(preact_resnet.Wide(10, 1).init, jax.random.key(0), x)
    assert parameters == sum(a.size for a in jax.tree.leaves(shapes["params"]))
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new)
