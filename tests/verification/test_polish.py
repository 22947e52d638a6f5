import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.verification.oracles import brute_force, small_networks
from zeroone_jax import attacks
from zeroone_jax.models import zero_one
from zeroone_jax.verification import cell_polishing, measure

_KEY = jax.random.key(0)


def small(seed, count=6):
    params = small_networks(seed, 3, 2, 3)
    x = np.random.default_rng(seed).uniform(size=(count, 3))
    return params, x, np.asarray(zero_one.predict(params, x))


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("seed", range(4))
def test_it_ends_between_the_truth_and_the_start(norm, seed):
    params, x, y = small(seed)
    pool = np.random.default_rng(seed).uniform(size=(200, 3))
    labels = np.asarray(zero_one.predict(params, pool))
    others = [np.flatnonzero(labels != label) for label in (0, 1)]
    if not all(map(len, others)):
        pytest.skip("the networks are constant")
    start = np.array([pool[others[label][0]] for label in y])
    found = cell_polishing(norm=norm)(_KEY, params, x, y, start)
    assert found.success.all()
    assert (np.asarray(zero_one.predict(params, found.adversary)) != y).all()
    assert ((found.adversary >= 0) & (found.adversary <= 1)).all()
    order = np.inf if norm == "linf" else 2
    far = np.linalg.norm(start - x, ord=order, axis=1)
    near = np.linalg.norm(found.adversary - x, ord=order, axis=1)
    np.testing.assert_allclose(found.distance, near, atol=1e-12)
    truth = np.array([brute_force(params, row, norm, box=True) for row in x])
    assert (near <= far).all()
    assert (near < far - 1e-3).any()
    assert (near >= truth - 1e-6).all()


def test_attacks_in_l2_stay_above_the_truth_and_polishing_brings_them_nearer(trained):
    params, x, y = trained.right(3)
    x, y = x[:12], y[:12]
    label_fn = zero_one.Vote.flat(params).labels
    truth = measure(params, x, y).lower
    pool = jnp.asarray(trained.x[:500])
    labels = zero_one.predict(params, pool)
    start = attacks.nearest_start(x, y, pool, labels, "l2")
    for attack in (
        attacks.hop_skip_jump(norm="l2", radius="adaptive", iterations=3),
        attacks.boundary(iterations=10),
    ):
        found = attack(_KEY, label_fn, x, y, start)
        assert found.success.all()
        assert (found.distance >= truth).all()
        sharper = cell_polishing()(_KEY, params, x, y, found.adversary)
        assert (sharper.distance <= found.distance).all()
        assert (sharper.distance >= truth).all()
        assert np.median(sharper.distance) < 0.7 * np.median(found.distance)


def test_what_is_no_adversary_is_told():
    params, x, y = small(0)
    found = cell_polishing()(_KEY, params, x, y, x)
    assert not found.success.any()
    assert np.isinf(found.distance).all()
    np.testing.assert_array_equal(found.adversary, x)
    wrong = cell_polishing()(_KEY, params, x, 1 - y, x)
    np.testing.assert_array_equal(wrong.distance, np.zeros(len(x)))


def test_wrong_arguments():
    params, x, y = small(0)
    with pytest.raises(ValueError, match="start is None"):
        cell_polishing()(_KEY, params, x, y)
    with pytest.raises(ValueError, match="norm is 'l1'"):
        cell_polishing(norm="l1")
    with pytest.raises(TypeError, match="needs a 01 network's weights"):
        cell_polishing()(_KEY, lambda x: jnp.sum(x), x, y, x)
