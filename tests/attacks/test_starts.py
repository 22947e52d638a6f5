"""Images of other classes as starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zeroone_jax import attacks
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(0)
POOL = jax.random.uniform(jax.random.key(1), (30, 4, 3))
LABELS = jnp.arange(30, dtype=jnp.int32) % 3
X = jax.random.uniform(jax.random.key(2), (5, 4, 3))
Y = jnp.array([0, 1, 2, 0, 1])


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_the_nearest_is_picked(norm: attacks.Norm, targeted: bool) -> None:
    start = attacks.nearest_start(X, Y, POOL, LABELS, norm, targeted)
    for image, label, picked in zip(X, Y, start, strict=True):
        fits = np.asarray((label == LABELS) == targeted)
        distances = np.asarray(size(POOL - image[None], norm))
        assert size((picked - image)[None], norm)[0] == distances[fits].min()


@pytest.mark.parametrize("targeted", [False, True])
def test_random_ones_fit_and_vary_with_the_key_only(targeted: bool) -> None:
    starts = [
        attacks.random_start(jax.random.key(seed), X, Y, POOL, LABELS, targeted)
        for seed in range(8)
    ]
    for picked in starts:
        index = np.argmax((POOL[None] == picked[:, None]).all((2, 3)), axis=1)
        np.testing.assert_array_equal(POOL[index], picked)
        assert ((LABELS[index] == Y) == targeted).all()
    assert len({float(picked.sum()) for picked in starts}) > 4
    order = jnp.array([3, 1, 0])
    again = attacks.random_start(
        jax.random.key(0), X[order], Y[order], POOL, LABELS, targeted
    )
    np.testing.assert_array_equal(again, starts[0][order])


def test_a_pool_without_adversaries_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no adversary for image 1 \(2 such"):
        attacks.nearest_start(X, Y, POOL, jnp.ones(30, jnp.int32))


def test_a_pool_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pool has images \(4,\), but x has \(4, 3\)"):
        attacks.nearest_start(X, Y, POOL[..., 0], LABELS)
    with pytest.raises(ValueError, match=r"labels has shape \(7,\), but there are 30"):
        attacks.random_start(KEY, X, Y, POOL, LABELS[:7])


def test_arrays_may_be_numpys() -> None:
    given = tuple(map(np.asarray, (X, Y, POOL, LABELS)))
    nearest = attacks.nearest_start(*given)
    np.testing.assert_array_equal(nearest, attacks.nearest_start(X, Y, POOL, LABELS))
    np.testing.assert_array_equal(
        attacks.random_start(KEY, *given), attacks.random_start(KEY, X, Y, POOL, LABELS)
    )
    labels = attacks.predict(lambda x: x.reshape(len(x), -1), given[0])
    np.testing.assert_array_equal(labels, np.argmax(given[0].reshape(5, -1), axis=1))
