"""01 networks go to disk and come back bit for bit, or with a clear complaint."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax.models import zero_one

KEY = jax.random.key(0)


def arrays_of(params):
    return {
        name: np.asarray(getattr(params, name)) for name in ("w1", "b1", "w2", "b2")
    }


def assert_same(params, expected):
    assert params.hidden_values == expected.hidden_values
    for name, array in arrays_of(expected).items():
        np.testing.assert_array_equal(getattr(params, name), array)
        assert getattr(params, name).dtype == array.dtype


@pytest.mark.parametrize("hidden_values", zero_one.HIDDEN_VALUES)
@pytest.mark.parametrize("classes", [2, 3])
def test_save_and_load(tmp_path, monkeypatch, classes, hidden_values):
    monkeypatch.chdir(tmp_path)
    params = zero_one.init(
        KEY, 6, hidden=3, votes=2, classes=classes, hidden_values=hidden_values
    )
    zero_one.save("networks.npz", params)
    assert_same(zero_one.load("networks.npz"), params)
    assert_same(zero_one.load(tmp_path / "networks.npz"), params)
    assert [entry.name for entry in tmp_path.iterdir()] == ["networks.npz"]


def test_load_forgets_the_devices(tmp_path):
    """A sharded ensemble can be loaded where there are fewer devices."""
    mesh = jax.make_mesh((4,), ("votes",), axis_types=(jax.sharding.AxisType.Auto,))
    by_vote = jax.NamedSharding(mesh, jax.P("votes"))
    params = jax.device_put(zero_one.init(KEY, 6, votes=4), by_vote)
    zero_one.save(tmp_path / "networks.npz", params)
    loaded = zero_one.load(tmp_path / "networks.npz")
    assert_same(loaded, params)
    assert len(loaded.w1.devices()) == 1


def test_float64_is_kept_or_refused(tmp_path):
    with jax.enable_x64():
        params = zero_one.init(jax.random.key(0), 6)
        zero_one.save(tmp_path / "networks.npz", params)
        assert_same(zero_one.load(tmp_path / "networks.npz"), params)
    with pytest.raises(ValueError, match="float64 need jax_enable_x64"):
        zero_one.load(tmp_path / "networks.npz", dtype=np.float64)


def test_save_refuses_what_load_would_refuse(tmp_path):
    params = zero_one.init(KEY, 6)
    path = tmp_path / "networks.npz"
    with pytest.raises(ValueError, match="b2 has values that are NaN or infinite"):
        zero_one.save(path, params.replace(b2=params.b2 * jnp.nan))
    with pytest.raises(ValueError, match=r"b1 has shape \(20,\)"):
        zero_one.save(path, params.replace(b1=params.b1[0]))
    assert not list(tmp_path.iterdir())


def test_load_notices_a_flipped_bit(tmp_path):
    path = tmp_path / "networks.npz"
    zero_one.save(path, zero_one.init(KEY, 200))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        zero_one.load(path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
def test_npz_of_any_real_dtype(tmp_path, dtype):
    params = zero_one.init(KEY, 6, hidden=3, votes=2)
    whole = jax.tree.map(lambda array: jnp.round(array * 3), params)
    np.savez(
        tmp_path / "networks.npz",
        **{name: array.astype(dtype) for name, array in arrays_of(whole).items()},
    )
    assert_same(zero_one.load(tmp_path / "networks.npz"), whole)


def test_npz_of_a_single_network_gets_a_votes_axis(tmp_path):
    params = zero_one.init(KEY, 6, hidden=3)
    single = {name: array[0] for name, array in arrays_of(params).items()}
    np.savez(tmp_path / "network.npz", **single)
    assert_same(zero_one.load(tmp_path / "network.npz"), params)


def test_npz_of_one_vs_all(tmp_path):
    params = zero_one.init(KEY, 6, hidden=3, votes=2, classes=4)
    np.savez(tmp_path / "networks.npz", **arrays_of(params))
    assert_same(zero_one.load(tmp_path / "networks.npz"), params)


def test_npz_tells_or_is_told_its_hidden_values(tmp_path):
    path = tmp_path / "networks.npz"
    arrays = arrays_of(zero_one.init(KEY, 6))
    np.savez(path, **arrays)
    assert zero_one.load(path).hidden_values == "01"
    assert zero_one.load(path, "pm").hidden_values == "pm"
    with pytest.raises(ValueError, match="hidden_values is 'sign', not one of"):
        zero_one.load(path, "sign")
    np.savez(path, **arrays, hidden_values="pm")
    assert zero_one.load(path).hidden_values == "pm"
    assert zero_one.load(path, "pm").hidden_values == "pm"
    with pytest.raises(ValueError, match="is of hidden_values 'pm', not '01' as asked"):
        zero_one.load(path, "01")


def test_npz_with_a_hidden_scale_keeps_its_scores(tmp_path):
    arrays = arrays_of(zero_one.init(KEY, 6, hidden=3, votes=2))
    np.savez(tmp_path / "networks.npz", **arrays, hidden_scale=0.2)
    params = zero_one.load(tmp_path / "networks.npz")
    x = np.random.default_rng(0).normal(size=(9, 6))
    on = np.einsum("vhd,nd->vnh", arrays["w1"], x) + arrays["b1"][:, None] >= 0
    expected = np.einsum("vnh,vh->vn", np.where(on, 0.2, -0.2), arrays["w2"])
    scores = zero_one.scores(params, jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b1": None, "w2": None}, r"has no b1, w2; it has \['b2', 'w1'\]"),
        ({"w1": np.ones((2, 2, 3, 4, 5))}, "w1 has shape .*: neither"),
        ({"b2": np.ones(3)}, r"networks.npz: b2 has shape \(3,\), .* needs \(1,\)"),
        ({"w2": np.full((1, 20), np.nan)}, "w2 has values that are NaN or infinite"),
        ({"b1": np.full((1, 20), "a")}, "b1 is <U1, not real numbers"),
        ({"b1": np.full((1, 20), None)}, r"is damaged or no \.npz file.*pickle"),
        ({"hidden_values": "sign"}, "hidden_values is 'sign', not one of"),
        ({"hidden_scale": 0.0}, "hidden_scale is 0.0"),
        ({"hidden_scale": np.ones(20)}, r"hidden_scale is \[1"),
        ({"hidden_scale": 0.2, "hidden_values": "01"}, "and hidden_values 01"),
    ],
)
def test_npz_refuses(tmp_path, change, message):
    arrays = {**arrays_of(zero_one.init(KEY, 6)), **change}
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(tmp_path / "networks.npz", **kept)
    with pytest.raises(ValueError, match=message):
        zero_one.load(tmp_path / "networks.npz")


def test_npz_must_be_a_whole_npz(tmp_path):
    path = tmp_path / "networks.npz"
    with pytest.raises(FileNotFoundError, match=r"networks\.npz"):
        zero_one.load(path)
    np.savez(path, **arrays_of(zero_one.init(KEY, 6)))
    whole = path.read_bytes()
    garbled = bytearray(whole)
    garbled[300:310] = b"0123456789"
    for damaged in (b"", b"text", whole[: len(whole) // 2], bytes(garbled)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is damaged or no \.npz file"):
            zero_one.load(path)
    np.save(tmp_path / "lone.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"is damaged or no \.npz file"):
        zero_one.load(tmp_path / "lone.npy")


def test_npz_in_float64_needs_x64(tmp_path):
    path = tmp_path / "networks.npz"
    np.savez(path, **arrays_of(zero_one.init(KEY, 6)))
    with pytest.raises(ValueError, match="float64 need jax_enable_x64"):
        zero_one.load(path, dtype=np.float64)
    with jax.enable_x64():
        assert zero_one.load(path).w1.dtype == jnp.float64
        assert zero_one.load(path, dtype=np.float32).w1.dtype == jnp.float32


def test_the_authors_scale_is_not_quite_one_over_root_20(reference):
    stored = np.load(reference / "authors_mlp01_8votes.npz")
    params = zero_one.load(reference / "authors_mlp01_8votes.npz")
    assert params.hidden_values == "pm"
    ratio = float(stored["hidden_scale"]) * math.sqrt(20)
    assert abs(ratio - 1) > 1e-5
    np.testing.assert_allclose(params.w2, stored["w2"] * ratio, rtol=1e-6)
