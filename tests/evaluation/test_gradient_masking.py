"""The recorded course of PGD is that of the attack itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.evaluation import linear_models
from zeroone_jax import attacks, losses
from zeroone_jax.evaluation import gradient_masking

KEY = jax.random.key(4)
ATTACK = attacks.pgd(
    epsilon=0.05,
    step_size=0.008,
    iterations=16,
    restarts=3,
    fit_box=False,
    loss="cross_entropy",
)
W, B = linear_models.draw(2)
X, Y = linear_models.images(30, W, B)
MODEL = linear_models.partial(W, B)


@pytest.fixture(scope="module")
def course():
    return gradient_masking.record(KEY, MODEL, X, Y, ATTACK, np.arange(17))


@pytest.mark.slow("compiles an attack twice")
def test_it_ends_where_the_attack_does(course):
    success = ATTACK(KEY, MODEL, X, Y).success
    assert course.accuracy[-1] == np.mean(~np.asarray(success))
    known = linear_models.robust(W, B, X, Y, ATTACK.epsilon)
    assert course.accuracy[-1] == known.mean()


def test_accuracy_only_falls_and_the_loss_of_a_linear_model_only_rises(course):
    assert course.loss.shape == (3, 17)
    assert course.accuracy.shape == (17,)
    assert np.all(np.diff(course.accuracy) <= 0)
    assert course.accuracy[0] <= 0.9
    assert course.accuracy[0] > course.accuracy[-1]
    assert np.all(np.diff(course.loss, axis=1) >= -1e-6)
    # Restarts begin at points of their own and end at the same corner.
    assert np.ptp(course.loss[:, 0]) > 1e-4
    away = np.sign((1 - 2 * np.asarray(Y))[:, None] * np.asarray(W))
    corner = X + jnp.asarray(0.05 * away.reshape(X.shape), jnp.float32)
    highest = losses.cross_entropy(MODEL(corner), Y).mean()
    np.testing.assert_allclose(course.loss[:, -1], highest, rtol=1e-5)


def test_the_chosen_steps_are_those_of_all(course):
    some = gradient_masking.record(KEY, MODEL, X, Y, ATTACK, np.array([8, 0, 8]))
    np.testing.assert_array_equal(some.steps, [0, 8])
    np.testing.assert_array_equal(some.loss, course.loss[:, [0, 8]])
    np.testing.assert_array_equal(some.accuracy, course.accuracy[[0, 8]])


def test_the_papers_attacks():
    cifar10, mnist = gradient_masking.cifar10(), gradient_masking.mnist()
    assert (cifar10.iterations, mnist.iterations) == (500, 1000)
    assert cifar10.restarts == mnist.restarts == 20
    assert (cifar10.step_size, mnist.step_size) == (2 / 255, 0.01)
    assert cifar10.loss == mnist.loss == "cross_entropy"
    assert {cifar10.fit_box, mnist.fit_box} == {False}


@pytest.mark.parametrize("steps", [[-1, 3], [17]])
def test_steps_the_attack_does_not_take_are_refused(steps):
    with pytest.raises(ValueError, match=r"but must be in 0\.\.16"):
        gradient_masking.record(KEY, MODEL, X, Y, ATTACK, np.array(steps))


def test_images_without_a_label_are_not_robust():
    right = np.asarray(losses.labels(MODEL(X)) == Y)
    place = int(np.flatnonzero(right)[0])

    def blind(x):
        marked = jnp.all(jnp.abs(x - X[place][None]) <= 0.06, axis=(1, 2, 3))
        return jnp.where(marked[:, None], jnp.nan, losses.as_logits(MODEL(x)))

    # Nothing else is broken within this radius.
    tiny = dataclasses.replace(ATTACK, epsilon=1e-7, step_size=1e-8)
    found = gradient_masking.record(KEY, blind, X, Y, tiny, np.array([0, 16]))
    others = np.arange(len(X)) != place
    np.testing.assert_array_equal(found.accuracy, (right & others).mean())
