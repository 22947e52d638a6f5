"""Networks that come with the library are those of the stored results."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import attacked_models
from zeroone_jax import attacks, data, models

RESULTS = pathlib.Path(__file__).parents[2] / "results" / "paper_b"
STORED = {
    "mnist_linf": (RESULTS / "contrast" / "laptop" / "pgd-seed0.json", 0.3),
    "cifar10_linf": (RESULTS / "comparison" / "overnight" / "pgd-seed0.json", 8 / 255),
}


def test_all_of_them_are_looked_at():
    assert set(models.PRETRAINED) == set(STORED)


def stored(name):
    result = json.loads(STORED[name][0].read_text())
    return result, {row["attack"]: row["accuracy"] for row in result["rows"]}


@pytest.mark.parametrize("name", STORED)
def test_they_say_what_was_measured(name):
    result, accuracy = stored(name)
    described = models.PRETRAINED[name]
    assert result["config"]["network"] == described.network
    assert result["config"]["data"]["name"] == described.data
    for told in (result["accuracy"]["test"], accuracy["auto_attack"]):
        assert f"{told:.4f}".strip("0") in described.about


@pytest.mark.parametrize("name", STORED)
def test_they_label_as_rightly_as_the_stored_results_say(name):
    result, accuracy = stored(name)
    test = data.load(models.PRETRAINED[name].data, "test")
    model = models.pretrained(name)
    labels = attacks.predict(model, jnp.asarray(test.images, jnp.float32) / 255, 1000)
    right = np.asarray(labels) == test.labels
    # Rounding may change a label or two.
    assert right.mean() == pytest.approx(result["accuracy"]["test"], abs=3e-4)
    few = np.flatnonzero(right)[:100]
    attack = attacks.apgd(epsilon=STORED[name][1], iterations=10)
    x, y = test.images[few].astype(np.float32) / 255, test.labels[few]
    left = 1 - float(np.mean(attack(jax.random.key(0), model, x, y).success))
    # Ten steps of one attack on few images are weaker, but not by much.
    assert left * right.mean() == pytest.approx(accuracy["auto_attack"] + 0.02, abs=0.1)


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="no pretrained 'mnist'; there are mnist_linf"):
        models.pretrained("mnist")


@pytest.mark.parametrize("double", [False, True])
def test_the_launcher_knows_their_names(double):
    with jax.enable_x64(double):
        model = attacked_models.load("mnist_linf", double)
        assert model.source == attacked_models.Source("mnist", ())
        x, y, _ = model.test(slice(20))
        assert x.dtype == model.dtype == (jnp.float64 if double else jnp.float32)
        assert not model.fooled(x, y).any()
