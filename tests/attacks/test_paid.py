"""Which images a model that is paid for is asked about."""

import jax
import jax.numpy as jnp
import numpy as np

from zeroone_jax.attacks.paid import PaidLabelFn, only

X = jnp.zeros((4, 2))
FIRST, EVEN = jnp.array([1, 1, 0, 0], bool), jnp.array([1, 0, 1, 0], bool)
# Labels an image 7 where it is asked about.
PAID = PaidLabelFn(lambda x, asked: jnp.where(asked, 7, 0))


def test_all_images_are_asked_about_unless_told():
    np.testing.assert_array_equal(PAID(X), [7, 7, 7, 7])
    np.testing.assert_array_equal(only(PAID, FIRST)(X), [7, 7, 0, 0])


def test_restrictions_add_up():
    np.testing.assert_array_equal(only(only(PAID, FIRST), EVEN)(X), [7, 0, 0, 0])


def test_other_models_stay_as_they_are():
    def ordinary(x):
        return x

    for fn in (ordinary, jax.tree_util.Partial(ordinary)):
        assert only(fn, FIRST) is fn
    # Its argument is none of ours to leave out.
    applied = jax.tree_util.Partial(PAID, X)
    assert only(applied, FIRST) is applied
