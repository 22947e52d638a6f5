"""An attack's numbers are values: one for all, one an image, one a pixel, traced."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import compiling
from zeroone_jax import attacks, losses
from zeroone_jax.attacks import suite
from zeroone_jax.attacks.perturbation import size

KEY = jax.random.key(3)
GENERATOR = np.random.default_rng(1)
W1 = jnp.asarray(GENERATOR.normal(size=(12, 16)), jnp.float32)
W2 = jnp.asarray(GENERATOR.normal(size=(16, 3)), jnp.float32)
X = jnp.asarray(GENERATOR.uniform(size=(7, 3, 4, 1)), jnp.float32)
RADII = jnp.asarray([0.01, 0.05, 0.1, 0.02, 0.3, 0.08, 0.15], jnp.float32)


def model(x, weights=(W1, W2)):
    hidden = jnp.matmul(x.reshape(len(x), -1) - 0.5, weights[0], precision="highest")
    return jnp.matmul(jnp.tanh(hidden), weights[1], precision="highest")


Y = losses.labels(model(X))
BALLS = {
    "pgd": attacks.pgd(epsilon=0.1, iterations=4, restarts=2),
    "pgd_l2": attacks.pgd(epsilon=0.1, norm="l2", iterations=4, chunk=3),
    "pgd_l1": attacks.pgd(epsilon=0.1, norm="l1", iterations=4),
    "apgd": attacks.apgd(epsilon=0.1, iterations=6, chunk=3),
    "apgd_l1": attacks.apgd(epsilon=0.1, norm="l1", iterations=10),
    "fab": attacks.fab(epsilon=0.1, iterations=4, restarts=2),
    "square": attacks.square(epsilon=0.1, max_queries=40),
    "square_l2": attacks.square(epsilon=0.1, norm="l2", max_queries=40),
    "spsa": attacks.spsa(epsilon=0.1, iterations=3, samples=16),
}


def some_slow(names, quick):
    """Parametrizes by names, of which only the quick ones are in `make test`."""
    mark = pytest.mark.slow("the same of every attack")
    values = [pytest.param(name, marks=() if name in quick else mark) for name in names]
    return pytest.mark.parametrize("name", values)


def assert_same(found, expected):
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


@some_slow(BALLS, {"pgd", "square_l2"})
def test_a_radius_for_each_image_is_as_that_image_alone(name):
    radii = 4 * RADII if BALLS[name].norm != "linf" else RADII
    attack = dataclasses.replace(BALLS[name], epsilon=radii)
    found = attack(KEY, model, X, Y)
    assert found.success.any()
    for place, radius in enumerate(radii):
        alone = dataclasses.replace(attack, epsilon=radius)
        one = slice(place, place + 1)
        expected = alone(KEY, model, X[one], Y[one])
        assert_same(jax.tree.map(lambda a, one=one: a[one], found), expected)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("devices", [1, 3])
def test_a_step_for_each_image_is_as_that_image_alone(norm, devices):
    # In the middle of a wide ball nothing cuts the only move.
    x = 0.5 + 0.1 * (X - 0.5)
    walk = attacks.pgd(
        epsilon=0.4,
        norm=norm,
        iterations=1,
        random_start=False,
        fit_box=False,
        early_stop=False,
        chunk=3,
    )
    attack = dataclasses.replace(walk, step_size=RADII)
    found = attack(KEY, model, x, Y, devices=jax.devices()[:devices])
    for place, step in enumerate(RADII):
        one = slice(place, place + 1)
        alone = dataclasses.replace(walk, step_size=step)
        expected = alone(KEY, model, x[one], Y[one])
        np.testing.assert_allclose(
            found.adversary[one], expected.adversary, rtol=1e-6, atol=1e-6
        )
    moved = np.asarray(size(found.adversary - x, norm))
    np.testing.assert_allclose(moved, RADII, rtol=1e-4)


BOXES = [name for name, attack in BALLS.items() if attack.norm == "linf"]


@some_slow(BOXES, {"apgd"})
def test_a_box_of_equal_sides_is_a_ball(name):
    attack = BALLS[name]
    box = dataclasses.replace(attack, epsilon=jnp.full(X.shape, 0.1))
    assert_same(box(KEY, model, X, Y), attack(KEY, model, X, Y))


@pytest.mark.parametrize("shape", [X.shape, (1, *X.shape[1:])])
@some_slow(BOXES, {"pgd", "square"})
def test_adversaries_stay_in_a_box(name, shape):
    sides = GENERATOR.uniform(0, 0.6, shape) * GENERATOR.integers(0, 2, shape)
    box = dataclasses.replace(BALLS[name], epsilon=jnp.asarray(sides, jnp.float32))
    found = box(KEY, model, X, Y)
    move = np.asarray(found.adversary, float) - np.asarray(X, float)
    inside = (np.abs(move) <= np.float32(sides)).reshape(len(X), -1).all(axis=1)
    success = np.asarray(found.success)
    assert inside[success].all()
    if BALLS[name].in_ball:
        assert success.any()
        assert inside.all()
    wrong = np.asarray(losses.labels(model(found.adversary)) != Y)
    np.testing.assert_array_equal(success[inside], wrong[inside])


@some_slow(["pgd", "square_l2"], {"pgd"})
def test_vmap_over_radii(name):
    def adversaries(radius):
        attack = dataclasses.replace(BALLS[name], epsilon=radius)
        return attack(KEY, model, X, Y)

    radii = jnp.asarray([0.05, 0.2])
    mapped = jax.vmap(adversaries)(radii)
    for place, radius in enumerate(radii):
        found = jax.tree.map(lambda a, place=place: a[place], mapped)
        assert_same(found, adversaries(radius))


@some_slow(BALLS, {"pgd", "apgd", "fab", "square"})
def test_other_numbers_keys_and_weights_compile_nothing(name):
    attack = BALLS[name]
    attack(KEY, model, X, Y)
    other_key = jax.random.key(4)
    weights = (W1 * 2, W2)
    numbers = {
        field.name: getattr(attack, field.name) * 1.01
        for field in dataclasses.fields(attack)
        if isinstance(getattr(attack, field.name), float)
    }
    assert "epsilon" in numbers
    changed = dataclasses.replace(attack, **numbers)
    with compiling.compiling_nothing():
        changed(other_key, lambda x: model(x, weights), X, Y)


@pytest.mark.slow("compiles in several rooms")
def test_other_numbers_of_images_compile_nothing_in_the_same_room():
    attack = BALLS["pgd"]
    whole = attack(KEY, model, X, Y)
    attack.watch(KEY, model, X[:5], Y[:5], room=8)
    attack.watch(KEY, model, X[:3], Y[:3], room=8)
    before = attacks.run._in_chunks._cache_size()
    found = attack.watch(KEY, model, X[:4], Y[:4], room=8).result
    assert attacks.run._in_chunks._cache_size() == before
    assert_same(found, jax.tree.map(lambda a: a[:4], whole))
    with pytest.raises(ValueError, match="room is 3, but there are 7 images"):
        attack.watch(KEY, model, X, Y, room=3)


@pytest.mark.parametrize("devices", [1, 3])
@pytest.mark.slow("compiles for eight devices")
def test_radii_on_devices(devices):
    attack = dataclasses.replace(BALLS["pgd"], epsilon=RADII)
    found = attack(KEY, model, X, Y, devices=jax.devices()[:devices])
    assert_same(found, attack(KEY, model, X, Y))


@pytest.mark.parametrize("sides", [RADII, jnp.full(X.shape, 0.05).at[:, 0].set(0.3)])
@pytest.mark.slow("compiles suites of attacks")
def test_suites_take_them_too(sides):
    plan = suite.Suite(
        stages=tuple(
            suite.Stage(
                name=name, attack=dataclasses.replace(BALLS[name], epsilon=sides)
            )
            for name in ("pgd", "fab")
        ),
        norm="linf",
        epsilon=sides,
    )
    report = plan(KEY, model, X, Y)
    first = plan.stages[0].attack(jax.random.fold_in(KEY, 0), model, X, Y)
    broken = np.asarray(report.success)
    assert broken[np.asarray(first.success)].all()
    limit = np.asarray(attacks.perturbation.radius(sides, X))
    move = np.abs(np.asarray(report.adversary - X))
    assert (move <= limit)[broken].all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": jnp.ones(3)}, r"epsilon has shape \(3,\), but must be one number"),
        ({"epsilon": jnp.ones((7, 2, 2, 1))}, "one for each pixel, broadcasting to"),
        ({"epsilon": jnp.full(7, -0.1)}, "must be above 0"),
        ({"epsilon": jnp.full(X.shape, 0.1), "norm": "l2"}, "one radius an image"),
        ({"step_size": jnp.ones(3)}, r"step_size has shape \(3,\), but must be one"),
    ],
)
def test_other_shapes_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(BALLS["pgd"], **settings)(KEY, model, X, Y)
