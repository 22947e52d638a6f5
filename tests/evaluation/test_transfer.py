"""Transfer: the diagonal is the attack itself, and linear models are known."""

import jax
import numpy as np
import pytest

from tests.evaluation import linear_models
from zeroone_jax import attacks
from zeroone_jax.evaluation.transfer import transfer

KEY = jax.random.key(3)
SETTINGS = {"epsilon": 0.05, "step_size": 0.03, "iterations": 4}
W, B = linear_models.draw(0)
X, Y = linear_models.images(30, W, B)
MODELS = [
    linear_models.partial(W, B),
    linear_models.winding(W, B),
]


@pytest.fixture(scope="module")
def found():
    return transfer(KEY, MODELS, X, Y, seeds=3, **SETTINGS)


@pytest.mark.slow("compiles several attacks")
def test_the_diagonal_is_the_attack(found):
    attack = attacks.pgd(**SETTINGS, loss="cross_entropy", fit_box=False)
    for place, model in enumerate(MODELS):
        direct = [
            np.mean(
                ~np.asarray(attack(jax.random.fold_in(KEY, seed), model, X, Y).success)
            )
            for seed in range(3)
        ]
        np.testing.assert_array_equal(found.single[place, place], direct)
    known = linear_models.robust(W, B, X, Y, SETTINGS["epsilon"])
    assert found.worst[0, 0] == known.mean()


def test_the_worst_is_no_better_than_any_seed(found):
    assert found.worst.shape == (2, 2)
    assert found.single.shape == (2, 2, 3)
    assert np.all(found.worst[..., None] <= found.single)
    # Which of the winding model's adversaries transfer hangs on the start.
    assert found.worst[1, 0] < found.single[1, 0].min()
    assert np.all(found.single <= found.natural[None, :, None])
    assert found.natural[0] == 0.9


def test_adversaries_of_another_model_do_less_harm(found):
    assert found.worst[1, 0] > found.worst[0, 0]
    assert found.worst[0, 1] > found.worst[1, 1]


def test_images_that_the_source_mislabels_are_moved_too():
    # The source says class 1 of every image, and its way up is the target's own.
    sources = [linear_models.partial(W, B + 10), linear_models.partial(W, B)]
    found = transfer(KEY, sources, X, Y, seeds=1, **SETTINGS)
    known = linear_models.robust(W, B, X, Y, SETTINGS["epsilon"])
    assert found.natural[0] == np.mean(np.asarray(Y))
    assert found.worst[0, 1] == known.mean()


@pytest.mark.parametrize(
    ("models", "settings", "message"),
    [
        ([], {}, "models is empty"),
        (MODELS, {"seeds": 0}, "seeds is 0, but must be a whole number"),
        (MODELS, {"epsilon": 0.0}, "epsilon is 0.0, but must be above 0"),
    ],
)
def test_bad_arguments_are_refused(models, settings, message):
    with pytest.raises(ValueError, match=message):
        transfer(KEY, models, X, Y, **{**SETTINGS, **settings})
