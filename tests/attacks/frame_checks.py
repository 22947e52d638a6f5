"""What every attack must hold, whatever it does inside."""

import dataclasses

import jax
import numpy as np

from zeroone_jax.attacks import perturbation


def assert_result_holds(attack, fn, x, y, result):
    """Box, ball, distances, and adversaries asked for again, eagerly, one by one."""
    wanted = np.asarray(y)
    adversary = np.asarray(result.adversary)
    assert adversary.dtype == x.dtype
    assert adversary.shape == x.shape
    assert (adversary >= 0).all()
    assert (adversary <= 1).all()
    size = np.asarray(perturbation.size(result.adversary - x, attack.norm))
    if attack.in_ball:
        assert (size <= np.asarray(attack.epsilon, x.dtype)).all()
    success = np.asarray(result.success)
    expected = np.where(success, size, np.inf)
    np.testing.assert_allclose(np.asarray(result.distance), expected, rtol=1e-6)
    for index in range(len(x)):
        label = int(attack.labels(fn, result.adversary[index : index + 1])[0])
        is_wanted = (label == wanted[index]) == attack.targeted
        assert is_wanted == bool(success[index]), index
    at_once = np.asarray(attack.broken(attack.labels(fn, x), y))
    np.testing.assert_array_equal(adversary[at_once], np.asarray(x)[at_once])
    assert (np.asarray(result.distance)[at_once] == 0).all()
    assert (np.asarray(result.queries)[at_once] == 1).all()
    assert (np.asarray(result.queries)[~at_once] > 2).all()


def assert_images_are_independent(attack, key, fn, x, y, result):
    """Another order in other chunks, with other companions, changes nothing."""
    order = np.random.default_rng(0).permutation(len(x))
    chunked = dataclasses.replace(attack, chunk=3)(key, fn, x[order], y[order])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b[order], atol=1e-6),
        chunked,
        jax.tree.map(np.asarray, result),
    )
