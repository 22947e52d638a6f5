"""The frame of networks: modes, types, and files."""

import io

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import network as networks
from zeroone_jax.models.network import Network

KEY = jax.random.key(0)


class Normalised(nn.Module):
    """Dense layers with batch normalisation and dropout between."""

    width: int = 5

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(self.width)(x.reshape(len(x), -1))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(3)(x)


NETWORK = Network(Normalised(), (2, 2, 1))
X = jax.random.uniform(jax.random.key(1), (7, 2, 2, 1))


def test_modes_differ_by_statistics_and_dropout():
    variables = NETWORK.init(KEY)
    logits, statistics = NETWORK.train(variables, X, KEY)
    again, _ = NETWORK.train(variables, X, jax.random.key(5))
    assert not np.allclose(logits, again)
    dense = jax.tree.map(np.asarray, variables.params["Dense_0"])
    hidden = np.asarray(X).reshape(7, 4) @ dense["kernel"] + dense["bias"]
    expected = 0.1 * hidden.mean(0)
    np.testing.assert_allclose(
        statistics["BatchNorm_0"]["mean"], expected, rtol=1e-5, atol=1e-7
    )
    moved = variables.replace(batch_stats=statistics)
    assert not np.allclose(NETWORK.apply(moved, X), NETWORK.apply(variables, X))
    np.testing.assert_array_equal(
        NETWORK.bind(variables)(X), NETWORK.apply(variables, X)
    )


def test_half_precision_is_inside_only():
    half = Network(Normalised(), (2, 2, 1), dtype=jnp.bfloat16)
    variables = half.init(KEY)
    logits, statistics = half.train(variables, X, KEY)
    assert logits.dtype == half.apply(variables, X).dtype == jnp.float32
    for leaf in jax.tree.leaves((variables, statistics)):
        assert leaf.dtype == jnp.float32
    full = NETWORK.apply(variables, X)
    error = np.abs(half.apply(variables, X) - full).max()
    assert 0 < error < 0.02 * np.abs(full).max()


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"takes images of \(2, 2, 1\)"):
        NETWORK.apply(NETWORK.init(KEY), X[:, :1])


def test_files_keep_every_number(tmp_path):
    variables = NETWORK.init(KEY)
    networks.save(tmp_path / "network.npz", variables)
    loaded = networks.load(tmp_path / "network.npz", NETWORK)
    assert jax.tree.structure(loaded) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    wider = Network(Normalised(width=6), (2, 2, 1))
    with pytest.raises(ValueError, match="another network's variables: batch_stats"):
        networks.load(tmp_path / "network.npz", wider)
    with pytest.raises(FileNotFoundError):
        networks.load(tmp_path / "nothing.npz", NETWORK)
    whole = (tmp_path / "network.npz").read_bytes()
    for torn in (b"", b"text", whole[: len(whole) // 2], npy_of(1)):
        (tmp_path / "network.npz").write_bytes(torn)
        with pytest.raises(ValueError, match=r"network\.npz is damaged"):
            networks.load(tmp_path / "network.npz", NETWORK)


def npy_of(number: int) -> bytes:
    content = io.BytesIO()
    np.save(content, number)
    return content.getvalue()
