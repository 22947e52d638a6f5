"""Attacks that take images as rows, since nothing hangs on a value's place."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.attacks import minimum_distance as models
from zeroone_jax import attacks
from zeroone_jax.attacks import rows

KEY = jax.random.key(3)
SHAPE = (2, 5, 1)


class Shapes(NamedTuple):
    """Observes what shape the driver's images have, by the number of their axes."""

    def begin(self, attack, state):
        return jnp.full(len(state.x), state.x.ndim)

    def observe(self, attack, seen, state, info):
        return seen


ATTACKS = {
    "pgd": attacks.pgd(norm="l2", epsilon=0.3, iterations=10),
    "apgd": attacks.apgd(epsilon=0.1, iterations=10),
    "fab": attacks.fab(norm="linf", iterations=5),
    "deep_fool": attacks.deep_fool(),
    "carlini_wagner": attacks.carlini_wagner(iterations=10),
    "spsa": attacks.spsa(epsilon=0.1, iterations=3),
    "ddn": attacks.ddn(iterations=20),
}


@pytest.mark.slow("compiles every attack twice")
@pytest.mark.parametrize("name", ATTACKS)
def test_images_are_attacked_as_rows(name):
    fn, _, flat, y = models.mlp(4)
    images = flat.reshape(len(flat), *SHAPE)
    of_rows, of_images = (ATTACKS[name](KEY, fn, x, y) for x in (flat, images))
    assert of_images.adversary.shape == images.shape
    np.testing.assert_array_equal(of_images.distance, of_rows.distance)
    np.testing.assert_array_equal(of_images.adversary.reshape(flat.shape), of_rows[0])


@pytest.mark.parametrize("name", ["pgd", "apgd", "spsa"])
def test_a_box_of_bounds_goes_with_its_pixels(name):
    """Pixels that may not move do not, wherever in the image they lie."""
    make = {"pgd": attacks.pgd, "apgd": attacks.apgd, "spsa": attacks.spsa}[name]
    fn, _, flat, y = models.mlp(4)
    images = flat.reshape(len(flat), *SHAPE)
    for shape in ((1, *SHAPE), (1, 1, 5, 1), (len(flat), 2, 1, 1)):
        epsilon = np.full(shape, 0.2, np.float32)
        epsilon.reshape(-1)[1::2] = 1e-6
        attack = make(epsilon=epsilon, iterations=3)
        assert attack.as_rows
        moved = np.abs(attack(KEY, fn, images, y).adversary - images)
        bounds = np.broadcast_to(epsilon, images.shape)
        assert (moved <= bounds + 1e-7).all()
        assert moved[bounds > 0.1].max() > 0.01


def test_numbers_of_images_and_of_pixels():
    one_each = jnp.arange(3.0).reshape(3, 1, 1, 1)
    assert rows.of(one_each, (3, *SHAPE)).tolist() == [[0], [1], [2]]
    of_columns = jnp.arange(15.0).reshape(3, 1, 5, 1)
    found = rows.of(of_columns, (3, *SHAPE))
    np.testing.assert_array_equal(found, np.tile(of_columns.reshape(3, 5), 2))


def test_where_places_count_images_keep_their_shape():
    assert attacks.sigma_zero(norm="l0").as_rows
    assert not attacks.sigma_zero(norm="l0_pixels").as_rows
    assert not attacks.square(epsilon=0.1).as_rows


@pytest.mark.slow("compiles an attack twice")
def test_who_watches_sees_images():
    fn, _, flat, y = models.mlp(4)
    images = flat.reshape(len(flat), *SHAPE)
    attack = attacks.ddn(iterations=20)
    of_rows = attack(KEY, fn, flat, y)
    watched = attack.watch(KEY, fn, images, y, observer=Shapes())
    assert watched.seen.tolist() == [4] * len(flat)
    np.testing.assert_allclose(watched.result.distance, of_rows.distance, rtol=1e-5)
