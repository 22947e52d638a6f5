import jax.numpy as jnp
import numpy as np

from zeroone_jax.evaluation.accuracy import accuracy
from zeroone_jax.models import zero_one

X = jnp.array([[0.1], [0.4], [0.6], [0.9]])


def test_votes_and_majority_by_hand():
    # On from 0.5, from 0.3 and from 0.95 on.
    params = zero_one.linear(jnp.ones((3, 1)), jnp.array([-0.5, -0.3, -0.95]))
    shares = accuracy(params, X, jnp.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(shares.votes, [1.0, 0.75, 0.5])
    assert shares.majority == 1.0


def test_one_against_all_takes_a_vote_of_each_class():
    # Class 0 says so below 0.2; class 1 never with its first vote, always with its
    # second; class 2 from 0.8 on. Silence means class 0.
    weights = jnp.array([[[-1.0], [-1.0]], [[0.0], [0.0]], [[1.0], [1.0]]])
    biases = jnp.array([[0.2, 0.2], [-1.0, 1.0], [-0.8, -0.8]])
    params = zero_one.linear(weights, biases)
    shares = accuracy(params, X, jnp.array([0, 1, 1, 2]))
    # First votes: 0 0 0 2. Second votes: 0 1 1 1. Counts: 2-1-0, 0-1-0 twice, 0-1-2.
    np.testing.assert_array_equal(shares.votes, [0.5, 0.75])
    assert shares.majority == 1.0
